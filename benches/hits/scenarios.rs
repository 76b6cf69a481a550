//! What else must hold: the way to Graph adds little, hits stay quick while others miss or a
//! purge walks through everything, and cost does not grow with what is held.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crate::load::{self, CONNECTIONS, Run, Until};
use crate::servers::{Certificate, Graph, Server, Setting, Who};
use crate::world::{Kind, OWNERS, Requests};
use crate::{Cost, GENERATOR, Outcome, Plan, SERVER, say};

/// Cold owners are numbered from here on.
const COLD: usize = 2_000_000;

/// A proxy and its Graph.
struct Pair {
    graph: Graph,
    proxy: Server,
    flags: Vec<String>,
}

impl Pair {
    fn start(plan: &Plan, certificate: &Certificate, cores: &str, flags: &[&str]) -> Outcome<Self> {
        let graph = Graph::start(GENERATOR)?;
        let flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let setting = Setting {
            cores,
            flags: &flags,
            ..plan.setting(certificate, &graph)
        };
        let proxy = Server::start(Who::Proxy, &setting)?;
        Ok(Self {
            graph,
            proxy,
            flags,
        })
    }

    /// Microseconds of processor time for a hit, the median of a few rounds.
    fn cost(&self, plan: &Plan, requests: &Requests) -> Outcome<f64> {
        let mut costs = Vec::new();
        for round in 0..=plan.rounds {
            let cost = round_of(&self.proxy, requests, plan.time)?;
            if round > 0 {
                costs.push(cost);
            }
        }
        Ok(Cost::of(costs).median())
    }

    fn warm(&self, requests: &Requests) -> Outcome<Run> {
        Ok(load::run(self.proxy.plain, requests, 16, Until::Each)?)
    }
}

/// How many cold owners one round of [`miss`] asks for.
const MISSES: usize = 1_000;

/// Somebody on the way to Graph, and how long misses took there, one figure for each round.
struct Road {
    name: &'static str,
    address: SocketAddr,
    /// None is Graph itself.
    server: Option<Server>,
    halves: Vec<f64>,
    adds: Vec<f64>,
    mosts: Vec<f64>,
    costs: Vec<f64>,
}

/// Microseconds of processor time that a server takes for a hit.
fn round_of(server: &Server, requests: &Requests, time: Duration) -> Outcome<f64> {
    let before = server.cpu();
    let run = load::run(server.plain, requests, CONNECTIONS, Until::Time(time))?;
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    Ok((server.cpu() - before) as f64 / 1e3 / run.answers as f64)
}

/// How long a cold miss takes beyond Graph's own time: one caller, one question after another.
///
/// Graph itself, what is bare, the proxy and the peers take turns; what each adds is told against
/// Graph in the same round. Graph shares its core with the generator, so that asking it itself
/// wakes no other core, and a proxy's way does four times: much of what each adds is that.
pub(crate) fn miss(plan: &Plan, certificate: &Certificate) -> Outcome<()> {
    let graph = Graph::start(GENERATOR)?;
    let mut roads = vec![Road::of("Graph itself", graph.address, None)];
    let peers = Who::PEERS.into_iter().filter(|_| plan.peers);
    for who in [Who::Relay, Who::Passing, Who::Proxy]
        .into_iter()
        .chain(plan.against.as_ref().map(|_| Who::OtherBuild))
        .chain(peers)
    {
        if !who.is_here() {
            continue;
        }
        match Server::start(who, &plan.setting(certificate, &graph)) {
            Ok(server) => roads.push(Road::of(who.name(), server.plain, Some(server))),
            Err(error) => say(&format!("{} is left out: {error}", who.name()))?,
        }
    }
    // The first round proves the token and opens connections.
    for round in 0..=plan.rounds {
        let from = COLD + round * MISSES;
        let list = Requests::of(Kind::Small, 1, from..from + MISSES);
        let mut floor = 0.0;
        for road in &mut roads {
            let half = road.drive(&list, round > 0)?;
            if road.server.is_none() {
                floor = half;
            }
            if round > 0 {
                road.adds.push(half - floor);
            }
        }
    }
    say("\n| | p50 | adds, p50 | p99 | µs of processor |\n|---|---|---|---|---|")?;
    for road in roads {
        let [half, add, most, cost] =
            [road.halves, road.adds, road.mosts, road.costs].map(Cost::of);
        say(&format!(
            "| {} | {half:.0} µs | {add:.0} µs | {most:.0} µs | {cost:.0} |",
            road.name
        ))?;
    }
    Ok(())
}

impl Road {
    fn of(name: &'static str, address: SocketAddr, server: Option<Server>) -> Self {
        let [halves, adds, mosts, costs] = [const { Vec::new() }; 4];
        Self {
            name,
            address,
            server,
            halves,
            adds,
            mosts,
            costs,
        }
    }

    /// One round; how long half of it took at most.
    fn drive(&mut self, list: &Requests, counts: bool) -> Outcome<f64> {
        let cpu = |server: &Option<Server>| server.as_ref().map_or(0, Server::cpu);
        let before = cpu(&self.server);
        let run = load::run(self.address, list, 1, Until::Each)?;
        let half = f64::from(run.within(0.5));
        if counts {
            self.halves.push(half);
            self.mosts.push(run.within(0.99).into());
            #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
            let cost = (cpu(&self.server) - before) as f64 / 1e3 / run.answers as f64;
            self.costs.push(cost);
        }
        Ok(half)
    }
}

/// A number of photos held and of tokens, and who answers for them.
struct Point {
    photos: usize,
    tokens: usize,
    requests: Requests,
    /// The proxy and bare hyper, with what each round came to.
    servers: [(Server, Vec<f64>); 2],
    _graph: Graph,
}

impl Point {
    fn warm(plan: &Plan, certificate: &Certificate, photos: usize, tokens: usize) -> Outcome<Self> {
        let flags = ["--cache-memory=64GiB", "--proofs=1000000"].map(str::to_owned);
        let graph = Graph::start(GENERATOR)?;
        let setting = Setting {
            kind: Kind::Metadata,
            photos,
            flags: &flags,
            ..plan.setting(certificate, &graph)
        };
        let requests = Requests::of(Kind::Metadata, tokens, 0..photos);
        let proxy = Server::start(Who::Proxy, &setting)?;
        // What is fetched, and what is found for the first time.
        for _ in 0..2 {
            load::run(proxy.plain, &requests, 16, Until::Each)?;
        }
        let hyper = Server::start(Who::Hyper, &setting)?;
        Ok(Self {
            photos,
            tokens,
            requests,
            servers: [(proxy, Vec::new()), (hyper, Vec::new())],
            _graph: graph,
        })
    }
}

/// What a hit costs among few and among many held, for one token and for many; bare hyper, which
/// has as many answers in a hash map and looks at no token, tells what is not the proxy's. All
/// are there at the same time and take turns.
pub(crate) fn flat(plan: &Plan, certificate: &Certificate) -> Outcome<()> {
    let mut points = Vec::new();
    for (photos, tokens) in [
        (1_000, 1),
        (OWNERS, 1),
        (plan.most / 10, 1),
        (plan.most, 1),
        (1_000, 1_000),
        (1_000, 100_000),
        (100_000, 100_000),
    ] {
        points.push(Point::warm(plan, certificate, photos, tokens)?);
    }
    say(
        "\n| photos held, tokens | the proxy, µs of processor per hit | bare hyper | between them |\n\
         |---|---|---|---|",
    )?;
    for round in 0..=plan.rounds {
        for point in &mut points {
            for (server, costs) in &mut point.servers {
                let cost = round_of(server, &point.requests, plan.time)?;
                // The first round brings caches and counters to their speed.
                if round > 0 {
                    costs.push(cost);
                }
            }
        }
    }
    for point in points {
        let [(proxy, ours), (_, bare)] = point.servers;
        let between = ours.iter().zip(&bare).map(|(ours, bare)| ours - bare);
        let between = Cost::of(between.collect());
        say(&format!(
            "| {}, {} ({} MiB) | {} | {} | {between} |",
            point.photos,
            point.tokens,
            proxy.resident() / 1024,
            Cost::of(ours),
            Cost::of(bare),
        ))?;
    }
    Ok(())
}

/// What a hit costs on one core and on two: how much of the second is gained.
pub(crate) fn cores(plan: &Plan, certificate: &Certificate) -> Outcome<()> {
    let requests = Requests::of(Kind::Small, 1_000, 0..OWNERS);
    let mut costs = Vec::new();
    for cores in [SERVER, "0,1"] {
        let pair = Pair::start(plan, certificate, cores, &[])?;
        pair.warm(&requests)?;
        costs.push(pair.cost(plan, &requests)?);
    }
    if let [one, two] = costs.as_slice() {
        let factor = 2.0 * one / two;
        say(&format!(
            "\none core: {one:.1} µs of processor per hit; two: {two:.1} µs, so two do {factor:.2} × the work of one"
        ))?;
    }
    Ok(())
}

/// How long hits take while others miss, and while purges walk through what is held.
pub(crate) fn storm(plan: &Plan, certificate: &Certificate) -> Outcome<()> {
    let admin = crate::servers::free()?;
    let flag = format!("--admin={admin}");
    let pair = Pair::start(plan, certificate, SERVER, &[flag.as_str()])?;
    let requests = Requests::of(Kind::Small, 1_000, 0..OWNERS);
    pair.warm(&requests)?;
    let graph = pair.graph.pid().to_string();
    let missed = AtomicUsize::new(0);
    let time = plan.time * 3;
    // Few enough that the server has time left: else what is measured is the queue before it.
    let hits = || load::run(pair.proxy.plain, &requests, 4, Until::Time(time));
    let cases = [
        ("alone", None),
        ("while others miss", Some(true)),
        ("during purges", Some(false)),
    ];
    // Half, most, and most against alone in the same round, one figure for each round.
    let mut figures = cases.map(|_| [const { Vec::new() }; 3]);
    for round in 0..plan.rounds {
        let mut alone = 0.0;
        for ((_, what), figures) in cases.iter().zip(&mut figures) {
            let over = AtomicBool::new(false);
            let run = std::thread::scope(|scope| -> Outcome<Run> {
                let other = scope.spawn(|| match what {
                    Some(true) => {
                        behind(&["--all-tasks", "0", &graph])?;
                        missed
                            .fetch_add(misses(pair.proxy.plain, round, &over)?, Ordering::Relaxed);
                        Ok(())
                    }
                    Some(false) => purges(admin, &over),
                    None => Ok(()),
                });
                let run = hits();
                over.store(true, Ordering::Relaxed);
                other.join().map_err(|_| "the other load failed")??;
                Ok(run?)
            })?;
            let [half, most] = [0.5, 0.99].map(|part| f64::from(run.within(part)));
            if what.is_none() {
                alone = most;
            }
            for (figures, figure) in figures.iter_mut().zip([half, most, most / alone]) {
                figures.push(figure);
            }
        }
    }
    say("\n| hits, 4 connections | p50 | p99 | p99 against alone |\n|---|---|---|---|")?;
    for ((name, _), figures) in cases.iter().zip(figures) {
        let [half, most, times] = figures.map(Cost::of);
        say(&format!(
            "| {name} | {half:.0} µs | {most:.0} µs | {times:.2} × |"
        ))?;
    }
    let missed = missed.into_inner() / plan.rounds.max(1);
    let flags = pair.flags.join(" ");
    say(&format!("{missed} misses in {time:?}; flags: {flags}"))
}

/// Lets a thread, or all of a process, have its core only while nobody else wants it.
fn behind(tasks: &[&str]) -> Outcome<()> {
    let said = Command::new("chrt")
        .args(["--idle", "--pid"])
        .args(tasks)
        .status()?;
    said.success().then_some(()).ok_or("chrt failed".into())
}

/// Asks for what nobody has asked for, four at a time; how often. Who asks, and Graph, share a core
/// with who times the hits, and wait for it: else what is timed is that core.
fn misses(proxy: SocketAddr, round: usize, over: &AtomicBool) -> Outcome<usize> {
    let own = std::fs::read_link("/proc/thread-self")?;
    behind(&["0", &own.file_name().unwrap_or_default().to_string_lossy()])?;
    let first = COLD + round * 1_000_000;
    let mut from = first;
    while !over.load(Ordering::Relaxed) {
        let list = Requests::of(Kind::Small, 1, from..from + 200);
        load::run(proxy, &list, 4, Until::Each)?;
        from += 200;
    }
    Ok(from - first)
}

/// Purges one who has no photo here, again and again: each walks through everything held. By id: a
/// principal name whose id is not known would put in doubt all that is held by id.
fn purges(admin: SocketAddr, over: &AtomicBool) -> Outcome<()> {
    let body = r#"{"owner":"5f0c3a52-9c1b-4b6e-8d7a-2f4e6a1b9c3d"}"#;
    while !over.load(Ordering::Relaxed) {
        let mut stream = TcpStream::connect(admin)?;
        write!(
            stream,
            "POST /purge HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        if !answer.starts_with("HTTP/1.1 200") {
            return Err(answer.into());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}
