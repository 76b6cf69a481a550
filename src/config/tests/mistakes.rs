use std::ffi::OsString;
use std::io;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::super::{Command, Kind, SETTINGS};
use super::{config, mistakes, read};

#[test]
fn each_wrong_value_is_said_with_setting_origin_and_what_was_expected() {
    const LISTEN: &str = "expected `HOST:PORT` (an IP address or `localhost`), `unix:PATH`, or `off` where tls_listen is set";
    const GRAPH: &str =
        "expected `https://HOST[:PORT]` without path or query, or `http://` to a loopback address";
    const LIFETIME: &str = "expected a duration from 0s to 30d, such as 500ms, 2s, 15m, 1h or 1d";
    for (args, said, expected) in [
        ("--listen=8080", "listen = \"8080\" (flag --listen)", LISTEN),
        (
            "--listen=unix:",
            "listen = \"unix:\" (flag --listen)",
            LISTEN,
        ),
        (
            "--upstream=http://graph.example",
            "upstream = \"http://graph.example\" (flag --upstream)",
            GRAPH,
        ),
        (
            "--upstream=https://me:pw@graph.example",
            "upstream = \"https://…@graph.example\" (flag --upstream)",
            GRAPH,
        ),
        (
            "--cloud=usgov",
            "cloud = \"usgov\" (flag --cloud)",
            "expected one of global, us-gov, us-gov-dod, china",
        ),
        (
            "--upstream-proxy=me:pw@proxy",
            "upstream_proxy = \"…@proxy\" (flag --upstream-proxy)",
            "expected `http://[USER:PASSWORD@]HOST:PORT`, or `none` to ignore HTTPS_PROXY",
        ),
        (
            "--photo-ttl=90",
            "photo_ttl = \"90\" (flag --photo-ttl)",
            LIFETIME,
        ),
        (
            "--photo_ttl=31d",
            "photo_ttl = \"31d\" (flag --photo-ttl)",
            LIFETIME,
        ),
        (
            "--proof-ttl=25h",
            "proof_ttl = \"25h\" (flag --proof-ttl)",
            "expected a duration from 1s to 1d, such as 500ms, 2s, 15m, 1h or 1d",
        ),
        (
            "--cache-memory=1023KiB",
            "cache_memory = \"1023KiB\" (flag --cache-memory)",
            "expected a size from 1MiB to 1TiB, such as 64KiB, 256MiB or plain bytes",
        ),
        (
            "--upstream-concurrency=0",
            "upstream_concurrency = \"0\" (flag --upstream-concurrency)",
            "expected a whole number from 1 to 10000",
        ),
        (
            "--sharing=everyone",
            "sharing = \"everyone\" (flag --sharing)",
            "expected one of token, verified, tenant",
        ),
        (
            "--infer-absent=yes",
            "infer_absent = \"yes\" (flag --infer-absent)",
            "expected true or false",
        ),
        (
            "--member-roles=Member",
            "member_roles = \"Member\" (flag --member-roles)",
            "expected a list of directory role GUIDs",
        ),
        (
            "--tenant-user-permissions=*",
            "tenant_user_permissions = \"*\" (flag --tenant-user-permissions)",
            "expected a list of permission names",
        ),
        (
            "--log=a=b=c",
            "log = \"a=b=c\" (flag --log)",
            "expected a filter such as `info` or `graph_photo_proxy=debug`",
        ),
        (
            "--otlp-endpoint=https://collector:4318/v1/traces",
            "otlp_endpoint = \"https://collector:4318/v1/traces\" (flag --otlp-endpoint)",
            "expected `http://HOST[:PORT]` without path or query",
        ),
        (
            "--admin-token=hunter2",
            "admin_token = (hidden) (flag --admin-token)",
            "expected 16 to 256 visible ASCII characters",
        ),
        (
            "--config",
            "config (flag --config)",
            "expected the path of a file",
        ),
    ] {
        let sentence = format!("{said}: {expected}");
        assert_eq!(mistakes(&[args], &[], ""), [sentence]);
    }
}

#[test]
fn no_setting_lacks_its_sentence_for_a_wrong_value() {
    for setting in SETTINGS {
        let wrong = match setting.kind {
            Kind::File => "",
            Kind::Text(_) => "a=b=c",
            Kind::List(_) => "?!",
            _ => "nonsense",
        };
        let shown = match setting.kind {
            Kind::Secret => "(hidden)".to_owned(),
            _ => format!("\"{wrong}\""),
        };
        let (key, flag) = (setting.key, setting.flag());
        let expected = setting.kind.expectation();
        let sentence = format!("{key} = {shown} (flag {flag}): expected {expected}");
        let said = mistakes(&[&format!("{flag}={wrong}")], &[], "");
        assert!(said.contains(&sentence), "{sentence}\nis not in {said:#?}");
    }
}

#[test]
fn each_flag_that_cannot_stand_is_said_with_the_reason() {
    for (args, sentence) in [
        (
            "--listen=off",
            "listen = \"off\" (flag --listen): off leaves no listener: set tls_listen, tls_cert and tls_key",
        ),
        (
            "--cloud=us-gov --upstream=https://graph.microsoft.com",
            "upstream = \"https://graph.microsoft.com\" (flag --upstream): disagrees with cloud, which is at https://graph.microsoft.us: set only one of the two",
        ),
        (
            "--admin=0.0.0.0:9090",
            "admin = \"0.0.0.0:9090\" (flag --admin): an address beyond loopback needs admin_token or admin_client_ca",
        ),
        (
            "--admin=127.0.0.1:8080",
            "admin = \"127.0.0.1:8080\" (flag --admin): the same address as listen",
        ),
        (
            "--rewrite-links",
            "rewrite_links = \"true\" (flag --rewrite-links): needs public_url: where the links are to lead",
        ),
        (
            "--public-url=https://me:pw@photos.example",
            "public_url = \"https://…@photos.example\" (flag --public-url): expected `https://HOST[:PORT]` or `http://HOST[:PORT]` without path or query",
        ),
        (
            "--preflight=answer",
            "preflight = \"answer\" (flag --preflight): answer needs preflight_origins: the origins of the pages to answer",
        ),
        (
            "--preflight-origins=app.example",
            "preflight_origins = \"app.example\" (flag --preflight-origins): expected a list of origins such as `https://app.example`, or `*`",
        ),
        (
            "--photo-ttl=1h --photo_ttl=2h",
            "photo_ttl (flag --photo-ttl): given more than once",
        ),
        (
            "--photo-ttl --log=info",
            "photo_ttl (flag --photo-ttl): needs a value: expected a duration from 0s to 30d, such as 500ms, 2s, 15m, 1h or 1d",
        ),
        (
            "--photo-tll=1h",
            "--photo-tll: no such flag; did you mean --photo-ttl?",
        ),
        (
            "--admin-tokn hunter2",
            "--admin-tokn: no such flag; did you mean --admin-token?",
        ),
        ("--frobnicate", "--frobnicate: no such flag; see --help"),
        ("-x", "-x: no such flag; see --help"),
        ("chekc", "chekc: no such command; did you mean check?"),
        ("check twice", "twice: one command only"),
        (
            "--config=proxy.toml --config=b",
            "config (flag --config): given more than once",
        ),
    ] {
        let args: Vec<&str> = args.split(' ').collect();
        assert_eq!(mistakes(&args, &[], ""), [sentence], "{args:?}");
    }
}

#[cfg(feature = "tls-dev")]
#[test]
fn each_mistake_about_tls_is_said_with_the_reason() {
    for (args, sentence) in [
        (
            "--tls-dev-names=*.example,localhost",
            "tls_dev_names = \"*.example,localhost\" (flag --tls-dev-names): expected a list of host names or IP addresses",
        ),
        (
            "--tls-client-ca=/ca --tls-listen=[::]:0 --tls-cert=/c",
            "tls_key: needed beside tls_listen and tls_cert",
        ),
        (
            "--admin-client-ca=/ca --admin-tls-key=/k",
            "admin_tls_cert: needed beside admin_tls_key",
        ),
        (
            "--tls-dev=yes",
            "tls_dev = \"yes\" (flag --tls-dev): expected true or false",
        ),
        (
            "--tls-dev --tls-dev-dir=/d --tls-cert=/c",
            "tls_cert = \"/c\" (flag --tls-cert): cannot stand beside tls_dev, which makes its own",
        ),
        (
            "--tls-dev --tls-dev-dir=/d --admin=127.0.0.1:8443",
            "admin = \"127.0.0.1:8443\" (flag --admin): the same address as tls_listen",
        ),
        (
            "--tls-dev",
            "tls_dev = \"true\" (flag --tls-dev): needs tls_dev_dir where neither XDG_STATE_HOME nor HOME is set",
        ),
    ] {
        let args: Vec<&str> = args.split(' ').collect();
        assert_eq!(mistakes(&args, &[], ""), [sentence], "{args:?}");
    }
}

#[test]
fn each_mistake_of_environment_and_file_names_its_place() {
    for (name, value, sentence) in [
        (
            "GRAPH_PHOTO_PROXY_PHOTO_TTL",
            "soon",
            "photo_ttl = \"soon\" (environment GRAPH_PHOTO_PROXY_PHOTO_TTL): expected a duration from 0s to 30d, such as 500ms, 2s, 15m, 1h or 1d",
        ),
        (
            "GRAPH_PHOTO_PROXY_ADMIN_TOKN",
            "hunter2",
            "GRAPH_PHOTO_PROXY_ADMIN_TOKN: no such environment variable; did you mean GRAPH_PHOTO_PROXY_ADMIN_TOKEN?",
        ),
        (
            "GRAPH_PHOTO_PROXY_photo_ttl",
            "1h",
            "GRAPH_PHOTO_PROXY_photo_ttl: no such environment variable; did you mean GRAPH_PHOTO_PROXY_PHOTO_TTL?",
        ),
        (
            "GRAPH_PHOTO_PROXY_PORT",
            "8080",
            "GRAPH_PHOTO_PROXY_PORT: no such environment variable; see --help",
        ),
        (
            "HTTPS_PROXY",
            "https://me:pw@proxy",
            "upstream_proxy = \"https://…@proxy\" (environment HTTPS_PROXY): expected `http://[USER:PASSWORD@]HOST:PORT`, or `none` to ignore HTTPS_PROXY",
        ),
    ] {
        assert_eq!(mistakes(&[], &[(name, value)], ""), [sentence]);
    }
    for (file, sentence) in [
        (
            "photo-ttl = '1h'",
            "photo-ttl (proxy.toml, line 1): no such setting; did you mean photo_ttl?",
        ),
        (
            "[cache]\nphoto_ttl = '1h'",
            "cache (proxy.toml, line 1): no such setting: settings stand in no table; see --help",
        ),
        (
            "\nthreads = 1.5",
            "threads = a TOML float (proxy.toml, line 2): expected a whole number from 0 to 1024",
        ),
        (
            "threads = -1",
            "threads = \"-1\" (proxy.toml, line 1): expected a whole number from 0 to 1024",
        ),
        (
            "threads = ['1']",
            "threads = [\"1\"] (proxy.toml, line 1): expected a whole number from 0 to 1024",
        ),
        (
            "member_roles = [1]",
            "member_roles = a TOML array (proxy.toml, line 1): expected a list of directory role GUIDs",
        ),
        (
            "admin_token = 7",
            "admin_token = (hidden) (proxy.toml, line 1): expected 16 to 256 visible ASCII characters",
        ),
        (
            "tls_cert = 'c.pem'\ntls_listen = '[::]:443'",
            "tls_key: needed beside tls_listen and tls_cert",
        ),
    ] {
        assert_eq!(mistakes(&[], &[], file), [sentence], "{file}");
    }
}

#[test]
fn a_file_that_is_not_toml_is_reported_by_line_and_never_quoted() {
    let said = mistakes(
        &["--sharing=all"],
        &[],
        "photo_ttl = 'x'\nadmin_token hunter2\n",
    );
    assert!(
        said[0].starts_with("config (proxy.toml, line 2): not TOML: "),
        "{said:?}"
    );
    assert!(
        said.iter()
            .any(|line| line.starts_with("photo_ttl = \"x\"")),
        "{said:?}"
    );
    assert!(
        said.iter()
            .any(|line| line.starts_with("sharing = \"all\"")),
        "{said:?}"
    );
    assert!(!said.join("\n").contains("hunter2"), "{said:?}");
    let twice = mistakes(&[], &[], "threads = 2\nthreads = 3\n");
    assert_eq!(
        twice,
        ["config (proxy.toml, line 2): not TOML: duplicate key"]
    );
}

#[test]
fn a_file_that_cannot_be_read_is_a_mistake_beside_the_others() {
    let args = ["--config=gone.toml", "--sharing=all"].map(OsString::from);
    let gone = |_: &std::path::Path| Err(io::ErrorKind::NotFound.into());
    let said = Command::read(args, [], gone).unwrap_err().to_string();
    assert_eq!(
        said,
        "config = \"gone.toml\" (flag --config): the file cannot be read: entity not found\n\
         sharing = \"all\" (flag --sharing): expected one of token, verified, tenant"
    );
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let said = mistakes(
        &["--bogus=1", "--photo-ttl=x", "--listen"],
        &[
            ("GRAPH_PHOTO_PROXY_BOGUS", "1"),
            ("GRAPH_PHOTO_PROXY_SHARING", "x"),
        ],
        "bogus = 1\ncache_memory = '1MB'\nthreads = 2000\n",
    );
    let about: Vec<&str> = said
        .iter()
        .map(|line| line.split([' ', ':']).next().unwrap())
        .collect();
    assert_eq!(
        about,
        [
            "--bogus",
            "listen",
            "GRAPH_PHOTO_PROXY_BOGUS",
            "bogus",
            "sharing",
            "photo_ttl",
            "cache_memory",
            "threads"
        ]
    );
}

#[test]
fn what_kubernetes_puts_into_every_pod_is_no_mistake() {
    config(
        &[],
        &[
            ("GRAPH_PHOTO_PROXY_SERVICE_HOST", "10.0.0.7"),
            ("GRAPH_PHOTO_PROXY_SERVICE_PORT", "8080"),
            ("GRAPH_PHOTO_PROXY_SERVICE_PORT_HTTP", "8080"),
            ("GRAPH_PHOTO_PROXY_PORT", "tcp://10.0.0.7:8080"),
            ("GRAPH_PHOTO_PROXY_PORT_8080_TCP", "tcp://10.0.0.7:8080"),
            ("GRAPH_PHOTO_PROXY_PORT_8080_TCP_ADDR", "10.0.0.7"),
            ("GRAPH_PHOTO_PROXY_ADMIN_PORT", "tcp://10.0.0.7:9090"),
        ],
        "",
    );
}

proptest! {
    #[test]
    fn whatever_is_written_is_read_or_refused_and_a_secret_is_never_repeated(
        file in file(),
        args in vec((setting(), "[ -~…]{0,12}"), 0..4),
        value in "[ -~…]{0,12}",
        word in "[-a-zA-Z=_]{0,12}",
    ) {
        let secret = "s3cr3t-and-short";
        let args = args.iter().map(|(key, value)| format!("--{key}={value}"));
        let mistyped = [format!("--admin_tokn={secret}"), "--adm1n-token".into(), secret.into()];
        let args: Vec<String> = mistyped.into_iter().chain(args).chain([word]).collect();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let environment = [
            ("GRAPH_PHOTO_PROXY_ADMINTOKEN", secret),
            ("GRAPH_PHOTO_PROXY_SHARING", &value),
            ("HTTPS_PROXY", &value),
        ];
        if let Err(mistakes) = read(&args, &environment, &file) {
            prop_assert!(!mistakes.to_string().contains(secret), "{}", mistakes);
        }
    }
}

fn setting() -> impl Strategy<Value = &'static str> {
    select(SETTINGS).prop_map(|setting| setting.key)
}

/// Something like a file: lines of noise and of settings with noise as their value.
fn file() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        "\\PC{0,24}",
        (setting(), "\\PC{0,12}").prop_map(|(key, value)| format!("{key} = {value}")),
        (setting(), "[a-z0-9:/.@*-]{0,12}").prop_map(|(key, value)| format!("{key} = '{value}'")),
    ];
    vec(line, 1..6).prop_map(|lines| lines.join("\n"))
}

#[cfg(not(feature = "otlp"))]
#[test]
fn a_collector_needs_a_binary_that_can_export() {
    assert_eq!(
        mistakes(&["--otlp-endpoint=http://127.0.0.1:4318"], &[], ""),
        [
            "otlp_endpoint = \"http://127.0.0.1:4318\" (flag --otlp-endpoint): this binary was built without the feature otlp"
        ]
    );
}
