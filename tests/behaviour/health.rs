//! `graph-photo-proxy health`: whether the proxy of the same settings is ready, for whoever can run
//! a command and cannot ask by HTTP.

use std::fs;
use std::net::TcpListener;
use std::process::Command;

use rcgen::ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};

use crate::support::binary::Binary;
use crate::support::tls::{self, Authority, Folder};

/// Its exit code, and what it says on standard error.
fn health(settings: &[(&str, &str)]) -> (Option<i32>, String) {
    let flags = settings
        .iter()
        .map(|(key, value)| format!("--{}={value}", key.replace('_', "-")));
    let output = Command::new(env!("CARGO_BIN_EXE_graph-photo-proxy"))
        .arg("health")
        .args(flags)
        .env_clear()
        .output()
        .expect("the binary runs");
    let said = String::from_utf8(output.stderr).expect("output is UTF-8");
    (output.status.code(), said)
}

/// A proxy with an operator's listener of these settings, ready.
fn ready(settings: &[(&str, &str)]) -> Binary {
    let mut all = vec![("admin", "127.0.0.1:0")];
    all.extend(settings);
    let binary = Binary::start("http://127.0.0.1:9", &all);
    let admin = binary.admin.expect("it is on").to_string();
    all[0].1 = &admin;
    // It answers before it is ready.
    loop {
        let (code, said) = health(&all);
        if code == Some(0) {
            assert_eq!(said, "");
            return binary;
        }
        assert_eq!(said, "not ready: starting\n");
    }
}

/// Settings of a listener with TLS, by the files of a folder.
struct Files([(&'static str, String); 3]);

impl Files {
    fn of(folder: &Folder) -> Self {
        Self([
            ("admin_tls_cert", folder.path("cert.pem")),
            ("admin_tls_key", folder.path("key.pem")),
            ("admin_client_ca", folder.path("callers.pem")),
        ])
    }

    /// The pair alone.
    fn pair(&self) -> Vec<(&str, &str)> {
        self.all()[..2].to_vec()
    }

    fn all(&self) -> Vec<(&str, &str)> {
        self.0
            .iter()
            .map(|(key, path)| (*key, path.as_str()))
            .collect()
    }
}

#[test]
fn it_asks_the_proxy_of_the_same_settings_whether_it_is_ready() {
    let binary = ready(&[]);
    let port = binary.admin.unwrap().port();
    // A listener on every address is asked here; the command needs no token for that.
    let admin = format!("0.0.0.0:{port}");
    let token = ("admin_token", "a-token-of-the-operator");
    assert_eq!(health(&[("admin", &admin), token]).0, Some(0));
    let (code, said) = health(&[("admin", "off")]);
    assert_eq!(
        (code, said.as_str()),
        (Some(1), "admin is off, and /readyz is there\n")
    );
    drop(binary);
    let (code, said) = health(&[("admin", &format!("127.0.0.1:{port}"))]);
    assert_eq!(code, Some(1));
    assert!(
        said.starts_with("the admin listener at 127.0.0.1:"),
        "{said}"
    );
}

#[test]
fn over_tls_it_believes_the_listeners_own_certificate_and_no_other() {
    let folder = Folder::new("health");
    // Signed by a CA that nobody has heard of, for a name that nobody asks for.
    Authority::new("unknown").write(&folder, vec![ServerAuth]);
    let files = Files::of(&folder);
    let binary = ready(&files.pair());
    let admin = binary.admin.unwrap().to_string();
    let other = Folder::new("health-other");
    tls::certificate(&other);
    let (code, said) =
        health(&[&[("admin", admin.as_str())], &Files::of(&other).pair()[..]].concat());
    let expected =
        format!("what listens at {admin} shows another certificate than admin_tls_cert holds\n");
    assert_eq!((code, said), (Some(1), expected));
    // A pair that cannot be used leaves the listener with the one before: it is as ready as it was.
    fs::copy(other.path("key.pem"), folder.path("key.pem")).unwrap();
    let settings = [&[("admin", admin.as_str())], &files.pair()[..]].concat();
    assert_eq!(health(&settings), (Some(0), String::new()));
}

#[test]
fn over_tls_it_says_so_where_nobody_answers_in_it() {
    let folder = Folder::new("health-plain");
    tls::certificate(&folder);
    let files = Files::of(&folder);
    let plain = ready(&[]);
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = nobody.local_addr().unwrap();
    drop(nobody);
    for admin in [plain.admin.unwrap(), closed] {
        let admin = admin.to_string();
        let (code, said) = health(&[&[("admin", admin.as_str())], &files.pair()[..]].concat());
        let expected = format!("the admin listener at {admin} cannot be asked: ");
        assert_eq!(code, Some(1));
        assert!(said.starts_with(&expected), "{said}");
    }
}

#[test]
fn where_callers_must_show_a_certificate_it_shows_the_listeners_own() {
    let folder = Folder::new("health-mutual");
    let callers = Authority::new("callers");
    fs::write(folder.path("callers.pem"), callers.pem()).unwrap();
    callers.write(&folder, vec![ServerAuth, ClientAuth]);
    ready(&Files::of(&folder).all());
}

#[test]
fn where_the_listeners_own_certificate_is_none_of_a_caller_it_says_what_is_wanted() {
    let callers = Authority::new("callers");
    for (name, issuer, uses) in [
        ("server", &callers, vec![ServerAuth]),
        (
            "stranger",
            &Authority::new("others"),
            vec![ServerAuth, ClientAuth],
        ),
    ] {
        let folder = Folder::new(&format!("health-{name}"));
        fs::write(folder.path("callers.pem"), callers.pem()).unwrap();
        issuer.write(&folder, uses);
        let files = Files::of(&folder);
        let settings = [&[("admin", "127.0.0.1:0")], &files.all()[..]].concat();
        let binary = Binary::start("http://127.0.0.1:9", &settings);
        let admin = binary.admin.unwrap().to_string();
        let (code, said) = health(&[&[("admin", admin.as_str())], &files.all()[..]].concat());
        assert_eq!(code, Some(1), "{name}");
        let expected = format!(
            "the admin listener at {admin} hears only callers with a certificate of admin_client_ca; ask its /readyz with one, for admin_tls_cert, which health showed, was not taken: "
        );
        assert!(said.starts_with(&expected), "{name}: {said}");
    }
}
