use std::collections::BTreeSet;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::super::{Command, Config, Kind, Origin, SETTINGS};
use super::config;
use crate::identity::Sharing;
use crate::proxy::Preflight;
use crate::server::{Listen, Tls, TlsFiles};

#[test]
fn the_defaults_are_the_documented_ones() {
    let config = config(&[], &[], "");
    let listen = SocketAddr::from(([127, 0, 0, 1], 8080));
    assert_eq!(config.server.listen, Some(Listen::Tcp(listen)));
    assert_eq!(config.server.tls, None);
    assert_eq!(config.server.max_connections_per_peer, None);
    assert_eq!(config.server.max_header_bytes, 32 << 10);
    assert_eq!(
        config.upstream.base.to_string(),
        "https://graph.microsoft.com/"
    );
    assert_eq!(config.upstream.proxy, None);
    assert_eq!(config.upstream.concurrency, 4);
    assert_eq!(config.upstream.first_byte_timeout, Duration::from_secs(10));
    assert_eq!(config.identity.sharing, Sharing::Verified);
    assert_eq!(config.identity.proof_ttl, Duration::from_secs(900));
    assert_eq!(
        config.identity.member_roles,
        ["b79fbf4d-3ef9-4689-8143-76b194e85509"]
    );
    assert!(config.identity.extra_permissions.users.is_empty());
    assert_eq!(config.cache.photo_ttl, Duration::from_secs(3600));
    assert_eq!(config.cache.absent_ttl, Duration::from_secs(600));
    assert_eq!(config.cache.stale_if_error, Duration::from_secs(86_400));
    // 20 MiB of 256 are for the process itself.
    assert_eq!(config.cache.memory, 236 << 20);
    assert_eq!(config.cache.max_photo, 4 << 20);
    assert_eq!(
        config.ops.admin,
        Some(SocketAddr::from(([127, 0, 0, 1], 9090)))
    );
    assert!(config.ops.admin_token.is_none());
    assert!(!config.proxy.cache_status_key);
    assert!(config.proxy.infer_absent && config.proxy.refresh_ahead);
    assert!(config.proxy.infer_etag && config.proxy.verify_by_metadata);
    assert!(config.proxy.infer_names && config.proxy.first_word && !config.proxy.ask_names);
    assert_eq!(config.effective.len(), SETTINGS.len());
    assert!(
        config
            .effective
            .iter()
            .all(|entry| entry.origin == Origin::Default)
    );
}

#[test]
fn every_setting_is_read_from_flag_environment_and_file() {
    let beside = [
        "tls_listen",
        "tls_cert",
        "tls_key",
        "tls_client_ca",
        "admin_tls_cert",
        "admin_tls_key",
        "admin_client_ca",
        // Needs the feature of its name.
        "otlp_endpoint",
        // A list of its own kind of words.
        "preflight",
        "preflight_origins",
    ];
    for setting in SETTINGS
        .iter()
        .filter(|setting| !beside.contains(&setting.key))
    {
        let value = match setting.kind {
            Kind::Secret => "0123456789abcdef",
            Kind::Url(_) if setting.key == "upstream_proxy" => "http://proxy.example:3128",
            Kind::Url(_) if setting.key == "public_url" => "https://photos.example",
            _ if setting.default.is_empty() => "Some.Name",
            _ => setting.default,
        };
        let origin = |config: &Config| {
            let entry = config
                .effective
                .iter()
                .find(|entry| entry.key == setting.key);
            entry.unwrap().origin.clone()
        };
        let flag = setting.flag();
        let from_flag = config(&[&flag, value], &[], "");
        assert_eq!(origin(&from_flag), Origin::Flag(flag.clone()));
        let underscored = format!("--{}={value}", setting.key);
        assert_eq!(
            origin(&config(&[&underscored], &[], "")),
            Origin::Flag(flag)
        );
        let variable = setting.variable();
        let from_environment = config(&[], &[(&variable, value)], "");
        assert_eq!(origin(&from_environment), Origin::Environment(variable));
        let from_file = config(&[], &[], &format!("# one\n{} = \"{value}\"\n", setting.key));
        let file = Origin::File {
            path: "proxy.toml".into(),
            line: 2,
        };
        assert_eq!(origin(&from_file), file, "{}", setting.key);
    }
}

#[test]
fn every_word_the_table_offers_is_taken() {
    for setting in SETTINGS {
        if let Kind::Choice(words) = setting.kind {
            let taken = words.iter().map(|word| {
                let origins = ("preflight_origins", "https://app.example");
                let config = Config::with([(setting.key, *word), origins]).unwrap();
                format!(
                    "{:?} {:?} {:?} {:?} {:?} {:?}",
                    config.upstream.base,
                    config.identity.sharing,
                    config.cache.caller_directives,
                    config.cache.upstream_directives,
                    config.ops.log_format,
                    config.proxy.preflight
                )
            });
            assert_eq!(
                taken.collect::<BTreeSet<_>>().len(),
                words.len(),
                "{}",
                setting.key
            );
        }
    }
}

#[test]
fn a_flag_goes_before_the_environment_and_that_before_the_file() {
    let file = "photo_ttl = \"1m\"\nabsent_ttl = \"1m\"\nproof_ttl = \"1m\"";
    let environment = [
        ("GRAPH_PHOTO_PROXY_PHOTO_TTL", "2m"),
        ("GRAPH_PHOTO_PROXY_ABSENT_TTL", "2m"),
    ];
    let config = config(&["--photo-ttl", "3m"], &environment, file);
    assert_eq!(config.cache.photo_ttl, Duration::from_secs(180));
    assert_eq!(config.cache.absent_ttl, Duration::from_secs(120));
    assert_eq!(config.identity.proof_ttl, Duration::from_secs(60));
    assert_eq!(
        config.cache.stale_while_revalidate,
        Duration::from_secs(3600)
    );
}

#[test]
fn the_file_may_be_named_by_the_environment_and_the_flag_goes_before_it() {
    for (args, name) in [
        (&[][..], "env.toml"),
        (&["--config", "flag.toml"][..], "flag.toml"),
    ] {
        let environment = [("GRAPH_PHOTO_PROXY_CONFIG".into(), "env.toml".into())];
        let command = Command::read(args.iter().map(OsString::from), environment, |path| {
            assert_eq!(path, PathBuf::from(name));
            Ok("threads = 3".to_owned())
        });
        assert!(matches!(command, Ok(Command::Serve(config)) if config.threads == 3));
    }
}

#[test]
fn the_file_takes_strings_numbers_switches_and_lists() {
    let file = r#"
        cache_memory = 2097152
        upstream_concurrency = 8
        threads = "2"
        cache_status_key = true
        member_roles = []
        tenant_user_permissions = ["Directory.Read.All", "User.Export.All"]
        tenant_team_permissions = "Team.A, Team.B"
    "#;
    let config = config(&[], &[], file);
    // Half of so little is for photos.
    assert_eq!(config.cache.memory, 1 << 20);
    assert_eq!(config.upstream.concurrency, 8);
    assert_eq!(config.threads, 2);
    assert!(config.proxy.cache_status_key);
    assert!(config.identity.member_roles.is_empty());
    let extra = config.identity.extra_permissions;
    assert_eq!(extra.users, ["Directory.Read.All", "User.Export.All"]);
    assert_eq!(extra.teams, ["Team.A", "Team.B"]);
}

#[test]
fn a_switch_needs_no_value_and_a_list_adds_up() {
    let config = config(
        &[
            "--cache-status-key",
            "--tenant-user-permissions=A.B",
            "--tenant-user-permissions",
            "C.D",
            "--infer-absent=false",
        ],
        &[],
        "",
    );
    assert!(config.proxy.cache_status_key && !config.proxy.infer_absent);
    assert_eq!(config.identity.extra_permissions.users, ["A.B", "C.D"]);
}

#[test]
fn an_empty_variable_is_one_that_is_not_set() {
    let config = config(
        &[],
        &[("GRAPH_PHOTO_PROXY_ADMIN_TOKEN", ""), ("HTTPS_PROXY", "")],
        "",
    );
    assert!(config.ops.admin_token.is_none() && config.upstream.proxy.is_none());
}

#[test]
fn the_cloud_says_where_graph_is() {
    for (cloud, base) in [
        ("global", "https://graph.microsoft.com/"),
        ("us-gov", "https://graph.microsoft.us/"),
        ("us-gov-dod", "https://dod-graph.microsoft.us/"),
        ("china", "https://microsoftgraph.chinacloudapi.cn/"),
    ] {
        let config = Config::with([("cloud", cloud), ("upstream", base)]).unwrap();
        assert_eq!(config.upstream.base.to_string(), base);
        let config = Config::with([("cloud", cloud)]).unwrap();
        assert_eq!(config.upstream.base.to_string(), base);
        assert!(
            config
                .check()
                .contains(&format!("upstream = \"{}\"", base.trim_end_matches('/')))
        );
    }
}

#[test]
fn the_egress_proxy_is_the_settings_then_the_environments() {
    let environment = [
        ("HTTPS_PROXY", "http://upper:1"),
        ("https_proxy", "me:pw@lower:2"),
        ("no_proxy", "a.example"),
    ];
    let upstream = config(&[], &environment, "").upstream;
    assert_eq!(upstream.proxy.unwrap().to_string(), "http://me:pw@lower:2/");
    assert_eq!(upstream.no_proxy.as_deref(), Some("a.example"));
    let upstream = config(&["--upstream-proxy=http://p:3"], &environment, "").upstream;
    assert_eq!(upstream.proxy.unwrap().to_string(), "http://p:3/");
    assert_eq!(upstream.no_proxy, None);
    for args in [
        ["--upstream-proxy=none"],
        ["--upstream=http://localhost:3"],
        ["--upstream=https://127.0.0.1:3"],
    ] {
        let upstream = config(&args, &environment, "").upstream;
        assert_eq!((upstream.proxy, upstream.no_proxy), (None, None));
    }
}

#[test]
fn tls_is_a_second_listener_or_the_only_one() {
    let tls = [
        ("tls_listen", "[::]:0"),
        ("tls_cert", "c.pem"),
        ("tls_key", "k.pem"),
    ];
    let config = Config::with(tls.into_iter().chain([("listen", "off")])).unwrap();
    assert_eq!(config.server.listen, None);
    let (listen, cert, key) = ("[::]:0".parse().unwrap(), "c.pem".into(), "k.pem".into());
    let client_ca = None;
    let files = TlsFiles {
        cert,
        key,
        client_ca,
    };
    assert_eq!(config.server.tls, Some(Tls { listen, files }));
    let config = Config::with([("listen", "unix:/run/proxy.sock")]).unwrap();
    assert_eq!(
        config.server.listen,
        Some(Listen::Unix("/run/proxy.sock".into()))
    );
}

#[cfg(feature = "tls-dev")]
#[test]
fn a_development_certificate_is_kept_where_programs_keep_their_state() {
    let home = ("HOME", "/home/dev");
    for (args, environment, listen, directory) in [
        (
            &["--tls-dev"][..],
            &[home][..],
            "127.0.0.1:8443",
            "/home/dev/.local/state/graph-photo-proxy",
        ),
        (
            &["--tls-dev", "--listen=off"],
            &[("XDG_STATE_HOME", "/state"), home],
            "127.0.0.1:8443",
            "/state/graph-photo-proxy",
        ),
        (
            &["--tls-dev", "--tls-listen=[::]:443"],
            &[("XDG_STATE_HOME", "not/absolute"), home],
            "[::]:443",
            "/home/dev/.local/state/graph-photo-proxy",
        ),
        (
            &[
                "--tls-dev",
                "--tls-dev-dir=here",
                "--tls-dev-names=Photos.Test,10.0.0.1",
            ],
            &[home],
            "127.0.0.1:8443",
            "here",
        ),
    ] {
        let config = config(args, environment, "");
        let development = config.development.unwrap();
        assert_eq!(development.directory, PathBuf::from(directory), "{args:?}");
        let tls = config.server.tls.unwrap();
        assert_eq!(tls.listen, listen.parse().unwrap(), "{args:?}");
        assert_eq!(
            (&tls.files.cert, &tls.files.key),
            (&development.leaf(), &development.leaf())
        );
        if args.len() == 3 && directory == "here" {
            assert_eq!(development.names, ["photos.test", "10.0.0.1"]);
        }
    }
    assert_eq!(config(&[], &[home], "").development, None);
}

#[test]
fn origins_are_read_as_browsers_write_them() {
    let origins = "https://App.Example:443,http://localhost:3000,http://[::1]:80,*";
    let config = Config::with([("preflight", "answer"), ("preflight_origins", origins)]).unwrap();
    let read = [
        "https://app.example",
        "http://localhost:3000",
        "http://[::1]",
        "*",
    ];
    assert_eq!(
        config.proxy.preflight,
        Preflight::Answer(read.map(ToOwned::to_owned).to_vec())
    );
    for odd in [
        "app.example",
        "https://app.example/",
        "https://a@b",
        "null",
        "ftp://a",
        "https://*.a",
    ] {
        let read = Config::with([("preflight_origins", odd)]);
        assert!(read.is_err(), "{odd}");
    }
}

#[test]
fn an_admin_address_beyond_loopback_is_allowed_with_a_token() {
    let token = "0123456789abcdef";
    let config = Config::with([("admin", "0.0.0.0:0"), ("admin_token", token)]).unwrap();
    assert!(
        config
            .ops
            .admin_token
            .as_ref()
            .unwrap()
            .matches(token.as_bytes())
    );
    assert!(
        !config
            .ops
            .admin_token
            .as_ref()
            .unwrap()
            .matches(b"0123456789abcdeg")
    );
    assert!(!config.check().contains(token) && !format!("{config:?}").contains(token));
    assert_eq!(Config::with([("admin", "off")]).unwrap().ops.admin, None);
}
