use super::super::{Command, Config, SETTINGS, help, settings_table_markdown};
use super::{config, read};

#[test]
fn what_check_prints_is_a_file_that_gives_the_same_settings() {
    let changed = config(
        &[
            "--sharing=tenant",
            "--tenant-user-permissions=A.B,C.D",
            "--upstream-ca=a \"b\\c.pem",
            "--cloud=china",
        ],
        &[("GRAPH_PHOTO_PROXY_PHOTO_TTL", "90m")],
        "cache_status_key = true",
    );
    let again = config(&[], &[], &changed.check());
    for (before, after) in changed.effective.iter().zip(&again.effective) {
        assert_eq!((before.key, &before.value), (after.key, &after.value));
    }
    assert!(
        changed
            .check()
            .contains("photo_ttl = \"90m\"  # environment GRAPH_PHOTO_PROXY_PHOTO_TTL\n")
    );
}

#[test]
fn check_says_who_may_read_how_old_and_how_long_after_the_end() {
    let usual = Config::with([]).unwrap().policy().join("\n");
    assert!(usual.contains("a caller to whom Microsoft Graph itself has shown that photo"));
    assert!(usual.contains("How old a photo can get: 2h 6m while Microsoft Graph answers"));
    assert!(usual.contains("1d 1h 6m while it cannot be asked"));
    assert!(usual.contains("How long a revoked caller can still read: 15m after"));
    assert!(Config::with([]).unwrap().warnings().is_empty());
    for (setting, warning) in [
        (("sharing", "tenant"), "information barriers"),
        (("proof_ttl", "2h"), "for 2h."),
        (("listen", "0.0.0.0:8080"), "in plain text"),
        (("cache_memory", "1MiB"), "never stored"),
    ] {
        let warnings = Config::with([setting]).unwrap().warnings();
        assert!(
            warnings.len() == 1 && warnings[0].contains(warning),
            "{warnings:?}"
        );
    }
}

#[test]
fn an_admin_token_in_plain_text_from_beyond_this_machine_is_warned_of() {
    const TOKEN: (&str, &str) = ("admin_token", "0123456789abcdef");
    const TLS: [(&str, &str); 2] = [("admin_tls_cert", "cert.pem"), ("admin_tls_key", "key.pem")];
    for (admin, tls, warned) in [
        ("127.0.0.1:9090", false, false),
        ("[::1]:9090", false, false),
        ("off", false, false),
        ("0.0.0.0:9090", false, true),
        ("192.0.2.1:9090", false, true),
        ("[::]:9090", false, true),
        ("0.0.0.0:9090", true, false),
    ] {
        let settings = [("admin", admin), TOKEN];
        let settings = settings.into_iter().chain(TLS.into_iter().filter(|_| tls));
        let warnings = Config::with(settings).unwrap().warnings();
        let sentence = format!(
            "admin = \"{admin}\" takes admin_token in plain text from beyond this machine; admin_tls_cert and admin_tls_key would not."
        );
        let expected: Vec<_> = warned.then_some(sentence).into_iter().collect();
        assert_eq!(warnings, expected, "{admin}");
    }
}

#[test]
#[cfg(feature = "demo")]
fn a_word_says_what_to_do_wherever_it_stands() {
    for args in [&["demo", "--threads=2"][..], &["--threads", "2", "demo"]] {
        assert!(matches!(read(args, &[], ""), Ok(Command::Demo(config)) if config.threads == 2));
    }
}

#[test]
fn help_and_version_are_given_whatever_else_is_wrong() {
    for args in [
        &["--help"][..],
        &["-h"],
        &["help"],
        &["--bogus", "x", "--help"],
        &["-V", "-h"],
        &["--help=please"],
    ] {
        assert!(matches!(read(args, &[], ""), Ok(Command::Help)), "{args:?}");
    }
    for args in [
        &["--version"][..],
        &["-V"],
        &["version"],
        &["--bogus=1", "-V"],
    ] {
        assert!(
            matches!(read(args, &[], ""), Ok(Command::Version)),
            "{args:?}"
        );
    }
    assert!(matches!(
        read(&["check", "--threads=2"], &[], ""),
        Ok(Command::Check(_))
    ));
    let help = help();
    assert!(
        SETTINGS
            .iter()
            .all(|setting| help.contains(&format!("  {} <", setting.flag())))
    );
}

#[test]
fn readme_shows_the_settings_as_they_are() {
    let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let section = readme.split_once("<!-- settings -->").unwrap().1;
    let section = section.split_once("<!-- /settings -->").unwrap().0;
    let table: String = section
        .lines()
        .filter(|line| line.starts_with('|'))
        .flat_map(|line| [line, "\n"])
        .collect();
    assert_eq!(table, settings_table_markdown());
}
