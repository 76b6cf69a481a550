#!/usr/bin/env python3
"""Measures the real binary's memory against what the cache accounts for, and what a purge returns.

    cargo build --release --no-default-features --features jemalloc
    benches/memory.py target/release/graph-photo-proxy [NAME=VALUE ...] [--cache 256MiB]
    benches/memory.py target/release/graph-photo-proxy over

10,000 people have photos of about 60 KB, 20,000 thumbnails of about 2 KB (sizes vary by half, as
people's do). Everybody's is asked for once through the proxy; then again in two more companies of the
same size, so that with a small --cache every photo pushes others out; then all is purged. NAME=VALUE
goes into the binary's environment: LD_PRELOAD tries another allocator on a binary built without the
feature `jemalloc`. One line a step, in MiB.

`over` says what is taken beside the photos themselves: 10,000 photos of exactly 60,000 bytes, 10,000 of
2,000, and 60,000 answers of metadata, a process each; in bytes for each of them, once all are held, and
after they have been given out twice. What the process has before the first of them is taken off.
"""

import asyncio
import random
import subprocess
import sys
from pathlib import Path

PEOPLE = [60_000] * 10_000 + [2_000] * 20_000
NOISE = random.Random(1).randbytes(200_000)
CONNECTIONS = 16


def size_of(company, number):
    return int(PEOPLE[number] * random.Random(company * 1_000_003 + number).uniform(0.5, 1.5))


async def graph(reader, writer):
    """Answers every photo request with bytes of the size in its path."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            name = head.split(b"/users/", 1)[1][:36]
            size = size_of(int(name[:8], 16), int(name[24:], 16))
            fields = f'HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nETag: "{size}"\r\nContent-Length: {size}\r\n\r\n'
            writer.write(fields.encode() + NOISE[:size])
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
        writer.close()


async def ask(address, requests):
    host, port = address.rsplit(":", 1)
    reader, writer = await asyncio.open_connection(host, int(port))
    for request in requests:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        await reader.readexactly(int(length[0].split(b":")[1]))
    writer.close()


def numbered(company, number):
    """The request for somebody's photo."""
    return (b"GET /v1.0/users/%08x-0000-4000-8000-%012x/photo/$value HTTP/1.1\r\nHost: p\r\n"
            b"Authorization: Bearer a-token\r\n\r\n" % (company, number))


async def everybody(address, company):
    order = list(range(len(PEOPLE)))
    random.Random(company).shuffle(order)
    requests = [numbered(company, number) for number in order]
    await asyncio.gather(*(ask(address, requests[at::CONNECTIONS]) for at in range(CONNECTIONS)))


class Server:
    """The binary before that Graph, with these settings, for the length of an `async with`."""

    def __init__(self, binary, graph, environment=None, **settings):
        self.binary, self.graph, self.environment = binary, graph, environment or {}
        self.settings = {
            "listen": "127.0.0.1:0", "admin": "127.0.0.1:0", "cache-memory": "1GiB", "upstream-concurrency": "64",
            "photo-ttl": "1d", "log": "error", **settings,
        }

    async def __aenter__(self):
        self.upstream = await asyncio.start_server(self.graph, "127.0.0.1", 0, limit=1 << 20)
        port = self.upstream.sockets[0].getsockname()[1]
        flags = [f"--{name}={value}" for name, value in self.settings.items()]
        self.process = subprocess.Popen(
            [self.binary, f"--upstream=http://127.0.0.1:{port}", *flags],
            env=self.environment, stdout=subprocess.PIPE, text=True)
        self.addresses = {}
        while "admin" not in self.addresses:
            name, address = self.process.stdout.readline().split()
            self.addresses[name] = address.split("://")[1]
        self.listen, self.admin = self.addresses["listen"], self.addresses["admin"]
        return self

    async def __aexit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()
        self.upstream.close()

    async def page(self, request):
        reader, writer = await asyncio.open_connection(*self.admin.rsplit(":", 1))
        writer.write(request)
        answer = await reader.read()
        writer.close()
        return answer.decode()

    async def purge(self):
        said = await self.page(b"POST /purge HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                               b"Content-Type: application/json\r\nContent-Length: 19\r\n\r\n" + b'{"everything":true}')
        assert " 200 " in said, said

    async def settled(self):
        """Memory in bytes: what the cache counts, what the process has, and had at most."""
        await asyncio.sleep(7)  # the timer that drops what has ended comes every 5 seconds
        text = await self.page(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        held = [line for line in text.splitlines() if line.startswith("graph_photo_proxy_cache_held_bytes ")]
        status = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        resident, most = (next(int(line.split()[1]) * 1024 for line in status if line.startswith(name))
                          for name in ("VmRSS", "VmHWM"))
        return {"accounted": float(held[0].split()[1]), "resident": resident, "most": most}


def alike(length):
    """A Graph whose photos are all of this length, and its metadata as long as Graph's."""

    async def graph(reader, writer):
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                name = head.split(b"/users/", 1)[1][:36]
                if b"/$value " in head:
                    kind, body = "image/jpeg", NOISE[:length]
                else:
                    kind = "application/json;odata.metadata=minimal"
                    body = (b'{"@odata.context":"https://graph.microsoft.com/v1.0/$metadata#users(\'%s\')/photo/$entity",'
                            b'"@odata.mediaContentType":"image/jpeg","@odata.mediaEtag":"W/\\"%s\\"","id":"648X648",'
                            b'"height":648,"width":648}' % (name, name))
                fields = (f'HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nETag: "{name.decode()}"\r\n'
                          f"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Length: {len(body)}\r\n\r\n")
                writer.write(fields.encode() + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            writer.close()

    return graph


async def over(binary, what, count, length):
    """What so many answers take, in bytes each."""
    def requests(company, numbers):
        asked = [numbered(company, number) for number in numbers]
        return asked if length else [request.replace(b"/photo/$value", b"/photo") for request in asked]

    async def all_of(asked):
        await asyncio.gather(*(ask(server.listen, asked[at::CONNECTIONS]) for at in range(CONNECTIONS)))

    async with Server(binary, alike(length), **{"cache-memory": "4GiB"}) as server:
        # What the first requests leave behind is none of the answers'.
        await all_of(requests(0, range(200)) * 2)
        before = await server.settled()
        said = []
        for times in (1, 2):
            await all_of(requests(1, range(count)) * times)
            now = await server.settled()
            said.append([(now[of] - before[of]) / count for of in ("resident", "accounted")])
    (held, counted), (given, _) = said
    share = f" ({given / length - 1:.1%} over its length)" if length else ""
    print(f"{what:22} held {held:8,.0f}  given out {given:8,.0f}{share}  counted as {counted:8,.0f}", flush=True)


async def main():
    arguments = sys.argv[1:]
    if arguments[1:] == ["over"]:
        await over(arguments[0], "photo of 60,000 bytes", 10_000, 60_000)
        await over(arguments[0], "photo of 2,000 bytes", 10_000, 2_000)
        await over(arguments[0], "metadata", 60_000, 0)
        return
    cache = "1GiB"
    if "--cache" in arguments:
        at = arguments.index("--cache")
        cache = arguments[at + 1]
        del arguments[at : at + 2]
    binary, environment = arguments[0], dict(pair.split("=", 1) for pair in arguments[1:])

    async def tell(step):
        now = {name: size / 2**20 for name, size in (await server.settled()).items()}
        ratio = f"{now['resident'] / now['accounted']:5.2f}" if now["accounted"] > 1 else "    -"
        print(f"{step:11} accounted {now['accounted']:7.1f}  resident {now['resident']:7.1f}  "
              f"at most {now['most']:7.1f}  ratio {ratio}", flush=True)

    async with Server(binary, graph, environment, **{"cache-memory": cache}) as server:
        await tell("idle")
        for company in (1, 2, 3):
            await everybody(server.listen, company)
            await tell(f"company {company}")
        await server.purge()
        await tell("purged")
        await asyncio.sleep(20)
        await tell("20 s later")
        await everybody(server.listen, 4)
        await tell("filled anew")


if __name__ == "__main__":
    asyncio.run(main())
