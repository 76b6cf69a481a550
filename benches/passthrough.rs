//! Memory of the real binary while gigabytes pass through it.
//!
//! `cargo bench --bench passthrough` sends 1 GB up and 1 GB down over HTTP/1.1; `-- 10` sends
//! 10 GB each way. Graph and caller are plain threads in this process, so that what is measured
//! is the proxy alone: its memory before, at most, and the time each way took. Both ends write
//! and read as fast as they can, and the machine's other work shows in the time, not in the
//! memory.

use std::error::Error;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const GB: u64 = 1_000_000_000;
const PIECE: usize = 1 << 18;

fn main() -> Outcome<()> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a bench has arguments of its own"
    )]
    let said = std::env::args().find_map(|word| word.parse::<u64>().ok());
    let gigabytes = said.unwrap_or(1);
    let length = gigabytes * GB;
    let graph = TcpListener::bind("127.0.0.1:0")?;
    let upstream = format!("http://{}", graph.local_addr()?);
    std::thread::spawn(move || {
        for stream in graph.incoming().flatten() {
            std::thread::spawn(move || serve(stream, length));
        }
    });
    let proxy = Proxy::start(&upstream)?;
    let mut out = std::io::stdout();
    // Once small: what every first request brings along is no growth.
    exchange(&proxy.address, "GET /small", 0)?;
    let (before, _) = proxy.memory()?;
    writeln!(out, "{gigabytes} GB each way; {before} KiB before")?;
    for (way, line, sent) in [("up", "PUT /large", length), ("down", "GET /large", 0)] {
        #[expect(clippy::disallowed_methods, reason = "the time is what is measured")]
        let begun = Instant::now();
        exchange(&proxy.address, line, sent)?;
        let (now, most) = proxy.memory()?;
        let seconds = begun.elapsed().as_secs_f64();
        writeln!(
            out,
            "{way}: {seconds:.1} s, {now} KiB after, {most} KiB at most"
        )?;
    }
    Ok(())
}

/// One request, its body sent and its answer read in pieces.
fn exchange(address: &str, line: &str, sent: u64) -> Outcome<()> {
    let mut stream = TcpStream::connect(address)?;
    write!(
        stream,
        "{line} HTTP/1.1\r\nHost: p\r\nConnection: close\r\nContent-Length: {sent}\r\n\r\n"
    )?;
    pour(&mut stream, sent)?;
    let mut reader = BufReader::with_capacity(PIECE, stream);
    let length = head(&mut reader)?;
    let got = std::io::copy(&mut reader.take(length), &mut std::io::sink())?;
    if got == length {
        Ok(())
    } else {
        Err(format!("{got} bytes of {length}").into())
    }
}

/// Graph: takes what comes, and gives as much as is asked for.
fn serve(stream: TcpStream, large: u64) -> Outcome<()> {
    let mut reader = BufReader::with_capacity(PIECE, stream.try_clone()?);
    let mut writer = stream;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let length = head(&mut reader)?;
        std::io::copy(&mut (&mut reader).take(length), &mut std::io::sink())?;
        let length = if line.starts_with("GET /large") {
            large
        } else {
            0
        };
        write!(
            writer,
            "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"
        )?;
        pour(&mut writer, length)?;
    }
}

/// Reads the rest of a head; the length it tells.
fn head(reader: &mut impl std::io::BufRead) -> Outcome<u64> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if line.trim().is_empty() {
            return Ok(length);
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse()?;
        }
    }
}

fn pour(stream: &mut TcpStream, mut left: u64) -> Outcome<()> {
    let piece = vec![7; PIECE];
    while left > 0 {
        let here = usize::try_from(left).map_or(PIECE, |left| left.min(PIECE));
        stream.write_all(piece.get(..here).unwrap_or_default())?;
        left -= here as u64;
    }
    Ok(())
}

/// The real binary, killed in the end.
struct Proxy {
    child: Child,
    address: String,
}

impl Proxy {
    fn start(upstream: &str) -> Outcome<Self> {
        let mut child = Command::new(env!("CARGO_BIN_EXE_graph-photo-proxy"))
            .args(["--listen=127.0.0.1:0", "--admin=off", "--log=warn"])
            .arg(format!("--upstream={upstream}"))
            .stdout(Stdio::piped())
            .spawn()?;
        let mut lines = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
        let address = loop {
            let line = lines.next().ok_or("it ended")??;
            if let Some(address) = line.strip_prefix("listen http://") {
                break address.to_owned();
            }
        };
        Ok(Self { child, address })
    }

    /// Resident memory now and at most, in KiB.
    fn memory(&self) -> Outcome<(u64, u64)> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let figure = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name))?;
            line.split_whitespace().nth(1)?.parse().ok()
        };
        let both = figure("VmRSS:").zip(figure("VmHWM:"));
        both.ok_or_else(|| "the system tells no memory".into())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
