//! What the operator meets before the first request: mistakes, help, the effective policy.

use std::process::{Command, Output};

fn run(args: &[&str], environment: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_graph-photo-proxy"))
        .args(args)
        .env_clear()
        .envs(environment.iter().copied())
        .output()
        .expect("the binary runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("output is UTF-8")
}

#[test]
fn bad_settings_end_with_64_and_are_all_on_standard_error() {
    let output = run(
        &["check", "--photo-ttl=soon", "--admin-token=hunter2"],
        &[("GRAPH_PHOTO_PROXY_SHARING", "everyone")],
    );
    assert_eq!(output.status.code(), Some(64));
    assert_eq!(text(&output.stdout), "");
    let said = text(&output.stderr);
    assert_eq!(said.lines().count(), 3, "{said}");
    for part in [
        "photo_ttl = \"soon\"",
        "admin_token = (hidden)",
        "sharing = \"everyone\"",
    ] {
        assert!(said.contains(part), "{said}");
    }
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn a_file_that_is_not_there_ends_with_64() {
    let output = run(&["--config", "/nowhere/proxy.toml"], &[]);
    assert_eq!(output.status.code(), Some(64));
    assert!(text(&output.stderr).starts_with("config = \"/nowhere/proxy.toml\" (flag --config): "));
}

#[test]
fn check_prints_the_effective_policy_and_ends() {
    let output = run(&["check"], &[("GRAPH_PHOTO_PROXY_PHOTO_TTL", "2h")]);
    assert_eq!(output.status.code(), Some(0));
    let said = text(&output.stdout);
    assert!(said.contains("photo_ttl = \"2h\"  # environment GRAPH_PHOTO_PROXY_PHOTO_TTL"));
    assert!(said.contains("# - Who may be given a stored photo: "));
}

#[test]
fn help_and_version_go_to_standard_output() {
    let output = run(&["--version"], &[]);
    assert_eq!(output.status.code(), Some(0));
    let version = concat!("graph-photo-proxy ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(text(&output.stdout), version);
    let output = run(&["--help"], &[]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).contains("--stale-while-revalidate <"));
}
