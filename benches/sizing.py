#!/usr/bin/env python3
"""What a pod needs: memory per 1,000 photos of each size, processor time per 1,000 requests a second.

    cargo build --example world
    cargo build --release --no-default-features --features jemalloc
    benches/sizing.py target/release/graph-photo-proxy [--quick]

Photos are the simulated Graph's (examples/world.rs), each size of each person; to have thousands of
them, their lengths are served again under other ids. Memory is what the process has more (VmRSS) with
the photos than without. Processor time is user and system time of the proxy's process alone, which a
busy machine raises all the same: say the load beside it. Requests come from h2load (Debian: nghttp2-client).
Prints the two tables of README, "What a pod needs".
"""

import asyncio
import json
import os
import ssl
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

from memory import NOISE, Server, ask, numbered

ROOT = Path(__file__).resolve().parents[1]
SIZES = ["48x48", "64x64", "96x96", "120x120", "240x240", "360x360", "432x432", "504x504", "648x648", "largest"]
TICKS = os.sysconf("SC_CLK_TCK")


def world():
    """The simulated Graph: where it is, who lives there, a token."""
    process = subprocess.Popen([ROOT / "target/debug/examples/world"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    return process, json.loads(process.stdout.readline())


def lengths():
    """How long everybody's photo is, by size."""
    process, known = world()
    trust = ssl.create_default_context(cafile=known["ca"])
    found = {}
    for size in SIZES:
        form = "photo" if size == "largest" else f"photos/{size}"
        for person in known["people"]:
            url = f"{known['graph']}/v1.0/users/{person['id']}/{form}/$value"
            request = urllib.request.Request(url, headers={"Authorization": f"Bearer {known['token']}"})
            try:
                with urllib.request.urlopen(request, context=trust, timeout=60) as answer:
                    found.setdefault(size, []).append(len(answer.read()))
            except urllib.error.HTTPError as answer:
                assert answer.code == 404, answer.code  # Some have no photo so large.
    process.terminate()
    process.wait()
    return found


def serving(sizes):
    """A Graph whose n-th person's photo is as long as the n-th of these, over and over."""

    async def graph(reader, writer):
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                number = int(head.split(b"/users/", 1)[1][24:36], 16)
                size = sizes[number % len(sizes)]
                fields = (f'HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nETag: "{size}"\r\n'
                          f"Content-Length: {size}\r\n\r\n")
                writer.write(fields.encode() + NOISE[:size])
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            writer.close()

    return graph


async def memory(binary, sizes, photos):
    """What so many photos take, and what the cache counts for them, in bytes a photo."""
    async with Server(binary, serving(sizes)) as server:
        await asyncio.gather(*(ask(server.listen, [numbered(0, n) for n in range(50)]) for _ in range(8)))
        before = await server.settled()
        requests = [numbered(1, number) for number in range(photos)]
        await asyncio.gather(*(ask(server.listen, requests[at::8]) for at in range(8)))
        after = await server.settled()
    return [(after[of] - before[of]) / photos for of in ("resident", "accounted")]


def used(pid):
    """Processor time so far, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


async def processor(binary, sizes, requests, paths, *options, secure=False):
    """Milliseconds of processor a thousand requests."""
    with tempfile.TemporaryDirectory() as place:
        settings = {}
        if secure:
            pair = [f"{place}/key.pem", f"{place}/cert.pem"]
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                            "-subj", "/CN=localhost", "-keyout", pair[0], "-out", pair[1]],
                           check=True, stderr=subprocess.DEVNULL)
            settings = {"tls-listen": "127.0.0.1:0", "tls-key": pair[0], "tls-cert": pair[1]}
        async with Server(binary, serving(sizes), **settings) as server:
            base = "https://" + server.addresses["tls_listen"] if secure else "http://" + server.listen
            urls = Path(place) / "urls"
            urls.write_text("".join(f"{base}/v1.0/users/{path}/photo/$value\n" for path in paths))

            async def load(count):
                command = ["h2load", f"--requests={count}", f"--input-file={urls}", "--clients=8", *options,
                           "--header=Authorization: Bearer a-token"]
                process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
                said, _ = await process.communicate()
                assert f"{count} succeeded, 0 failed" in said.decode(), said.decode()

            if len(paths) == 1:
                await load(1000)  # What is measured next comes from memory.
            before = used(server.process.pid)
            await load(requests)
            return (used(server.process.pid) - before) * 1e6 / requests


async def main():
    quick = "--quick" in sys.argv
    binary = next(word for word in sys.argv[1:] if not word.startswith("-"))
    found = lengths()
    print("| photos | bytes each, mean | counted against `cache_memory`, 1,000 | memory, 1,000 |\n|---|---|---|---|")
    for size, sizes in found.items():
        photos = 500 if quick else max(1000, min(10_000, 200_000_000 // (sum(sizes) // len(sizes))))
        resident, accounted = await memory(binary, sizes, photos)
        mean = sum(sizes) // len(sizes)
        print(f"| {size} | {mean:,} | {accounted * 1000 / 2**20:.1f} MiB | {resident * 1000 / 2**20:.1f} MiB |", flush=True)
    requests = 5_000 if quick else 60_000
    one = ["00000001-0000-4000-8000-000000000001"]
    many = [f"00000001-0000-4000-8000-{number:012x}" for number in range(requests // 5)]
    print("\n| requests | photo | milliseconds of processor, 1,000 requests |\n|---|---|---|")
    for what, size, paths, options, secure in [
        ("from memory, HTTP/1.1", "48x48", one, ["--h1"], False),
        ("from memory, HTTP/1.1", "648x648", one, ["--h1"], False),
        ("from memory, HTTP/2", "48x48", one, ["--max-concurrent-streams=16"], False),
        ("from memory, HTTP/1.1 over TLS", "48x48", one, ["--h1"], True),
        ("from memory, HTTP/2 over TLS", "48x48", one, ["--max-concurrent-streams=16"], True),
        ("from memory, HTTP/2 over TLS", "648x648", one, ["--max-concurrent-streams=16"], True),
        ("asked of Graph (over plain HTTP) and stored", "48x48", many, ["--h1"], False),
        ("asked of Graph (over plain HTTP) and stored", "648x648", many, ["--h1"], False),
    ]:
        count = len(paths) if len(paths) > 1 else requests
        spent = await processor(binary, found[size], count, paths, *options, secure=secure)
        print(f"| {what} | {size} | {spent:.0f} |", flush=True)


asyncio.run(main())
