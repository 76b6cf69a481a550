//! What the operator may say, and what is said back.

mod mistakes;
mod policy;
mod sources;

use std::ffi::OsString;
use std::path::PathBuf;

use super::{Command, Config, Mistakes};

/// Reads flags, environment and a file called `proxy.toml`.
fn read(args: &[&str], environment: &[(&str, &str)], file: &str) -> Result<Command, Mistakes> {
    let pair = |(name, value): &(&str, &str)| (OsString::from(name), OsString::from(value));
    let named = (!file.is_empty()).then(|| "--config=proxy.toml".into());
    let args = named.into_iter().chain(args.iter().map(OsString::from));
    Command::read(args, environment.iter().map(pair), |path| {
        assert_eq!(path, PathBuf::from("proxy.toml"));
        Ok(file.to_owned())
    })
}

fn config(args: &[&str], environment: &[(&str, &str)], file: &str) -> Config {
    match read(args, environment, file) {
        Ok(Command::Serve(config)) => config,
        other => panic!("expected settings to serve with, got {other:?}"),
    }
}

fn mistakes(args: &[&str], environment: &[(&str, &str)], file: &str) -> Vec<String> {
    let mistakes = read(args, environment, file).expect_err("a mistake was expected");
    mistakes.iter().map(ToString::to_string).collect()
}
