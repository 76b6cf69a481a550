//! What a hit costs: processor time of the server for each request, beside bare hyper, the bare
//! kernel and other caching proxies.
//!
//! ```sh
//! cargo bench --profile release --bench hits            # everything, some fifteen minutes
//! cargo bench --profile release --bench hits -- quick   # no peers, 2 KB, one token
//! ```
//!
//! Further words choose: `small`, `large`, `metadata`; `1` or `1000` tokens; `plain`, `tls1`,
//! `tls2` (HTTP/1.1 and HTTP/2 over TLS); `no-peers`; `rounds=9`, `seconds=3`, `photos=50000`
//! (the most that `flat` holds); `binary=PATH` for another build of the proxy, and `against=PATH`
//! for one beside it in the same rounds. `miss`, `storm`, `cores` and `flat` measure
//! something else each: see `scenarios`.
//!
//! The server has core 0 for itself, the generator and the simulated Graph core 1. All servers
//! of a table are warm at the same time and take turns, so that what else the machine does
//! falls on all of them; the median of the rounds counts, lowest and highest are the spread.
//! Peers (nginx, `HAProxy`, Varnish, Traffic Server, `h2load` as generator for TLS) are measured
//! where they are installed; `benches/hits/run.sh` installs them.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a bench has arguments of its own, measures time and says what it does"
)]

mod floors;
mod load;
mod scenarios;
mod servers;
mod world;

use std::error::Error;
use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use load::{CONNECTIONS, Until};
use servers::{Certificate, Graph, Server, Setting, Who};
use world::{Kind, Requests};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// The server's core, and the generator's.
const SERVER: &str = "0";
const GENERATOR: &str = "1";

fn main() -> Outcome<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["serve-kernel", kind] => floors::kernel(Kind::of(kind).ok_or("what kind?")?),
        ["serve-hyper", kind, photos] => {
            floors::bare(Kind::of(kind).ok_or("what kind?")?, photos.parse()?)
        }
        ["serve-relay", graph] => floors::relay(graph.parse()?),
        ["serve-passing", graph] => floors::passing(graph.parse()?),
        ["graph"] => world::graph(),
        ["measure", words @ ..] => measure(words),
        words => {
            // Again, on the generator's core.
            let mut measuring = servers::role(GENERATOR, &["measure"])?;
            let ended = measuring.args(words).status()?;
            ended.success().then_some(()).ok_or("it failed".into())
        }
    }
}

/// How the requests come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Plain,
    Tls1,
    Tls2,
}

impl Way {
    const fn name(self) -> &'static str {
        match self {
            Self::Plain => "HTTP/1.1",
            Self::Tls1 => "HTTP/1.1 over TLS",
            Self::Tls2 => "HTTP/2 over TLS",
        }
    }
}

/// What is to be measured.
struct Plan {
    kinds: Vec<Kind>,
    tokens: Vec<usize>,
    ways: Vec<Way>,
    peers: bool,
    rounds: usize,
    time: Duration,
    binary: PathBuf,
    /// Another build, beside it.
    against: Option<PathBuf>,
    /// How many photos are held at most.
    most: usize,
}

impl Plan {
    /// What is usual: 2 KB photos of everybody, on the server's core.
    fn setting<'a>(&'a self, certificate: &'a Certificate, graph: &Graph) -> Setting<'a> {
        Setting {
            cores: SERVER,
            graph: graph.address,
            certificate,
            binary: &self.binary,
            against: self.against.as_deref(),
            kind: Kind::Small,
            photos: world::OWNERS,
            flags: &[],
        }
    }

    fn of(words: &[&str]) -> Outcome<Self> {
        let quick = words.contains(&"quick");
        let chosen = |all: &[(&str, usize)]| -> Vec<usize> {
            let some = all.iter().filter(|(word, _)| words.contains(word));
            some.map(|(_, at)| *at).collect()
        };
        let number = |name: &str| {
            let found = words.iter().find_map(|word| word.strip_prefix(name));
            found.map(str::parse::<f64>).transpose()
        };
        let or = |some: Vec<usize>, default: &[usize]| {
            if some.is_empty() {
                default.to_vec()
            } else {
                some
            }
        };
        let kinds = chosen(&[("small", 0), ("large", 1), ("metadata", 2)]);
        let kinds = or(kinds, if quick { &[0] } else { &[0, 1, 2] });
        let tokens = chosen(&[("1", 1), ("1000", 1_000)]);
        let tokens = or(tokens, if quick { &[1] } else { &[1, 1_000] });
        let ways = chosen(&[("plain", 0), ("tls1", 1), ("tls2", 2)]);
        let ways = or(ways, if quick { &[0] } else { &[0, 1, 2] });
        let path = |name: &str| words.iter().find_map(|word| word.strip_prefix(name));
        let (binary, against) = (path("binary="), path("against="));
        let most = number("photos=")?.unwrap_or(1e6);
        let rounds = number("rounds=")?.unwrap_or(if quick { 3.0 } else { 5.0 });
        Ok(Self {
            kinds: kinds
                .iter()
                .filter_map(|at| Kind::ALL.get(*at).copied())
                .collect(),
            tokens,
            ways: ways
                .iter()
                .filter_map(|at| [Way::Plain, Way::Tls1, Way::Tls2].get(*at).copied())
                .collect(),
            peers: !quick && !words.contains(&"no-peers"),
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a handful"
            )]
            rounds: rounds as usize,
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "as many as there may be people"
            )]
            most: most as usize,
            time: Duration::from_secs_f64(number("seconds=")?.unwrap_or(1.5)),
            binary: binary.map_or_else(
                || env!("CARGO_BIN_EXE_graph-photo-proxy").into(),
                PathBuf::from,
            ),
            against: against.map(PathBuf::from),
        })
    }
}

fn measure(words: &[&str]) -> Outcome<()> {
    let plan = Plan::of(words)?;
    let certificate = Certificate::make()?;
    let has = |word| words.contains(&word);
    if has("miss") || has("storm") || has("cores") || has("flat") {
        for (word, scenario) in [
            (
                "miss",
                scenarios::miss as fn(&Plan, &Certificate) -> Outcome<()>,
            ),
            ("storm", scenarios::storm),
            ("cores", scenarios::cores),
            ("flat", scenarios::flat),
        ] {
            if has(word) {
                scenario(&plan, &certificate)?;
            }
        }
        return Ok(());
    }
    for way in &plan.ways {
        for tokens in &plan.tokens {
            // h2load sends one set of fields.
            if *way != Way::Plain && *tokens > 1 {
                continue;
            }
            let mut rows: Vec<Row> = Vec::new();
            for kind in &plan.kinds {
                for (who, cost) in one(&plan, &certificate, *way, *tokens, *kind)? {
                    match rows.iter_mut().find(|row| row.who == who) {
                        Some(row) => row.costs.push(cost),
                        None => rows.push(Row {
                            who,
                            costs: vec![cost],
                        }),
                    }
                }
            }
            print(&plan, *way, *tokens, &rows)?;
        }
    }
    Ok(())
}

/// A server's line in a table.
struct Row {
    who: Who,
    costs: Vec<Cost>,
}

/// A figure of each round, sorted; mostly microseconds of processor time for each request.
struct Cost(Vec<f64>);

impl Cost {
    /// Of these rounds.
    fn of(mut rounds: Vec<f64>) -> Self {
        rounds.sort_by(f64::total_cmp);
        Self(rounds)
    }

    fn median(&self) -> f64 {
        self.0.get(self.0.len() / 2).copied().unwrap_or(f64::NAN)
    }

    fn spread(&self) -> (f64, f64) {
        let first = self.0.first().copied().unwrap_or(f64::NAN);
        (first, self.0.last().copied().unwrap_or(f64::NAN))
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ((least, most), digits) = (self.spread(), f.precision().unwrap_or(1));
        let half = self.median();
        write!(f, "{half:.digits$} ({least:.digits$}–{most:.digits$})")
    }
}

/// All servers, one kind of answer.
fn one(
    plan: &Plan,
    certificate: &Certificate,
    way: Way,
    tokens: usize,
    kind: Kind,
) -> Outcome<Vec<(Who, Cost)>> {
    let graph = Graph::start(GENERATOR)?;
    let setting = Setting {
        kind,
        ..plan.setting(certificate, &graph)
    };
    let mut who = vec![Who::Proxy];
    if plan.against.is_some() {
        who.push(Who::OtherBuild);
    }
    if way == Way::Plain {
        who.extend([Who::Kernel, Who::Hyper]);
    }
    if plan.peers {
        let with_tls = |peer: &Who| way == Way::Plain || matches!(peer, Who::Nginx | Who::Haproxy);
        who.extend(
            Who::PEERS
                .into_iter()
                .filter(with_tls)
                .filter(|peer| peer.is_here()),
        );
    }
    let requests = Requests::of(kind, tokens, 0..world::OWNERS);
    let targets = Targets::make(kind)?;
    let mut servers = Vec::new();
    for who in who {
        let server = match Server::start(who, &setting) {
            Ok(server) => server,
            Err(error) => {
                eprintln!("{} is left out: {error}", who.name());
                continue;
            }
        };
        load::run(server.plain, &requests, 16, Until::Each)?;
        if let (Some(tls), true) = (server.tls, way != Way::Plain) {
            targets.run(tls, way, Until::Each)?;
        }
        servers.push((server, Vec::new()));
    }
    let mut left_out = Vec::new();
    for round in 0..=plan.rounds {
        for (server, costs) in &mut servers {
            let before = (server.cpu(), graph.asked()?);
            let answers = match (way, server.tls) {
                (Way::Plain, _) | (_, None) => {
                    load::run(server.plain, &requests, CONNECTIONS, Until::Time(plan.time))?.answers
                }
                (_, Some(tls)) => targets.run(tls, way, Until::Time(plan.time))?,
            };
            let after = (server.cpu(), graph.asked()?);
            if after.1 - before.1 > 1 {
                let what = format!("{} asked Graph while it should hit", server.who.name());
                if !Who::PEERS.contains(&server.who) {
                    return Err(what.into());
                }
                eprintln!("{what}: it is left out");
                left_out.push(server.who);
                continue;
            }
            // The first round brings caches and counters to their speed.
            if round > 0 {
                #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
                costs.push((after.0 - before.0) as f64 / 1e3 / answers as f64);
            }
        }
        servers.retain(|(server, _)| !left_out.contains(&server.who));
    }
    Ok(servers
        .into_iter()
        .map(|(server, costs)| (server.who, Cost::of(costs)))
        .collect())
}

/// `h2load`, the generator where TLS or HTTP/2 is spoken.
struct Targets {
    file: PathBuf,
}

impl Targets {
    fn make(kind: Kind) -> Outcome<Self> {
        let file = std::env::temp_dir().join(format!("hits-{}-targets", std::process::id()));
        let mut text = String::new();
        for owner in 0..world::OWNERS {
            let _ = writeln!(text, "https://localhost{}", kind.path(owner));
        }
        std::fs::write(&file, text)?;
        Ok(Self { file })
    }

    /// How many answers came.
    fn run(&self, address: std::net::SocketAddr, way: Way, until: Until) -> Outcome<u64> {
        let mut command = Command::new("h2load");
        command.args(match way {
            Way::Tls2 => &["-c", "8", "-m", "8"][..],
            Way::Plain | Way::Tls1 => &["-c", "64", "-m", "1", "--h1"],
        });
        match until {
            Until::Each => command.args(["-n", &world::OWNERS.to_string()]),
            Until::Time(time) => command.args(["-D", &time.as_secs_f64().to_string()]),
        };
        command
            .arg(format!(
                "--header=authorization: Bearer {}",
                world::token(0)
            ))
            .arg(format!("--connect-to={address}"))
            .arg(format!("--input-file={}", self.file.display()));
        let told = command.output()?;
        let text = String::from_utf8_lossy(&told.stdout);
        let line = text.lines().find(|line| line.starts_with("status codes:"));
        let good = line.and_then(|line| line.split_whitespace().nth(2)?.parse().ok());
        let failed = !text.contains(" 0 4xx, 0 5xx");
        match good {
            Some(good) if good > 0 && !failed => Ok(good),
            _ => Err(format!("h2load: {text} {}", String::from_utf8_lossy(&told.stderr)).into()),
        }
    }
}

/// The table, ready to paste.
fn print(plan: &Plan, way: Way, tokens: usize, rows: &[Row]) -> Outcome<()> {
    let s = if tokens == 1 { "" } else { "s" };
    say(&format!("\n{}, {tokens} token{s}\n", way.name()))?;
    let kinds: Vec<_> = plan.kinds.iter().map(|kind| kind.name()).collect();
    say(&format!(
        "| µs of processor per request | {} |",
        kinds.join(" | ")
    ))?;
    say(&format!("|---|{}", "---|".repeat(kinds.len())))?;
    let floor = |who: Who| rows.iter().find(|row| row.who == who);
    let (hyper, proxy) = (floor(Who::Hyper), floor(Who::Proxy));
    for row in rows {
        let mut line = format!("| {} |", row.who.name());
        for (at, cost) in row.costs.iter().enumerate() {
            let _ = write!(line, " {cost}");
            let other = if row.who == Who::Proxy { hyper } else { proxy };
            let other = other
                .and_then(|other| other.costs.get(at))
                .map(Cost::median);
            if let Some(other) = other.filter(|_| row.who == Who::Proxy) {
                let _ = write!(line, ", {:.2} × bare hyper", cost.median() / other);
            } else if let Some(other) = other {
                let _ = write!(line, ", {:.2} × ours", cost.median() / other);
            }
            line.push_str(" |");
        }
        say(&line)?;
    }
    Ok(())
}

fn say(text: &str) -> Outcome<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()?;
    Ok(())
}
