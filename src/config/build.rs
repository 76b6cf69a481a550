//! Strings into the rooms' settings, and the rules between settings.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use http::Uri;

use super::mistake::{Mistake, Mistakes, Origin};
use super::raw::RawConfig;
use super::values::{Values, quoted, setting};
use super::{Config, parse};
use crate::cache::{CallerDirectives, UpstreamDirectives};
use crate::identity::{ExtraPermissions, Sharing};
use crate::ops::{LogFormat, Secret};
use crate::proxy::Preflight;
use crate::server::{Development, Listen, Tls, TlsFiles};
use crate::{cache, identity, ops, proxy, server, upstream};

/// Builds the settings, or says every mistake: those of the sources first, then these.
pub(super) fn build(raw: &RawConfig, mistakes: Vec<Mistake>) -> Result<Config, Mistakes> {
    let mut from = Values::new(raw, mistakes);
    let development = development(&mut from);
    let server = server(&mut from, development.as_ref());
    let idle_timeout = server.idle_timeout;
    let config = Config {
        server,
        development,
        identity: identity::Config {
            sharing: from.choice(
                "sharing",
                &[Sharing::Token, Sharing::Verified, Sharing::Tenant],
            ),
            proof_ttl: from.time("proof_ttl"),
            proofs: from.number("proofs"),
            member_roles: from.list("member_roles", parse::guid),
            extra_permissions: ExtraPermissions {
                users: from.list("tenant_user_permissions", parse::permission),
                groups: from.list("tenant_group_permissions", parse::permission),
                teams: from.list("tenant_team_permissions", parse::permission),
            },
        },
        cache: cache::Config {
            photo_ttl: from.time("photo_ttl"),
            absent_ttl: from.time("absent_ttl"),
            stale_while_revalidate: from.time("stale_while_revalidate"),
            stale_if_error: from.time("stale_if_error"),
            memory: cache::config::room_in(from.number("cache_memory")),
            max_photo: from.number("max_photo"),
            caller_directives: from.choice(
                "caller_directives",
                &[CallerDirectives::Ignore, CallerDirectives::Honour],
            ),
            upstream_directives: from.choice(
                "upstream_directives",
                &[UpstreamDirectives::Operator, UpstreamDirectives::Honour],
            ),
        },
        upstream: upstream(&mut from, idle_timeout),
        proxy: proxy::Config {
            waiting_callers: from.number("waiting_callers"),
            cache_status_key: from.switch("cache_status_key"),
            preflight: preflight(&mut from),
            public: public(&mut from),
            infer_absent: from.switch("infer_absent"),
            infer_etag: from.switch("infer_etag"),
            verify_by_metadata: from.switch("verify_by_metadata"),
            infer_names: from.switch("infer_names"),
            first_word: from.switch("first_word"),
            refresh_ahead: from.switch("refresh_ahead"),
            ask_names: from.switch("ask_names"),
        },
        ops: ops(&mut from),
        demo_listen: from.required("demo_listen", parse::address),
        threads: from.number("threads"),
        socket_names: raw.socket_names.clone(),
        effective: Vec::new(),
    };
    apart(&mut from, &config);
    if from.mistakes.is_empty() {
        let effective = from.effective;
        Ok(Config {
            effective,
            ..config
        })
    } else {
        Err(Mistakes(from.mistakes))
    }
}

fn server(from: &mut Values<'_>, development: Option<&Development>) -> server::Config {
    let listen = from.required("listen", |text| match text.strip_prefix("unix:") {
        Some("") => None,
        Some(path) => Some(Some(Listen::Unix(path.into()))),
        None if text == "off" => Some(None),
        None => parse::address(text).map(|address| Some(Listen::Tcp(address))),
    });
    let tls = match development {
        Some(development) => Some(Tls {
            listen: from
                .optional("tls_listen", parse::address)
                .unwrap_or(DEVELOPMENT),
            files: TlsFiles {
                cert: development.leaf(),
                key: development.leaf(),
                client_ca: from.file("tls_client_ca"),
            },
        }),
        None => tls(from),
    };
    if listen.is_none() && tls.is_none() && !from.is_set("tls_listen") {
        from.wrong(
            "listen",
            "off leaves no listener: set tls_listen, tls_cert and tls_key",
        );
    }
    server::Config {
        listen,
        tls,
        max_connections: from.number("max_connections"),
        max_connections_per_peer: Some(from.number("max_connections_per_peer"))
            .filter(|limit| *limit > 0),
        max_header_bytes: from.number("max_header_bytes"),
        max_streams: from.number("max_streams"),
        header_timeout: from.time("header_timeout"),
        idle_timeout: from.time("idle_timeout"),
        handshake_timeout: from.time("tls_handshake_timeout"),
        drain_timeout: from.time("drain_timeout"),
    }
}

fn tls(from: &mut Values<'_>) -> Option<Tls> {
    let listen = from.optional("tls_listen", parse::address);
    let files = files(
        from,
        &["tls_listen", "tls_cert", "tls_key"],
        "tls_client_ca",
    );
    Some(Tls {
        listen: listen?,
        files: files?,
    })
}

/// The files of a listener with TLS. All of `keys`, of which the last two are its certificate and
/// its key, or none; the CA of its callers only beside them.
fn files(from: &mut Values<'_>, keys: &[&str], client_ca: &str) -> Option<TlsFiles> {
    let set: Vec<&str> = keys
        .iter()
        .copied()
        .filter(|key| from.is_set(key))
        .collect();
    let beside = if set.is_empty() && from.is_set(client_ca) {
        vec![client_ca]
    } else {
        set.clone()
    };
    if !beside.is_empty() {
        for key in keys.iter().filter(|key| !set.contains(key)) {
            from.wrong(key, &format!("needed beside {}", beside.join(" and ")));
        }
    }
    let [.., cert, key] = keys else { return None };
    let (cert, key, client_ca) = (from.file(cert), from.file(key), from.file(client_ca));
    Some(TlsFiles {
        cert: cert?,
        key: key?,
        client_ca,
    })
}

/// Where TLS is listened for with a development certificate, when nobody says where.
const DEVELOPMENT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8443);

fn development(from: &mut Values<'_>) -> Option<Development> {
    let directory = from.file("tls_dev_dir");
    let names = from.list("tls_dev_names", parse::host);
    if !from.switch("tls_dev") {
        return None;
    }
    if !cfg!(feature = "tls-dev") {
        from.wrong("tls_dev", "this binary was built without tls-dev");
        return None;
    }
    for key in ["tls_cert", "tls_key"] {
        if from.is_set(key) {
            from.wrong(key, "cannot stand beside tls_dev, which makes its own");
        }
    }
    let origin = Origin::Setting("tls_dev");
    if !from.is_set("tls_listen") {
        from.show("tls_listen", &DEVELOPMENT.to_string(), origin.clone());
    }
    let directory = match (directory, &from.raw.state_home) {
        (Some(directory), _) => directory,
        (None, Some(home)) => {
            let directory = home.join("graph-photo-proxy");
            from.show("tls_dev_dir", &directory.to_string_lossy(), origin);
            directory
        }
        (None, None) => {
            if !from.is_set("tls_dev_dir") {
                from.wrong(
                    "tls_dev",
                    "needs tls_dev_dir where neither XDG_STATE_HOME nor HOME is set",
                );
            }
            return None;
        }
    };
    Some(Development { directory, names })
}

/// Where links are to lead, if they are to be changed.
fn public(from: &mut Values<'_>) -> Option<Uri> {
    let public = from.optional("public_url", parse::public);
    if !from.switch("rewrite_links") {
        return None;
    }
    if !from.is_set("public_url") {
        from.wrong(
            "rewrite_links",
            "needs public_url: where the links are to lead",
        );
    }
    public
}

fn preflight(from: &mut Values<'_>) -> Preflight {
    let origins = from.list("preflight_origins", parse::origin);
    if !from.choice("preflight", &[false, true]) {
        return Preflight::Pass;
    }
    if !from.is_set("preflight_origins") {
        from.wrong(
            "preflight",
            "answer needs preflight_origins: the origins of the pages to answer",
        );
    }
    Preflight::Answer(origins)
}

fn upstream(from: &mut Values<'_>, body_timeout: Duration) -> upstream::Config {
    let base = base(from);
    let (proxy, no_proxy) = egress(from, &base);
    upstream::Config {
        base,
        ca_file: from.file("upstream_ca"),
        connect_timeout: from.time("connect_timeout"),
        first_byte_timeout: from.time("upstream_timeout"),
        photo_timeout: from.time("photo_timeout"),
        // As long as a connection may stand still inside a request.
        body_timeout,
        concurrency: from.number("upstream_concurrency"),
        queue: from.number("upstream_queue"),
        throttle_cap: from.time("throttle_cap"),
        // One found in HTTPS_PROXY was not meant for this machine itself.
        proxy_for_loopback: from.is_set("upstream_proxy"),
        proxy,
        no_proxy,
    }
}

/// Where Graph is: what `upstream` says, or else the cloud's own address.
fn base(from: &mut Values<'_>) -> Uri {
    let cloud = from.choice(
        "cloud",
        &[
            "https://graph.microsoft.com",
            "https://graph.microsoft.us",
            "https://dod-graph.microsoft.us",
            "https://microsoftgraph.chinacloudapi.cn",
        ],
    );
    let said = from.required("upstream", parse::upstream);
    let ours = parse::upstream(cloud).expect("the clouds' addresses are https URLs");
    let global = from.text("cloud") == setting("cloud").default;
    if !from.is_set("upstream") {
        if !global {
            from.show("upstream", cloud, Origin::Setting("cloud"));
        }
        return ours;
    }
    if !global && said != ours && parse::upstream(&from.text("upstream")).is_some() {
        let expected =
            format!("disagrees with cloud, which is at {cloud}: set only one of the two");
        from.wrong("upstream", &expected);
    }
    said
}

/// The egress proxy: the setting's, or else what the environment says for `https`. `NO_PROXY`
/// belongs to the latter, and neither of these is asked on the way to this machine itself: a proxy that was set by name is not left aside for a list elsewhere.
fn egress(from: &mut Values<'_>, base: &Uri) -> (Option<Uri>, Option<String>) {
    if from.is_set("upstream_proxy") {
        let read = |text: &str| match text {
            "none" => Some(None),
            _ => parse::egress(text).map(Some),
        };
        return (from.optional("upstream_proxy", read).flatten(), None);
    }
    let https = base.scheme() == Some(&http::uri::Scheme::HTTPS);
    let beyond = https && !base.host().is_some_and(parse::is_loopback);
    let Some((name, text)) = from.raw.https_proxy.as_ref().filter(|_| beyond) else {
        return (None, None);
    };
    let full = if text.contains("://") {
        text.clone()
    } else {
        format!("http://{text}")
    };
    let origin = Origin::Environment(name.clone());
    let Some(proxy) = parse::egress(&full) else {
        from.mistakes.push(Mistake {
            setting: "upstream_proxy".to_owned(),
            value: Some(quoted(&parse::without_password(text))),
            origin: Some(origin),
            expected: format!("expected {}", setting("upstream_proxy").kind.expectation()),
        });
        return (None, None);
    };
    from.show("upstream_proxy", &full, origin);
    (Some(proxy), from.raw.no_proxy.clone())
}

fn ops(from: &mut Values<'_>) -> ops::Config {
    let admin: Option<SocketAddr> = from.required("admin", |text| match text {
        "off" => Some(None),
        _ => parse::address(text).map(Some),
    });
    let admin_token = from.optional("admin_token", |text| {
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        (visible && (16..=256).contains(&text.len())).then(|| Secret::new(text))
    });
    let admin_tls = files(
        from,
        &["admin_tls_cert", "admin_tls_key"],
        "admin_client_ca",
    );
    let guarded = from.is_set("admin_token") || from.is_set("admin_client_ca");
    if admin.is_some_and(|address| !address.ip().is_loopback()) && !guarded {
        from.wrong(
            "admin",
            "an address beyond loopback needs admin_token or admin_client_ca",
        );
    }
    let otlp_endpoint = from.optional("otlp_endpoint", parse::collector);
    if otlp_endpoint.is_some() && !cfg!(feature = "otlp") {
        from.wrong(
            "otlp_endpoint",
            "this binary was built without the feature otlp",
        );
    }
    let directive = |text: &str| {
        ops::telemetry::directive(text)
            .ok()
            .map(|_| text.to_owned())
    };
    ops::Config {
        admin,
        admin_token,
        admin_tls,
        log: from.required("log", directive),
        log_format: from.choice("log_format", &[LogFormat::Text, LogFormat::Json]),
        notify_socket: from.raw.notify_socket.clone(),
        otlp_endpoint,
    }
}

/// No two listeners at one address; port 0 is a free one each time.
fn apart(from: &mut Values<'_>, config: &Config) {
    let listen = match &config.server.listen {
        Some(Listen::Tcp(address)) => Some(*address),
        _ => None,
    };
    let tls = config.server.tls.as_ref().map(|tls| tls.listen);
    for (key, one, other_key, other) in [
        ("tls_listen", tls, "listen", listen),
        ("admin", config.ops.admin, "listen", listen),
        ("admin", config.ops.admin, "tls_listen", tls),
    ] {
        if one.is_some_and(|address| address.port() != 0) && one == other {
            from.wrong(key, &format!("the same address as {other_key}"));
        }
    }
}
