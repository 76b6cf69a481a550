//! How many instructions and allocations a hit takes, counted by valgrind: figures that other
//! work on the machine does not move.
//!
//! ```sh
//! cargo bench --profile counted --no-default-features --bench instructions             # fails past 3 %
//! cargo bench --profile counted --no-default-features --bench instructions -- record   # takes the figures of now
//! ```
//!
//! The recorded figures are of that profile, which is quick to build; a release takes fewer.
//!
//! One caller and one kept connection over loopback, everything in one thread, so that nothing
//! depends on how tasks happen to meet. Caller and server are counted together; the caller's
//! part is small and always the same.

#![expect(
    clippy::disallowed_methods,
    reason = "a bench has arguments of its own"
)]

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use graph_photo_proxy::app::App;
use graph_photo_proxy::clock::Clock;
use graph_photo_proxy::config::Config;
use memchr::memmem;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Where the figures are recorded.
const RECORDED: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/benches/instructions/recorded.tsv"
);
/// How many hits are counted: enough for what comes once in a hundred to count as that.
const HITS: usize = 1_000;
/// Each is asked for in turn.
const OWNERS: usize = 50;
/// How far a figure may rise, in parts of a hundred.
const TOLERATED: f64 = 3.0;

/// What is asked for: name, path behind the owner, how many tokens take turns.
const CASES: [(&str, &str, usize); 3] = [
    ("photo", "/photos/48x48/$value", 1),
    ("photo, 10 tokens", "/photos/48x48/$value", 10),
    ("metadata", "/photo", 1),
];

fn main() -> Outcome<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["count", case] => count(case),
        words => compare(words.contains(&"record")),
    }
}

/// Counts every case and compares it with what is recorded.
fn compare(record: bool) -> Outcome<()> {
    let recorded = fs::read_to_string(RECORDED).unwrap_or_default();
    let mut lines = String::from("case\tinstructions\tallocations\n");
    let mut risen = Vec::new();
    let mut out = io::stdout().lock();
    for (case, _, _) in CASES {
        let (instructions, allocations) = counted(case)?;
        let before = recorded.lines().find_map(|line| {
            let mut parts = line.split('\t');
            let figure = (parts.next() == Some(case)).then(|| parts.next())??;
            figure.parse::<f64>().ok()
        });
        let change = before.map(|before| (instructions / before - 1.0) * 100.0);
        let told = change.map_or_else(|| "not recorded".to_owned(), |c| format!("{c:+.1} %"));
        writeln!(
            out,
            "{case}: {instructions:.0} instructions a hit ({told}), {allocations:.1} allocations"
        )?;
        if change.is_none_or(|change| change > TOLERATED) {
            risen.push(case);
        }
        let _ = writeln!(lines, "{case}\t{instructions:.0}\t{allocations:.1}");
    }
    if record {
        fs::write(RECORDED, lines)?;
        return Ok(());
    }
    if risen.is_empty() {
        return Ok(());
    }
    let risen = risen.join("; ");
    Err(format!(
        "a hit takes over {TOLERATED} % more instructions than recorded: {risen}. Where that is \
         meant: cargo bench --profile counted --no-default-features --bench instructions -- record, in a commit that says why"
    )
    .into())
}

/// Runs this program under valgrind, and reads what it has counted.
fn counted(case: &str) -> Outcome<(f64, f64)> {
    let file = std::env::temp_dir().join(format!("instructions-{}", std::process::id()));
    let told = Command::new("valgrind")
        .args(["--tool=callgrind", "--toggle-collect=*counted_hits*"])
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(std::env::current_exe()?)
        .args(["count", case])
        .output()
        .map_err(|error| format!("valgrind cannot be run: {error}"))?;
    if !told.status.success() {
        return Err(String::from_utf8_lossy(&told.stderr).into());
    }
    let profile = fs::read_to_string(&file)?;
    keep(&file, case)?;
    #[expect(clippy::cast_precision_loss, reason = "thousands, each counted")]
    let each = |count: u64| count as f64 / HITS as f64;
    Ok((each(total(&profile)?), each(allocations(&profile))))
}

/// Leaves the profile where `callgrind_annotate` can be pointed at it.
fn keep(file: &Path, case: &str) -> Outcome<()> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let name = case.replace([' ', ','], "-");
    fs::copy(file, target.join(format!("callgrind.{name}")))?;
    fs::remove_file(file)?;
    Ok(())
}

/// All that was counted.
fn total(profile: &str) -> Outcome<u64> {
    let line = profile.lines().find_map(|line| {
        line.strip_prefix("totals:")
            .or_else(|| line.strip_prefix("summary:"))
    });
    Ok(line.ok_or("no total")?.trim().parse()?)
}

/// How often memory was asked for. A function has its name once and a number from then on;
/// `calls=` belongs to the `cfn=` before it.
fn allocations(profile: &str) -> u64 {
    const NAMES: [&str; 5] = ["malloc", "calloc", "realloc", "memalign", "posix_memalign"];
    let mut numbers = Vec::new();
    let (mut callee, mut sum) = ("", 0);
    for line in profile.lines() {
        let named = line
            .strip_prefix("cfn=")
            .or_else(|| line.strip_prefix("fn="));
        if let Some(named) = named {
            let (number, name) = named.split_once(')').unwrap_or((named, ""));
            if NAMES.contains(&name.trim()) {
                numbers.push(number);
            }
            if line.starts_with("cfn=") {
                callee = number;
            }
        } else if let Some(calls) = line.strip_prefix("calls=")
            && numbers.contains(&callee)
        {
            let count = calls
                .split(' ')
                .next()
                .and_then(|count| count.parse::<u64>().ok());
            sum += count.unwrap_or(0);
        }
    }
    sum
}

/// What valgrind watches: the proxy, its upstream and one caller, in one thread.
fn count(case: &str) -> Outcome<()> {
    let (_, path, tokens) = *CASES
        .iter()
        .find(|(name, _, _)| *name == case)
        .ok_or("no such case")?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let address = runtime.block_on(start())?;
    let requests: Vec<Vec<u8>> = (0..OWNERS)
        .map(|nth| request(nth, path, nth % tokens))
        .collect();
    let mut caller = runtime.block_on(async {
        let mut caller = Caller::new(TcpStream::connect(address).await?);
        // What is stored, then what has been served before.
        for _ in 0..4 {
            for request in &requests {
                caller.ask(request).await?;
            }
        }
        Outcome::Ok(caller)
    })?;
    counted_hits(&runtime, &mut caller, &requests)?;
    let text = String::from_utf8_lossy(&caller.buffer);
    if !text.contains("graph-photo-proxy; hit") {
        return Err(format!("not a hit: {text}").into());
    }
    Ok(())
}

/// Whatever runs while this does is counted.
#[inline(never)]
fn counted_hits(runtime: &Runtime, caller: &mut Caller, requests: &[Vec<u8>]) -> Outcome<()> {
    runtime.block_on(async {
        for request in requests.iter().cycle().take(HITS) {
            caller.ask(request).await?;
        }
        Ok(())
    })
}

/// Upstream and proxy; they live as long as the runtime.
async fn start() -> Outcome<SocketAddr> {
    let upstream = TcpListener::bind("127.0.0.1:0").await?;
    let base = format!("http://{}", upstream.local_addr()?);
    tokio::spawn(async move {
        while let Ok((stream, _)) = upstream.accept().await {
            tokio::spawn(graph(stream));
        }
    });
    let settings = [
        ("listen", "127.0.0.1:0"),
        ("admin", "off"),
        ("upstream", base.as_str()),
    ];
    // Time stands still, so that no figure has more digits in one run than in another.
    let app = App::bind_with(Config::with(settings)?, Clock::by_hand())?;
    let (_, address) = app.addresses().first().ok_or("no address")?;
    let address = address.trim_start_matches("http://").parse()?;
    tokio::spawn(app.run(std::future::pending()));
    Ok(address)
}

/// Graph, as far as hits need it.
async fn graph(mut stream: TcpStream) -> Outcome<()> {
    let (photo, mut got) = (vec![7; 2_000], Vec::new());
    loop {
        if stream.read_buf(&mut got).await? == 0 {
            return Ok(());
        }
        let Some(end) = memmem::find(&got, b"\r\n\r\n") else {
            continue;
        };
        let is_photo = memmem::find(got.get(..end).unwrap_or_default(), b"$value").is_some();
        let json =
            br#"{"@odata.mediaContentType":"image/jpeg","id":"240X240","height":240,"width":240}"#;
        let (media, body) = if is_photo {
            ("image/jpeg", photo.as_slice())
        } else {
            ("application/json", json.as_slice())
        };
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: {media}\r\nETag: \"0123456789abcdef\"\r\n\
             Date: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(&[head.as_bytes(), body].concat()).await?;
        got.drain(..end + 4);
    }
}

/// As an app asks: a token as long as Graph's are.
fn request(owner: usize, path: &str, token: usize) -> Vec<u8> {
    let token = format!("{token:04}{}", "aZ3-_".repeat(360));
    format!(
        "GET /v1.0/users/{owner:08x}-1234-4567-89ab-0123456789ab{path} HTTP/1.1\r\nHost: localhost\r\n\
         Accept: */*\r\nUser-Agent: app\r\nAuthorization: Bearer {token}\r\n\r\n"
    )
    .into_bytes()
}

struct Caller {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Caller {
    fn new(stream: TcpStream) -> Self {
        let buffer = Vec::with_capacity(1 << 14);
        Self { stream, buffer }
    }

    /// Asks, and reads the answer to its end.
    async fn ask(&mut self, request: &[u8]) -> Outcome<()> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err("the connection was closed".into());
            }
            let Some(end) = memmem::find(&self.buffer, b"\r\n\r\n") else {
                continue;
            };
            let head = self.buffer.get(..end).unwrap_or_default();
            let length = memmem::find(head, b"content-length: ").and_then(|at| {
                let rest = head.get(at + 16..)?.split(|byte| *byte == b'\r').next()?;
                std::str::from_utf8(rest).ok()?.parse::<usize>().ok()
            });
            if self.buffer.len() >= end + 4 + length.ok_or("no length")? {
                return Ok(());
            }
        }
    }
}
