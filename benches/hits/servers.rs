//! The servers under test, each a process of its own on a core of its own, and their time.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::Outcome;
use crate::world::Kind;

/// Who can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    /// A bare epoll loop.
    Kernel,
    /// hyper and a hash map.
    Hyper,
    /// Bytes both ways, not looked at.
    Relay,
    /// hyper in front of hyper's client.
    Passing,
    /// What this is about.
    Proxy,
    /// The same of another build.
    OtherBuild,
    Nginx,
    Haproxy,
    Varnish,
    TrafficServer,
}

impl Who {
    pub(crate) const PEERS: [Self; 4] = [
        Self::Nginx,
        Self::Haproxy,
        Self::Varnish,
        Self::TrafficServer,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel (bare epoll)",
            Self::Hyper => "bare hyper",
            Self::Relay => "relay (bare epoll)",
            Self::Passing => "bare hyper, passing on",
            Self::Proxy => "graph-photo-proxy",
            Self::OtherBuild => "the other build",
            Self::Nginx => "nginx",
            Self::Haproxy => "HAProxy",
            Self::Varnish => "Varnish",
            Self::TrafficServer => "Traffic Server",
        }
    }

    /// The command that has to be there.
    const fn command(self) -> Option<&'static str> {
        match self {
            Self::Kernel
            | Self::Hyper
            | Self::Relay
            | Self::Passing
            | Self::Proxy
            | Self::OtherBuild => None,
            Self::Nginx => Some("nginx"),
            Self::Haproxy => Some("haproxy"),
            Self::Varnish => Some("varnishd"),
            Self::TrafficServer => Some("traffic_server"),
        }
    }

    /// Whether it can be run here.
    pub(crate) fn is_here(self) -> bool {
        self.command().is_none_or(|command| {
            ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"]
                .iter()
                .any(|place| Path::new(place).join(command).exists())
        })
    }
}

/// A server that runs; it ends with this.
pub(crate) struct Server {
    pub(crate) who: Who,
    pub(crate) plain: SocketAddr,
    pub(crate) tls: Option<SocketAddr>,
    child: Child,
    /// Its files, in memory.
    place: PathBuf,
}

/// The place of all certificates.
pub(crate) struct Certificate {
    pub(crate) chain: PathBuf,
    pub(crate) key: PathBuf,
    /// Both in one file, as `HAProxy` wants them.
    pub(crate) both: PathBuf,
}

impl Certificate {
    pub(crate) fn make() -> Outcome<Self> {
        let place = scratch("certificate")?;
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
        let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        let certificate = Self {
            chain: place.join("chain.pem"),
            key: place.join("key.pem"),
            both: place.join("both.pem"),
        };
        fs::write(&certificate.chain, &chain)?;
        fs::write(&certificate.key, &key)?;
        fs::write(&certificate.both, chain + &key)?;
        Ok(certificate)
    }
}

/// Numbers them.
static PLACES: AtomicUsize = AtomicUsize::new(0);

/// A directory in memory, empty.
fn scratch(name: &str) -> Outcome<PathBuf> {
    let shm = Path::new("/dev/shm");
    let root = if shm.is_dir() {
        shm.to_owned()
    } else {
        std::env::temp_dir()
    };
    let nth = PLACES.fetch_add(1, Ordering::Relaxed);
    let place = root.join(format!("hits-{}-{name}-{nth}", std::process::id()));
    let _ = fs::remove_dir_all(&place);
    fs::create_dir_all(&place)?;
    Ok(place)
}

/// What one server is told besides its name.
pub(crate) struct Setting<'a> {
    pub(crate) cores: &'a str,
    pub(crate) graph: SocketAddr,
    pub(crate) certificate: &'a Certificate,
    pub(crate) binary: &'a Path,
    /// What [`Who::OtherBuild`] is.
    pub(crate) against: Option<&'a Path>,
    pub(crate) kind: Kind,
    /// How many owners have one, for bare hyper.
    pub(crate) photos: usize,
    /// Further flags of the proxy.
    pub(crate) flags: &'a [String],
}

/// This program again, in another role.
pub(crate) fn role(cores: &str, words: &[&str]) -> Outcome<Command> {
    let mut command = Command::new("taskset");
    command.args(["-c", cores]).arg(std::env::current_exe()?);
    command.args(words).stdin(Stdio::null());
    Ok(command)
}

/// The proxy's settings where a scenario has none of its own.
const USUAL: [&str; 8] = [
    "--listen=127.0.0.1:0",
    "--tls-listen=127.0.0.1:0",
    "--admin=off",
    "--log=warn",
    "--upstream-concurrency=64",
    "--photo-ttl=30d",
    "--proof-ttl=1d",
    "--cache-memory=4GiB",
];

impl Server {
    pub(crate) fn start(who: Who, setting: &Setting<'_>) -> Outcome<Self> {
        let place = scratch(&format!("{who:?}").to_lowercase())?;
        let (kind, graph) = (setting.kind.word(), setting.graph.to_string());
        let photos = setting.photos.to_string();
        match who {
            Who::Kernel => Self::of_role(who, setting, &["serve-kernel", kind], place),
            Who::Hyper => Self::of_role(who, setting, &["serve-hyper", kind, &photos], place),
            Who::Relay => Self::of_role(who, setting, &["serve-relay", &graph], place),
            Who::Passing => Self::of_role(who, setting, &["serve-passing", &graph], place),
            Who::Proxy => Self::proxy(who, setting.binary, setting, place),
            Who::OtherBuild => {
                let binary = setting.against.ok_or("no other build")?;
                Self::proxy(who, binary, setting, place)
            }
            Who::Nginx => Self::nginx(setting, place),
            Who::Haproxy => Self::haproxy(setting, place),
            Who::Varnish => Self::varnish(setting, place),
            Who::TrafficServer => Self::traffic_server(setting, place),
        }
    }

    /// A server of this program's own.
    fn of_role(who: Who, setting: &Setting<'_>, words: &[&str], place: PathBuf) -> Outcome<Self> {
        let mut command = role(setting.cores, words)?;
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let plain = told(&mut child, &["listen http://"])?;
        Ok(Self {
            who,
            plain: *plain.first().ok_or("no address")?,
            tls: None,
            child,
            place,
        })
    }

    fn proxy(who: Who, binary: &Path, setting: &Setting<'_>, place: PathBuf) -> Outcome<Self> {
        let certificate = setting.certificate;
        let mut command = Command::new("taskset");
        command.args(["-c", setting.cores]).arg(binary);
        let name = |flag: &str| flag.split('=').next().unwrap_or_default().to_owned();
        let own: Vec<String> = setting.flags.iter().map(|flag| name(flag)).collect();
        command.args(USUAL.iter().filter(|flag| !own.contains(&name(flag))));
        command.arg(format!("--tls-cert={}", certificate.chain.display()));
        command.arg(format!("--tls-key={}", certificate.key.display()));
        command.arg(format!("--upstream=http://{}", setting.graph));
        command.args(setting.flags).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let addresses = told(&mut child, &["listen http://", "tls_listen https://"])?;
        Ok(Self {
            who,
            plain: *addresses.first().ok_or("no address")?,
            tls: addresses.get(1).copied(),
            child,
            place,
        })
    }

    fn of_peer(
        who: Who,
        setting: &Setting<'_>,
        words: &[&str],
        ports: [SocketAddr; 2],
        place: PathBuf,
    ) -> Outcome<Self> {
        let log = fs::File::create(place.join("output"))?;
        let child = Command::new("taskset")
            .args(["-c", setting.cores])
            .args(words)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let server = Self {
            who,
            plain: ports[0],
            tls: matches!(who, Who::Nginx | Who::Haproxy).then_some(ports[1]),
            child,
            place,
        };
        for _ in 0..200 {
            if TcpStream::connect(server.plain).is_ok() {
                return Ok(server);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let log = fs::read_to_string(server.place.join("output")).unwrap_or_default();
        Err(format!("{} does not start: {log}", who.name()).into())
    }

    /// Answers from the page cache by `sendfile`, the files kept open.
    fn nginx(setting: &Setting<'_>, place: PathBuf) -> Outcome<Self> {
        let ports = [free()?, free()?];
        let at = place.display();
        let config = format!(
            "worker_processes 1; daemon off; user root; pid {at}/pid; error_log {at}/error.log warn;
events {{ worker_connections 4096; multi_accept on; }}
http {{
  access_log off; sendfile on; tcp_nopush on; tcp_nodelay on;
  keepalive_timeout 1h; keepalive_requests 1000000000; reset_timedout_connection on;
  client_header_buffer_size 4k; large_client_header_buffers 4 16k; output_buffers 1 64k;
  open_file_cache max=50000 inactive=1d; open_file_cache_valid 1d; open_file_cache_min_uses 1;
  client_body_temp_path {at}/body; proxy_temp_path {at}/proxy; fastcgi_temp_path {at}/f;
  uwsgi_temp_path {at}/u; scgi_temp_path {at}/s;
  proxy_cache_path {at}/cache levels=1:2 keys_zone=photos:128m max_size=8g inactive=1d use_temp_path=off;
  upstream graph {{ server {graph}; keepalive 64; }}
  server {{
    listen {plain}; listen {tls} ssl http2;
    ssl_certificate {chain}; ssl_certificate_key {key}; ssl_protocols TLSv1.3; ssl_buffer_size 16k;
    location / {{
      proxy_pass http://graph; proxy_http_version 1.1; proxy_set_header Connection \"\";
      proxy_cache photos; proxy_cache_key $request_uri$http_authorization; proxy_cache_valid 200 1d;
      proxy_ignore_headers Cache-Control Expires Vary Set-Cookie; proxy_buffers 16 16k;
    }}
  }}
}}
",
            graph = setting.graph,
            plain = ports[0],
            tls = ports[1],
            chain = setting.certificate.chain.display(),
            key = setting.certificate.key.display(),
        );
        let file = place.join("nginx.conf");
        fs::write(&file, config)?;
        let file = file.display().to_string();
        Self::of_peer(Who::Nginx, setting, &["nginx", "-c", &file], ports, place)
    }

    /// Its key is host and target, so the token's digest goes into the query; it does not cache
    /// what carries `Authorization`, so that is put aside for the way to Graph.
    fn haproxy(setting: &Setting<'_>, place: PathBuf) -> Outcome<Self> {
        let ports = [free()?, free()?];
        let config = format!(
            "global
  nbthread 1
  maxconn 4096
  tune.bufsize 65536
  tune.ssl.default-dh-param 2048
  ssl-default-bind-options ssl-min-ver TLSv1.3
defaults
  mode http
  timeout client 1h
  timeout server 1h
  timeout connect 5s
  timeout http-keep-alive 1h
cache photos
  total-max-size 4000
  max-object-size 200000
  max-age 86400
frontend callers
  bind {plain}
  bind {tls} ssl crt {both} alpn h2,http/1.1
  http-request set-var(txn.auth) req.hdr(authorization)
  http-request set-query t=%[req.hdr(authorization),sha2(256),hex]
  http-request del-header authorization
  http-request cache-use photos
  http-request set-header authorization %[var(txn.auth)]
  http-response set-header cache-control max-age=86400
  http-response cache-store photos
  default_backend graph
backend graph
  server graph {graph}
",
            plain = ports[0],
            tls = ports[1],
            both = setting.certificate.both.display(),
            graph = setting.graph,
        );
        let file = place.join("haproxy.cfg");
        fs::write(&file, config)?;
        let file = file.display().to_string();
        let words = ["haproxy", "-db", "-f", &file];
        Self::of_peer(Who::Haproxy, setting, &words, ports, place)
    }

    fn varnish(setting: &Setting<'_>, place: PathBuf) -> Outcome<Self> {
        let ports = [free()?, free()?];
        let config = format!(
            "vcl 4.1;
backend graph {{ .host = \"{}\"; .port = \"{}\"; }}
sub vcl_recv {{ return (hash); }}
sub vcl_hash {{ hash_data(req.url); hash_data(req.http.Authorization); return (lookup); }}
sub vcl_backend_response {{ unset beresp.http.Vary; set beresp.ttl = 1d; return (deliver); }}
",
            setting.graph.ip(),
            setting.graph.port()
        );
        let file = place.join("photos.vcl");
        fs::write(&file, config)?;
        let (plain, file) = (ports[0].to_string(), file.display().to_string());
        let work = place.join("work").display().to_string();
        let mut words = vec!["varnishd", "-F", "-a", &plain, "-f", &file, "-n", &work];
        words.extend(["-s", "malloc,4g", "-p", "thread_pools=1"]);
        words.extend(["-p", "timeout_idle=3600"]);
        Self::of_peer(Who::Varnish, setting, &words, ports, place)
    }

    /// With the plugin that puts a field into the key.
    fn traffic_server(setting: &Setting<'_>, place: PathBuf) -> Outcome<Self> {
        let ports = [free()?, free()?];
        let port = ports[0].port().to_string();
        for inside in ["etc", "run", "log", "cache"] {
            fs::create_dir_all(place.join(inside))?;
        }
        let at = place.display();
        let records = format!(
            "CONFIG proxy.config.http.server_ports STRING {port}:ip-in=127.0.0.1
CONFIG proxy.config.admin.user_id STRING nobody
CONFIG proxy.config.exec_thread.autoconfig INT 0
CONFIG proxy.config.exec_thread.limit INT 1
CONFIG proxy.config.accept_threads INT 0
CONFIG proxy.config.task_threads INT 1
CONFIG proxy.config.cache.threads_per_disk INT 1
CONFIG proxy.config.cache.ram_cache.size INT 4294967296
CONFIG proxy.config.cache.ram_cache_cutoff INT 4194304
CONFIG proxy.config.cache.ram_cache.algorithm INT 1
CONFIG proxy.config.http.cache.ignore_authentication INT 1
CONFIG proxy.config.http.cache.required_headers INT 0
CONFIG proxy.config.http.cache.cache_urls_that_look_dynamic INT 1
CONFIG proxy.config.http.keep_alive_no_activity_timeout_in INT 3600
CONFIG proxy.config.http.transaction_no_activity_timeout_in INT 3600
CONFIG proxy.config.http.insert_response_via_str INT 0
CONFIG proxy.config.http.insert_request_via_str INT 0
CONFIG proxy.config.log.logging_enabled INT 0
CONFIG proxy.config.url_remap.pristine_host_hdr INT 1
CONFIG proxy.config.diags.debug.enabled INT 0
"
        );
        fs::write(place.join("etc/records.config"), records)?;
        let remap = format!(
            "map / http://{}/ @plugin=cachekey.so @pparam=--include-headers=Authorization @pparam=--remove-all-params=false\n",
            setting.graph
        );
        fs::write(place.join("etc/remap.config"), remap)?;
        fs::write(place.join("etc/storage.config"), format!("{at}/cache 3G\n"))?;
        fs::write(place.join("etc/plugin.config"), "")?;
        for file in [
            "ip_allow.yaml",
            "cache.config",
            "volume.config",
            "hosting.config",
        ] {
            let _ = fs::copy(
                Path::new("/etc/trafficserver").join(file),
                place.join("etc").join(file),
            );
        }
        let runroot = format!(
            "prefix: {at}\nexec_prefix: {at}\nbindir: /usr/bin\nsbindir: /usr/bin\nsysconfdir: {at}/etc\n\
             datadir: {at}/cache\nincludedir: /usr/include\nlibdir: /usr/lib\nlibexecdir: /usr/lib/trafficserver/modules\n\
             localstatedir: {at}/run\nruntimedir: {at}/run\nlogdir: {at}/log\ncachedir: {at}/cache\n"
        );
        fs::write(place.join("runroot.yaml"), runroot)?;
        // It does not serve as root, and becomes somebody who must get at its files.
        let all = Command::new("chmod")
            .args(["-R", "a+rwX"])
            .arg(&place)
            .status()?;
        if !all.success() {
            return Err("chmod failed".into());
        }
        let root = format!("--run-root={at}/runroot.yaml");
        let words = ["traffic_server", &root];
        Self::of_peer(Who::TrafficServer, setting, &words, ports, place)
    }

    /// The time it has had on a core, all processes and threads, in nanoseconds.
    pub(crate) fn cpu(&self) -> u64 {
        tree(self.child.id()).into_iter().map(cpu).sum()
    }

    /// Its resident memory, in KiB.
    pub(crate) fn resident(&self) -> u64 {
        tree(self.child.id()).into_iter().map(resident).sum()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // From the top: nginx's master would start again what was killed below it.
        for pid in tree(self.child.id()) {
            let _ = Command::new("kill").args(["-9", &pid.to_string()]).status();
        }
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.place);
    }
}

/// A process and all below it.
fn tree(root: u32) -> Vec<u32> {
    let mut all = vec![root];
    let mut at = 0;
    while let Some(pid) = all.get(at).copied() {
        at += 1;
        let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else {
            continue;
        };
        for task in tasks.flatten() {
            let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            all.extend(
                children
                    .split_whitespace()
                    .filter_map(|pid| pid.parse::<u32>().ok()),
            );
        }
    }
    all
}

/// The time of one process's threads (`schedstat`: nanoseconds on a core come first).
fn cpu(pid: u32) -> u64 {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return 0;
    };
    tasks
        .flatten()
        .filter_map(|task| fs::read_to_string(task.path().join("schedstat")).ok())
        .filter_map(|text| text.split_whitespace().next()?.parse::<u64>().ok())
        .sum()
}

fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
        .unwrap_or(0)
}

/// The addresses a server prints, in the order of their names.
fn told(child: &mut Child, names: &[&str]) -> Outcome<Vec<SocketAddr>> {
    let mut lines = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
    let mut found = Vec::new();
    for name in names {
        loop {
            let line = lines.next().ok_or("the server ended")??;
            if let Some(address) = line.strip_prefix(name) {
                found.push(address.trim().parse()?);
                break;
            }
        }
    }
    Ok(found)
}

/// An address that was free a moment ago.
pub(crate) fn free() -> Outcome<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// The graph of the other roles, on the generator's core: it is asked while things are warmed.
pub(crate) struct Graph {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Graph {
    pub(crate) fn start(cores: &str) -> Outcome<Self> {
        let mut child = role(cores, &["graph"])?.stdout(Stdio::piped()).spawn()?;
        let address = told(&mut child, &["listen http://"])?;
        Ok(Self {
            child,
            address: *address.first().ok_or("no address")?,
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How many questions it has been asked.
    pub(crate) fn asked(&self) -> Outcome<u64> {
        use std::io::{Read as _, Write as _};
        let mut stream = TcpStream::connect(self.address)?;
        stream.write_all(b"GET /count HTTP/1.1\r\n\r\n")?;
        stream.shutdown(std::net::Shutdown::Write)?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let (_, count) = text.rsplit_once('\n').ok_or("no count")?;
        Ok(count.trim().parse()?)
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
