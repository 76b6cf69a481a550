#!/usr/bin/env python3
"""The same photo routes behind graph-photo-proxy, nginx and Varnish: which does what.

Needs nginx and varnishd on the path, and the binary: `cargo build`, then
`python3 tests/peers/semantics.py [BINARY]`. Prints a table. nginx and Varnish are keyed
sensibly: by Authorization and target, an hour where the answer says nothing.
"""

import http.client
import http.server
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import threading
import time

JPEG = {"Content-Type": "image/jpeg"}
BODY = b"0123456789"
SEEN = {}


def say(status=200, body=BODY, **fields):
    fields = {name.replace("_", "-"): value for name, value in fields.items()}
    return status, {**JPEG, "request-id": "1", **fields}, body


# What Graph answers to the n-th request of a case.
CASES = {
    "plain": lambda n, asked: say(ETag='W/"a"'),
    "nostore": lambda n, asked: say(Cache_Control="no-store"),
    "nocache": lambda n, asked: say(Cache_Control="no-cache", ETag='"a"'),
    "varystar": lambda n, asked: say(Vary="*"),
    "varylanguage": lambda n, asked: say(Vary="Accept-Language", body=str(n).encode()),
    "tag": lambda n, asked: say(Cache_Control="max-age=1", ETag='W/"a"'),
    "must": lambda n, asked: say(Cache_Control="max-age=1, must-revalidate", ETag='"a"') if n == 1 else say(500),
    "iferror": lambda n, asked: say(Cache_Control="max-age=1, stale-if-error=60", ETag='"a"') if n == 1 else say(500),
    "negative": lambda n, asked: say(Cache_Control="max-age=-1"),
    "html": lambda n, asked: say(**{"Content-Type": "text/html"}) if n == 1 else say(),
    "forbidden": lambda n, asked: say(403, Cache_Control="max-age=60") if n == 1 else say(),
    "absent": lambda n, asked: say(404, b"", **{"Content-Type": "application/json"}),
    "cookie": lambda n, asked: say(Set_Cookie="a=b", Cache_Control="max-age=60"),
    "public": lambda n, asked: say(Cache_Control="public, max-age=60"),
    "cut": lambda n, asked: say(Content_Length="20") if n == 1 else say(),
    "part": lambda n, asked: say(206, b"01", Content_Range="bytes 0-1/10") if n == 1 else say(),
    "novalidator": lambda n, asked: say(),
    "write": lambda n, asked: say(ETag='"%d"' % n, body=str(n).encode()),
}


class Graph(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        length = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(length)
        case = self.path.split("/")[3].split("@")[0]
        seen = SEEN.setdefault((self.server.server_port, case), [])
        seen.append((self.command, self.headers))
        if self.command == "PUT":
            status, fields, body = 200, {}, b""
        else:
            reads = sum(1 for method, _ in seen if method != "PUT")
            status, fields, body = CASES[case](reads, self.headers)
            tag = fields.get("ETag")
            if status == 200 and tag and self.headers.get("If-None-Match") == tag:
                status, body = 304, b""
        self.send_response(status)
        for name, value in fields.items():
            if status != 304 or name != "Content-Type":
                self.send_header(name, value)
        if "Content-Length" not in fields and status != 304:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.close_connection = "Content-Length" in fields

    do_GET = do_HEAD = do_PUT = answer

    def log_message(self, *_):
        pass


class Peer:
    """One proxy, with a Graph of its own behind it."""

    def __init__(self, name, start):
        self.name = name
        self.graph = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Graph)
        threading.Thread(target=self.graph.serve_forever, daemon=True).start()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.folder = tempfile.TemporaryDirectory()
        self.process = start(self.port, self.graph.server_port, pathlib.Path(self.folder.name))
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise SystemExit(f"{name} does not listen")

    def ask(self, case, method="GET", token="t", **fields):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        fields = {name.replace("_", "-"): value for name, value in fields.items()}
        path = f"/v1.0/users/{case}@contoso.com/photo/$value"
        body = b"new" if method == "PUT" else None
        headers = {"Authorization": f"Bearer {token}", **fields}
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        except (OSError, http.client.HTTPException):
            return 0, {}, b""
        finally:
            connection.close()

    def seen(self, case):
        return SEEN.get((self.graph.server_port, case), [])

    def stop(self):
        self.process.terminate()
        self.process.wait(20)
        self.graph.shutdown()
        self.folder.cleanup()


def ours(binary):
    def start(port, graph, _):
        settings = {
            "listen": f"127.0.0.1:{port}",
            "admin": "off",
            "upstream": f"http://127.0.0.1:{graph}",
            "upstream-directives": "honour",
            "stale-while-revalidate": "0s",
        }
        flags = [f"--{name}={value}" for name, value in settings.items()]
        return subprocess.Popen([binary, *flags], stderr=subprocess.DEVNULL)

    return start


def nginx(port, graph, folder):
    (folder / "nginx.conf").write_text(f"""
daemon off; master_process off; pid {folder}/pid; error_log /dev/null;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  proxy_cache_path {folder}/cache keys_zone=photos:10m inactive=25h;
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://127.0.0.1:{graph};
      proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_cache photos; proxy_cache_key $http_authorization$request_uri;
      proxy_cache_valid 200 1h; proxy_cache_valid 404 10m;
      proxy_cache_revalidate on; proxy_cache_lock on; proxy_force_ranges on;
    }}
  }}
}}
""")
    return subprocess.Popen(["nginx", "-c", f"{folder}/nginx.conf"], stderr=subprocess.DEVNULL)


def varnish(port, graph, folder):
    (folder / "photos.vcl").write_text(f"""
vcl 4.1;
backend graph {{ .host = "127.0.0.1"; .port = "{graph}"; }}
sub vcl_hash {{ hash_data(req.http.Authorization); }}
sub vcl_recv {{ if (req.method == "GET" || req.method == "HEAD") {{ return (hash); }} }}
""")
    command = ["varnishd", "-F", "-a", f"127.0.0.1:{port}", "-f", f"{folder}/photos.vcl"]
    command += ["-n", str(folder / "n"), "-t", "3600", "-j", "none"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def twice(peer, case):
    """Two GETs; how many reached Graph."""
    peer.ask(case)
    peer.ask(case)
    return len(peer.seen(case))


def later(peer, case, **fields):
    peer.ask(case)
    time.sleep(2.1)
    return peer.ask(case, **fields)


def written(peer):
    peer.ask("write")
    peer.ask("write", "PUT")
    return peer.ask("write")[2] != b"1"


CHECKS = [
    ("a second request costs nothing", lambda p: twice(p, "plain") == 1),
    ("another token never gets it unasked", lambda p: (p.ask("plain"), p.ask("plain", token="u"), len(p.seen("plain")) > 1)[2]),
    ("If-None-Match with the weak tag: 304", lambda p: p.ask("plain", If_None_Match='W/"a"')[0] == 304),
    ("HEAD from the stored GET", lambda p: (p.ask("plain"), n := len(p.seen("plain")), p.ask("plain", "HEAD"), len(p.seen("plain")) == n)[3]),
    ("one range: 206", lambda p: p.ask("plain", Range="bytes=2-3")[2] == b"23"),
    ("range beyond the end: 416 and the length", lambda p: p.ask("plain", Range="bytes=99-")[1].get("content-range") == "bytes */10"),
    ("several ranges: whole", lambda p: p.ask("plain", Range="bytes=0-1,3-4")[::2] == (200, BODY)),
    ("If-Range with a weak tag: whole", lambda p: p.ask("plain", Range="bytes=0-1", If_Range='W/"a"')[0] == 200),
    ("Cache-Status says what happened", lambda p: "hit" in p.ask("plain")[1].get("cache-status", "")),
    ("Age on what is stored", lambda p: p.ask("plain")[1].get("age", "").isdigit()),
    ("no-store obeyed", lambda p: twice(p, "nostore") == 2),
    ("no-cache asked again each time", lambda p: twice(p, "nocache") == 2),
    ("negative max-age is stale", lambda p: twice(p, "negative") == 2),
    ("Vary: * never reused", lambda p: twice(p, "varystar") == 2),
    ("Vary obeyed", lambda p: p.ask("varylanguage", Accept_Language="de")[2] != p.ask("varylanguage", Accept_Language="en")[2]),
    ("stale: asked with the tag as received", lambda p: (later(p, "tag"), p.seen("tag")[-1][1].get("If-None-Match") == 'W/"a"')[1]),
    ("must-revalidate holds against errors", lambda p: later(p, "must")[0] >= 500),
    ("stale-if-error shown on errors", lambda p: later(p, "iferror")[0] == 200),
    ("own tag where Graph has none", lambda p: "etag" in p.ask("novalidator")[1]),
    ("a gateway's HTML is not kept", lambda p: twice(p, "html") == 2),
    ("403 never kept, whatever it says", lambda p: twice(p, "forbidden") == 2),
    ("no photo is remembered", lambda p: twice(p, "absent") == 1),
    ("a cut photo is not kept", lambda p: (twice(p, "cut"), p.ask("cut")[2] == BODY)[1]),
    ("an unasked 206 is not kept", lambda p: (p.ask("part"), p.ask("part")[2] == BODY)[1]),
    ("a photo with Set-Cookie is kept without it", lambda p: (p.ask("cookie"), p.ask("cookie"), len(p.seen("cookie")) == 1 and "set-cookie" not in p.ask("cookie")[1])[2]),
    ("no shared cache is told to keep it", lambda p: "public" not in p.ask("public")[1].get("cache-control", "public")),
    ("a write ends what is stored", written),
]


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else "target/debug/graph-photo-proxy"
    os.chdir(pathlib.Path(__file__).resolve().parents[2])
    peers = [Peer("graph-photo-proxy", ours(binary)), Peer("nginx", nginx), Peer("Varnish", varnish)]
    try:
        print("| behaviour |" + "".join(f" {peer.name} |" for peer in peers))
        print("|---|" + "---|" * len(peers))
        for name, check in CHECKS:
            marks = "".join(" yes |" if check(peer) else " no |" for peer in peers)
            print(f"| {name} |{marks}", flush=True)
    finally:
        for peer in peers:
            peer.stop()


if __name__ == "__main__":
    main()
