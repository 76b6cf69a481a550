//! The settings said back to the operator: `--help`, README's table, `check`.

use std::fmt::Write as _;
use std::time::Duration;

use super::{Config, Effective, Kind, SETTINGS, Setting};
use crate::cache::{CallerDirectives, UpstreamDirectives};
use crate::identity::Sharing;
use crate::ops;
use crate::server::Listen;

/// The longest lifetime of a proof that passes without a warning.
const LONG_PROOF: Duration = Duration::from_secs(3600);

/// What `--help` prints.
pub fn help() -> String {
    let mut out = String::from(
        "A caching reverse proxy for Microsoft Graph profile photos.\n\n\
         Usage: graph-photo-proxy [COMMAND] [--SETTING VALUE]...\n\n\
         Commands:\n\
         \x20 (none)     serve until SIGTERM or SIGINT\n\
         \x20 check      print the effective policy and end\n\
         \x20 health     ask the proxy that runs with these settings whether it is ready\n",
    );
    if cfg!(feature = "demo") {
        out.push_str(
            "  demo       serve before a simulated Microsoft Graph, with a page to look at\n",
        );
    }
    out.push_str(
        "  help       print this (-h, --help)\n\
         \x20 version    print the version (-V, --version)\n\n\
         Every setting is a flag (--photo-ttl 2h), an environment variable\n\
         (GRAPH_PHOTO_PROXY_PHOTO_TTL=2h) and a line of the TOML file that --config FILE or\n\
         GRAPH_PHOTO_PROXY_CONFIG names (photo_ttl = \"2h\"). A flag goes before the environment,\n\
         the environment before the file.\n\nSettings:\n",
    );
    for setting in SETTINGS {
        let default = match setting.default {
            "" => "none",
            default => default,
        };
        let _ = write!(
            out,
            "  {} <{}>\n      {}\n      [default: {default}]\n",
            setting.flag(),
            setting.kind.expectation().replace('`', ""),
            setting.meaning.replace('`', "")
        );
    }
    out.push_str("\nExit codes: 0 done, 64 a setting is wrong, 1 anything else.\n");
    out
}

/// README's table of the settings.
pub fn settings_table_markdown() -> String {
    let mut out = String::from("| key | default | value | meaning |\n|---|---|---|---|\n");
    for setting in SETTINGS {
        let default = match setting.default {
            "" => "none".to_owned(),
            default => format!("`{default}`"),
        };
        let value = values(setting);
        let _ = writeln!(
            out,
            "| `{}` | {default} | {value} | {} |",
            setting.key, setting.meaning
        );
    }
    out
}

/// What may stand there, short enough for a column.
fn values(setting: &Setting) -> String {
    match setting.kind {
        Kind::Choice(words) => {
            let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
            words.join(", ")
        }
        Kind::Switch => "`true`, `false`".to_owned(),
        Kind::Time(least, most) | Kind::Size(least, most) => format!("`{least}` to `{most}`"),
        Kind::Count(least, most) => format!("{least} to {most}"),
        kind => kind.expectation(),
    }
}

impl Config {
    /// What `check` prints: the settings as a TOML file that would give them again, each with
    /// its origin, and then the policy in plain words.
    pub fn check(&self) -> String {
        let mut out = String::from("# The settings as they hold, each with its origin.\n");
        for entry in &self.effective {
            out.push_str(&line(entry));
        }
        out.push_str("\n# The policy in plain words.\n");
        for sentence in self.policy() {
            let _ = writeln!(out, "# - {sentence}");
        }
        for warning in self.warnings() {
            let _ = writeln!(out, "# warning: {warning}");
        }
        out
    }

    /// The policy in plain words: who may be given a stored photo, how old it can get, how
    /// long a revoked caller can still read.
    pub fn policy(&self) -> Vec<String> {
        let who = match self.identity.sharing {
            Sharing::Token => {
                "Who may be given a stored photo: only the very token that Microsoft Graph gave it to."
            }
            Sharing::Verified => {
                "Who may be given a stored photo: a caller to whom Microsoft Graph itself has shown that photo, for that caller's own token."
            }
            Sharing::Tenant => {
                "Who may be given a stored photo: any member of the same tenant whose token Microsoft Graph has accepted, has shown another photo of that kind, and whose permissions cover the kind; everyone else only after Microsoft Graph has shown that caller that very photo."
            }
        };
        let cache = &self.cache;
        // Lifetimes are spread by a tenth either way, so that they do not all end at once.
        let longest = cache.photo_ttl.saturating_add(cache.photo_ttl / 10);
        let refreshed = longest.saturating_add(cache.stale_while_revalidate);
        let failing =
            longest.saturating_add(cache.stale_if_error.max(cache.stale_while_revalidate));
        let freshness = match cache.upstream_directives {
            UpstreamDirectives::Operator => "",
            UpstreamDirectives::Honour => ", unless Microsoft Graph's answer says otherwise",
        };
        let lost = match self.identity.sharing {
            Sharing::Token | Sharing::Verified => {
                "until the photo is next revalidated for that caller"
            }
            Sharing::Tenant => {
                "as long as its token is accepted and its permissions cover the kind, or where they do not, until the photo is next revalidated for that caller"
            }
        };
        let proof = words(self.identity.proof_ttl);
        let (longest, refreshed, failing) = (words(longest), words(refreshed), words(failing));
        let mut policy = vec![
            who.to_owned(),
            format!(
                "How old a photo can get: {refreshed} while Microsoft Graph answers ({longest} fresh, then shown while it is revalidated), {failing} while it cannot be asked{freshness}."
            ),
            format!(
                "How long a revoked caller can still read: {proof} after Microsoft Graph last accepted the token, never beyond the token's own end, and not once Microsoft Graph has answered that token with 401."
            ),
            format!(
                "How long a caller who may no longer see one photo can still read it: {lost}, {refreshed} at most ({failing} while Microsoft Graph cannot be asked), and not once Microsoft Graph has answered 403."
            ),
        ];
        if cache.caller_directives == CallerDirectives::Honour {
            policy.push("Callers who send no-cache or no-store make Microsoft Graph be asked every time; the stock .NET SDK always does.".to_owned());
        }
        policy
    }

    /// What is allowed and yet worth a second look.
    pub fn warnings(&self) -> Vec<String> {
        let ops = &self.ops;
        let mut warnings = Vec::new();
        if self.identity.sharing == Sharing::Tenant {
            warnings.push("sharing = \"tenant\" gives stored photos by tenant and permission: information barriers and other rules between single people do not apply to them, and guests are told from members by their token alone.".to_owned());
        }
        if self.identity.proof_ttl > LONG_PROOF {
            let proof = words(self.identity.proof_ttl);
            warnings.push(format!(
                "proof_ttl lets a revoked token read stored photos for {proof}."
            ));
        }
        if let Some(Listen::Tcp(address)) = &self.server.listen
            && !address.ip().is_loopback()
        {
            warnings.push(format!("listen = \"{address}\" takes tokens in plain text from beyond this machine; tls_listen would not."));
        }
        if let (Some(address), Some(_), None) = (ops.admin, &ops.admin_token, &ops.admin_tls)
            && !address.ip().is_loopback()
        {
            warnings.push(ops::plain_token(address));
        }
        if self.cache.max_photo as u64 > self.cache.memory {
            warnings.push(
                "max_photo is larger than what cache_memory leaves for photos: those between the two are never stored."
                    .to_owned(),
            );
        }
        warnings
    }
}

fn line(entry: &Effective) -> String {
    let Effective { key, origin, .. } = entry;
    match &entry.value {
        None => format!("# {key}: none  ({origin})\n"),
        Some(value) if entry.hidden => format!("# {key} = {value}  ({origin})\n"),
        Some(value) => format!("{key} = {value}  # {origin}\n"),
    }
}

/// A duration as people say it: `1h 6m`.
fn words(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let units = [
        (seconds / 86_400, "d"),
        (seconds / 3_600 % 24, "h"),
        (seconds / 60 % 60, "m"),
        (seconds % 60, "s"),
        (u64::from(duration.subsec_millis()), "ms"),
    ];
    let said: Vec<String> = units
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, unit)| format!("{count}{unit}"))
        .collect();
    if said.is_empty() {
        "0s".to_owned()
    } else {
        said.join(" ")
    }
}
