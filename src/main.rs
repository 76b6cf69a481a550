//! Arguments, then settings, then [`graph_photo_proxy::app`]; nothing worth testing lives here.

use std::error::Error;
use std::io::{self, Write as _};
use std::process::ExitCode;

use graph_photo_proxy::app::{self, App};
use graph_photo_proxy::config::{self, Command, Config};
use graph_photo_proxy::ops::{health, reload, telemetry};
use graph_photo_proxy::server::Inherited;
use tokio::signal::unix::{SignalKind, signal};

/// Gives what is no longer held back to the system, which glibc's does not.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// A setting is wrong (BSD `sysexits.h`: `EX_USAGE`).
const BAD_SETTING: u8 = 64;

fn main() -> ExitCode {
    let command = match Command::from_process() {
        Ok(command) => command,
        Err(mistakes) => {
            let _ = writeln!(io::stderr(), "{mistakes}");
            return ExitCode::from(BAD_SETTING);
        }
    };
    match command {
        Command::Help => print(&config::help()),
        Command::Version => print(concat!(
            "graph-photo-proxy ",
            env!("CARGO_PKG_VERSION"),
            "\n"
        )),
        Command::Check(config) => print(&config.check()),
        Command::Health(config) => ended(health::ask(&config.ops).map_err(Into::into)),
        Command::Serve(config) => ended(serve_or_inherit(config)),
        #[cfg(feature = "demo")]
        Command::Demo(config) => ended(serve(config, App::bind_demo)),
        #[cfg(not(feature = "demo"))]
        Command::Demo(_) => ExitCode::from(BAD_SETTING),
    }
}

fn ended(end: Result<(), Box<dyn Error>>) -> ExitCode {
    match end {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "{}", chain(&*error));
            ExitCode::FAILURE
        }
    }
}

/// Serves on the sockets that a service manager has bound, and on addresses of its own where
/// there are none.
fn serve_or_inherit(config: Config) -> Result<(), Box<dyn Error>> {
    let inherited = Inherited::take(&config.socket_names)?;
    serve(config, |config| App::bind_or_inherit(config, inherited))
}

fn serve(
    config: Config,
    bind: impl FnOnce(Config) -> Result<App, app::Error>,
) -> Result<(), Box<dyn Error>> {
    telemetry::start(&config.ops)?;
    for sentence in config.policy() {
        tracing::info!("{sentence}");
    }
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if config.threads > 0 {
        runtime.worker_threads(config.threads);
    }
    let runtime = runtime.enable_all().build()?;
    let ended = runtime.block_on(async {
        // Before anything is printed: whoever reads an address may send a signal at once.
        let (mut stop, mut interrupt, hangup) = (
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
            signal(SignalKind::hangup())?,
        );
        let app = bind(config)?;
        let reloads = reload::follow(app.reloader(), hangup, Command::from_process);
        let reloads = tokio::spawn(reloads);
        for (name, address) in app.addresses() {
            print(&format!("{name} {address}\n"));
        }
        app.run(async move {
            tokio::select! {
                _ = stop.recv() => {}
                _ = interrupt.recv() => {}
            }
        })
        .await?;
        reloads.abort();
        Ok(())
    });
    // A purge that still walks through what is held keeps nobody from leaving.
    runtime.shutdown_background();
    ended
}

/// Prints to standard output. A reader who has left is no failure: `check | head`.
fn print(text: &str) -> ExitCode {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    ExitCode::SUCCESS
}

/// An error and its causes in one line.
fn chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        // Some errors tell their cause themselves.
        if !line.ends_with(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        cause = error.source();
    }
    line
}
