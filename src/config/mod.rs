//! Settings: flags, environment, file, defaults. The only reader of any of them.
//!
//! `SETTINGS` below is the one table: `--help`, README and every check speak from it. A new
//! setting is a line there, a field in its room's `Config`, and a line in `build`.
//!
//! A flag goes before the environment, the environment before the file, the file before the
//! default. Every mistake is collected and all are reported at once; a secret's value, or the
//! value of a name we do not know, is never part of the report.
//!
//! Read `raw`, then `parse`, then `build`.

mod build;
mod mistake;
mod parse;
mod policy;
mod raw;
#[cfg(test)]
mod tests;
mod values;

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

pub use mistake::{Mistake, Mistakes, Origin};
pub use policy::{help, settings_table_markdown};

use crate::{cache, identity, ops, proxy, server, upstream};

/// Every setting: key, default (empty is none), what may stand there, meaning.
#[rustfmt::skip] // one line a setting, so that the table reads as one
pub const SETTINGS: &[Setting] = &[
    setting("listen", "127.0.0.1:8080", Text("`HOST:PORT` (an IP address or `localhost`), `unix:PATH`, or `off` where tls_listen is set"), "where callers connect"),
    setting("cloud", "global", Choice(&["global", "us-gov", "us-gov-dod", "china"]), "which Microsoft Graph to ask"),
    setting("upstream", "https://graph.microsoft.com", Url("`https://HOST[:PORT]` without path or query, or `http://` to a loopback address"), "where Graph is, when `cloud` does not say it"),
    setting("upstream_ca", "", File, "roots to trust besides the system's (PEM)"),
    setting("upstream_proxy", "", Url("`http://[USER:PASSWORD@]HOST:PORT`, or `none` to ignore HTTPS_PROXY"), "the egress proxy; when not set, HTTPS_PROXY and NO_PROXY rule"),
    setting("tls_listen", "", Text("`HOST:PORT` (an IP address or `localhost`)"), "a second listener, with TLS"),
    setting("tls_cert", "", File, "its certificate chain (PEM)"),
    setting("tls_key", "", File, "its private key (PEM)"),
    setting("tls_client_ca", "", File, "the CA whose certificates its callers must show (PEM); nobody's when not set"),
    setting("tls_dev", "false", Switch, "whether tls_listen (`127.0.0.1:8443` when not set) has a certificate for development, made here, instead"),
    setting("tls_dev_names", "", List("host names or IP addresses"), "what that certificate is for besides `localhost`, `127.0.0.1` and `::1`"),
    setting("tls_dev_dir", "", File, "where it and its CA are kept; when not set, `graph-photo-proxy` in XDG_STATE_HOME or `~/.local/state`"),
    setting("sharing", "verified", Choice(&["token", "verified", "tenant"]), "who may be given a stored photo: the same token, a caller Graph has let have it, or members of the tenant"),
    setting("photo_ttl", "1h", Time("0s", "30d"), "how long a photo, its metadata or a list is fresh, give or take a tenth"),
    setting("absent_ttl", "10m", Time("0s", "30d"), "how long \"no photo\" is fresh, give or take a tenth"),
    setting("proof_ttl", "15m", Time("1s", "1d"), "how long Graph's word about a token is believed"),
    setting("stale_while_revalidate", "1h", Time("0s", "30d"), "how long an expired photo may be shown while it is revalidated; never beyond the caller's proof"),
    setting("stale_if_error", "24h", Time("0s", "30d"), "how long an expired photo may be shown while Graph cannot be asked; never beyond the caller's proof"),
    setting("caller_directives", "ignore", Choice(&["ignore", "honour"]), "whether callers' Cache-Control is obeyed"),
    setting("upstream_directives", "operator", Choice(&["operator", "honour"]), "what rules freshness: the lifetimes here, or what Graph's answer says; `no-store` and `Vary` are obeyed either way"),
    setting("preflight", "pass", Choice(&["pass", "answer"]), "whether preflights of photo reads go to Graph, or are answered here for `preflight_origins`"),
    setting("preflight_origins", "", List("origins such as `https://app.example`, or `*`"), "pages of which origins are answered; others' preflights still go to Graph"),
    setting("rewrite_links", "false", Switch, "whether links to Graph in answers that pass through are made links to `public_url`"),
    setting("public_url", "", Url("`https://HOST[:PORT]` or `http://HOST[:PORT]` without path or query"), "the proxy's address as its callers have it"),
    setting("refresh_ahead", "true", Switch, "whether a photo in demand is refreshed shortly before it expires"),
    setting("infer_absent", "true", Switch, "whether \"no photo\" of the largest size answers for the other sizes too, and of the metadata for a picture that another caller has just not found"),
    setting("infer_etag", "true", Switch, "whether a photo's tag and the tag in its metadata speak for each other"),
    setting("verify_by_metadata", "true", Switch, "whether a caller is verified by a photo's metadata, under the same tag, where Graph ignores `If-None-Match` and while another caller downloads the photo"),
    setting("infer_names", "true", Switch, "whether a picture held by a person's object id answers for the principal name too, once Graph has told that both are one person's"),
    setting("first_word", "true", Switch, "whether the held faces of a page wait for Graph's first answer to a new token, and are not all asked for"),
    setting("ask_names", "false", Switch, "whether Graph is asked for the ids and names of the directory, so that both names of a person are known to be one's (`sharing = \"tenant\"`)"),
    setting("cache_memory", "256MiB", Size("1MiB", "1TiB"), "memory that the process keeps to; photos have all but 20 MiB of it, and half of less than 40 MiB"),
    setting("max_photo", "4MiB", Size("1KiB", "256MiB"), "the largest photo that is stored; a larger one streams"),
    setting("proofs", "100000", Count(1, 100_000_000), "how many tokens are remembered, each by a keyed hash"),
    setting("member_roles", "b79fbf4d-3ef9-4689-8143-76b194e85509", List("directory role GUIDs"), "directory roles that show a caller to be a member and not a guest (`sharing = \"tenant\"`)"),
    setting("tenant_user_permissions", "", List("permission names"), "permissions that cover users' photos besides the documented ones (`sharing = \"tenant\"`)"),
    setting("tenant_group_permissions", "", List("permission names"), "the same for groups' photos"),
    setting("tenant_team_permissions", "", List("permission names"), "the same for teams' photos"),
    setting("connect_timeout", "3s", Time("1ms", "5m"), "to a connection with Graph"),
    setting("upstream_timeout", "10s", Time("1ms", "10m"), "to the first byte of an answer"),
    setting("photo_timeout", "30s", Time("1ms", "1h"), "to the last byte of a photo"),
    setting("upstream_concurrency", "4", Count(1, 10_000), "photo requests in flight per tenant and application"),
    setting("upstream_queue", "1000", Count(0, 1_000_000), "photo requests waiting for their turn, per tenant and application: so many with tokens that Graph has accepted, and so many with others"),
    setting("throttle_cap", "15m", Time("1s", "1d"), "the longest `Retry-After` believed; a longer one counts as this"),
    setting("waiting_callers", "10000", Count(1, 1_000_000), "callers waiting for Graph at once"),
    setting("max_connections", "10000", Count(1, 1_000_000), "open connections"),
    setting("max_connections_per_peer", "0", Count(0, 1_000_000), "open connections of one address; 0 is no limit, because behind one app a peer is the whole app"),
    setting("max_header_bytes", "32KiB", Size("8KiB", "1MiB"), "header section of one request"),
    setting("max_streams", "128", Count(1, 10_000), "requests at once on one HTTP/2 connection"),
    setting("header_timeout", "10s", Time("1ms", "10m"), "to the end of a request's header section"),
    setting("idle_timeout", "75s", Time("1ms", "1d"), "how long a connection may stay open with no request"),
    setting("tls_handshake_timeout", "10s", Time("1ms", "10m"), "to the end of a TLS handshake"),
    setting("drain_timeout", "20s", Time("0s", "1h"), "how long open requests may go on after the signal to stop"),
    setting("threads", "0", Count(0, 1024), "worker threads; 0 is one per core"),
    setting("admin", "127.0.0.1:9090", Text("`HOST:PORT` (an IP address or `localhost`), or `off`"), "admin listener: dashboard, metrics, health; beyond loopback only with `admin_token` or `admin_client_ca`"),
    setting("admin_token", "", Secret, "what the admin listener asks for as a bearer token"),
    setting("admin_tls_cert", "", File, "certificate chain of the admin listener (PEM), which then speaks TLS"),
    setting("admin_tls_key", "", File, "its private key (PEM)"),
    setting("admin_client_ca", "", File, "the CA whose certificates the admin listener's callers must show (PEM), probes too"),
    setting("cache_status_key", "false", Switch, "whether Cache-Status names the key"),
    setting("demo_listen", "127.0.0.1:8088", Text("`HOST:PORT` (an IP address or `localhost`)"), "where `graph-photo-proxy demo` serves its page"),
    setting("log", "info", Text("a filter such as `info` or `graph_photo_proxy=debug`"), "what is logged"),
    setting("otlp_endpoint", "", Url("`http://HOST[:PORT]` without path or query"), "an OpenTelemetry collector that traces are exported to (OTLP/HTTP, JSON); needs the feature `otlp`"),
    setting("log_format", "text", Choice(&["text", "json"]), "how a log line looks"),
];

use Kind::{Choice, Count, File, List, Secret, Size, Switch, Text, Time, Url};

/// One line of [`SETTINGS`].
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Its name in the file; the flag and the environment variable follow from it.
    pub key: &'static str,
    /// What holds when nobody says anything; empty is none.
    pub default: &'static str,
    /// What may stand there.
    pub kind: Kind,
    /// What it does, in a few words of Markdown.
    pub meaning: &'static str,
}

/// What may stand as a setting's value. Bounds are part of the range.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// What the words say; read by its own rule.
    Text(&'static str),
    /// The same, and a user and password before an `@` are never shown.
    Url(&'static str),
    /// 16 to 256 visible ASCII characters that are never shown.
    Secret,
    /// A path to a file.
    File,
    /// `true` or `false`.
    Switch,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A list of what the words say; with commas between in flags and the environment.
    List(&'static str),
    /// A duration, shortest and longest.
    Time(&'static str, &'static str),
    /// A number of bytes, smallest and largest.
    Size(&'static str, &'static str),
    /// A whole number, smallest and largest.
    Count(u64, u64),
}

/// Everything the operator has said, in the shape of the rooms it is for.
#[derive(Clone)]
pub struct Config {
    /// For the listeners.
    pub server: server::Config,
    /// The certificate to be made for them; given only where the feature `tls-dev` is built in.
    pub development: Option<server::Development>,
    /// For who may share an answer.
    pub identity: identity::Config,
    /// For what is held.
    pub cache: cache::Config,
    /// For asking Graph.
    pub upstream: upstream::Config,
    /// For the narrator.
    pub proxy: proxy::Config,
    /// For what the operator sees.
    pub ops: ops::Config,
    /// Where the demo serves its page.
    pub demo_listen: SocketAddr,
    /// Worker threads; 0 is one per core.
    pub threads: usize,
    /// What sockets that a service manager hands over are for (`LISTEN_FDNAMES`,
    /// `sd_listen_fds(3)`).
    pub socket_names: String,
    /// Every setting as it holds, in the order of [`SETTINGS`], for showing.
    pub effective: Vec<Effective>,
}

/// One setting as it holds, for showing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    /// Which one.
    pub key: &'static str,
    /// Its value as TOML; `None` is none. Never a secret's.
    pub value: Option<String>,
    /// Who said so.
    pub origin: Origin,
    /// Whether the value, or a part of it, is left out because it is secret.
    pub hidden: bool,
}

/// What the operator wants done.
#[derive(Debug, Clone)]
pub enum Command {
    /// Serve until told to stop.
    Serve(Config),
    /// Print the effective policy and end.
    Check(Config),
    /// Ask the running proxy whether it is ready, and end.
    Health(Config),
    /// Serve before a simulated Graph. Given only where the feature `demo` is built in.
    Demo(Config),
    /// Print how to use the program and end.
    Help,
    /// Print the version and end.
    Version,
}

impl Command {
    /// Reads this process's arguments, environment and file.
    ///
    /// # Errors
    /// Every mistake in them.
    pub fn from_process() -> Result<Self, Mistakes> {
        #[expect(clippy::disallowed_methods, reason = "this is the reader of arguments")]
        let args = std::env::args_os().skip(1);
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the reader of the environment"
        )]
        let environment = std::env::vars_os();
        Self::read(args, environment, |path| std::fs::read_to_string(path))
    }

    /// Reads `args` (without the program's name), `environment`, and the file they name
    /// through `file`.
    ///
    /// # Errors
    /// Every mistake in them.
    pub fn read(
        args: impl IntoIterator<Item = OsString>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        file: impl FnOnce(&Path) -> io::Result<String>,
    ) -> Result<Self, Mistakes> {
        let (raw, mistakes) = raw::read(args, environment, file);
        match raw.verb {
            raw::Verb::Help => return Ok(Self::Help),
            raw::Verb::Version => return Ok(Self::Version),
            raw::Verb::Serve | raw::Verb::Check | raw::Verb::Health | raw::Verb::Demo => {}
        }
        let config = build::build(&raw, mistakes)?;
        Ok(match raw.verb {
            raw::Verb::Check => Self::Check(config),
            raw::Verb::Health => Self::Health(config),
            raw::Verb::Demo => Self::Demo(config),
            _ => Self::Serve(config),
        })
    }
}

impl Config {
    /// The defaults, with these settings as if given by flags. Reads nothing else.
    ///
    /// # Errors
    /// Every mistake in them.
    pub fn with<'a>(
        settings: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, Mistakes> {
        let args = settings
            .into_iter()
            .map(|(key, value)| OsString::from(format!("--{key}={value}")));
        let (raw, mistakes) = raw::read(args, [], |_| Err(io::ErrorKind::NotFound.into()));
        build::build(&raw, mistakes)
    }
}

impl Setting {
    /// `--photo-ttl`
    pub fn flag(&self) -> String {
        format!("--{}", self.key.replace('_', "-"))
    }

    /// `GRAPH_PHOTO_PROXY_PHOTO_TTL`
    pub fn variable(&self) -> String {
        format!("{}{}", raw::PREFIX, self.key.to_ascii_uppercase())
    }
}

impl Kind {
    /// What may stand there, as the end of "expected …".
    pub fn expectation(&self) -> String {
        match self {
            Text(words) | Url(words) => (*words).to_owned(),
            Secret => "16 to 256 visible ASCII characters".to_owned(),
            File => "a path".to_owned(),
            Switch => "true or false".to_owned(),
            Choice(words) => format!("one of {}", words.join(", ")),
            List(words) => format!("a list of {words}"),
            Time(least, most) => {
                format!("a duration from {least} to {most}, such as 500ms, 2s, 15m, 1h or 1d")
            }
            Size(least, most) => {
                format!("a size from {least} to {most}, such as 64KiB, 256MiB or plain bytes")
            }
            Count(least, most) => format!("a whole number from {least} to {most}"),
        }
    }
}

const fn setting(
    key: &'static str,
    default: &'static str,
    kind: Kind,
    meaning: &'static str,
) -> Setting {
    Setting {
        key,
        default,
        kind,
        meaning,
    }
}

/// Shows what may be shown: the settings as they hold.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("effective", &self.effective)
            .finish_non_exhaustive()
    }
}
