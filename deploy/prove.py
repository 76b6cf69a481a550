#!/usr/bin/env python3
"""Carries out the Containerfile without a container engine, and proves what it gives.

    deploy/prove.py           the image as it is shipped (a release build: minutes)
    deploy/prove.py --dev     the same steps with a debug build, for the test command

Reads the Containerfile itself: each instruction is carried out, none is repeated here. This
machine stands in for the build stage's base image. The result is started as a container would be:
in namespaces of its own, an otherwise empty read-only root, as user 65532 without capabilities.
There it must check its settings, resolve a name by DNS, trust the roots in its image, serve a photo
from Graph and then from memory, answer its probes, and end when told to.

Needs root, unshare, mount, ip, openssl; the last lines are figures.
"""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tarfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCE = HERE.parent
WORK = SOURCE / "target" / "image"
PHOTO = b"\xff\xd8\xff\xe0" + b"a face" * 1000 + b"\xff\xd9"
PERSON = "87d349ed-44d7-43e1-9a83-5f2406dee5bd"


def instructions(text):
    """The Containerfile's instructions, continued lines joined."""
    lines = re.sub(r"\\\n", " ", text).splitlines()
    for line in lines:
        if line.strip() and not line.startswith("#"):
            word, _, rest = line.strip().partition(" ")
            yield word.upper(), rest.strip()


def build(dev):
    """Carries out both stages; gives the image's root and its settings."""
    shutil.rmtree(WORK, ignore_errors=True)
    staged, root, settings, final = WORK / "image", WORK / "root", {}, False
    root.mkdir(parents=True)
    for word, rest in instructions((HERE / "Containerfile").read_text()):
        print(f"+ {word} {rest}", flush=True)
        if word == "FROM":
            final = rest == "scratch"
        elif word == "RUN":
            assert not final, "nothing can run in an empty image"
            run(rest.replace("/image/", f"{staged}/"), dev)
        elif word == "COPY" and final:
            source, target = rest.removeprefix("--from=build ").split()
            assert source == "/image/", source
            shutil.copytree(staged, root / target.lstrip("/"), dirs_exist_ok=True)
        elif word in ("USER", "ENTRYPOINT", "STOPSIGNAL"):
            settings[word] = rest
        else:
            assert (word, rest) in (("WORKDIR", "/src"), ("COPY", ". .")), f"{word} is not known"
            print("  (this checkout)")
    return root, settings


def run(command, dev):
    """A RUN step. What only brings tools is left to this machine; --dev builds for debugging."""
    if "apt-get" in command or command.startswith("cargo install"):
        print("  (left to this machine)")
        return
    if dev:
        # The same link step on what the tests have built already.
        command = command.replace("cargo auditable rustc", "cargo rustc --quiet")
        command = command.replace(" --release --no-default-features --features jemalloc", "")
        command = command.replace("target/release/", "target/debug/")
        command = command.replace("crt-static", "crt-static -C strip=symbols")
        print(f"  (as: {command})")
    subprocess.run(["bash", "-euc", command], cwd=SOURCE, check=True)


def inspect(root):
    """What is in the image, and that nothing is missing from it."""
    files = {str(path.relative_to(root)): path for path in root.rglob("*") if path.is_file()}
    assert set(files) == {"graph-photo-proxy", "etc/ssl/certs/ca-certificates.crt"}, set(files)
    binary = files["graph-photo-proxy"]
    linked = subprocess.run(["ldd", binary], capture_output=True, text=True)
    said = linked.stdout + linked.stderr
    assert "not a dynamic executable" in said or "statically linked" in said, said
    assert files["etc/ssl/certs/ca-certificates.crt"].read_text().count("BEGIN CERTIFICATE") > 50
    layer = WORK / "layer.tar.gz"
    with tarfile.open(layer, "w:gz") as archive:
        archive.add(root, "/")
    return {
        "binary": binary.stat().st_size,
        "image": sum(path.stat().st_size for path in files.values()),
        "image_compressed": layer.stat().st_size,
    }


def contain(root):
    """Makes the container's file system at `root` as an engine does. Runs in its own namespaces."""
    place = WORK / "container"
    place.mkdir(exist_ok=True)
    sh = lambda *command: subprocess.run(command, check=True)
    sh("mount", "--make-rprivate", "/")
    sh("ip", "link", "set", "lo", "up")
    sh("mount", "-t", "tmpfs", "tmpfs", place)
    shutil.copytree(root, place, dirs_exist_ok=True)
    (place / "proc").mkdir()
    sh("mount", "-t", "proc", "proc", place / "proc")
    (place / "etc/resolv.conf").write_text("nameserver 127.0.0.1\n")
    # The roots of the image, and one of our own among them, to stand for Graph's.
    root, pair = certificate(WORK)
    with open(place / "etc/ssl/certs/ca-certificates.crt", "a") as bundle:
        bundle.write(root.read_text())
    sh("mount", "-o", "remount,ro", place)
    return place, pair


CERTIFICATES = """\
[req]
distinguished_name = name
[name]
[root]
basicConstraints = critical,CA:TRUE
[leaf]
basicConstraints = CA:FALSE
subjectAltName = DNS:graph.test
"""


def certificate(place):
    """A root, and a file with a certificate of it for graph.test and its key."""
    (place / "openssl.cnf").write_text(CERTIFICATES)

    def make(kind, subject, *signed):
        subprocess.run(
            ["openssl", "req", "-x509", "-config", place / "openssl.cnf", "-extensions", kind, *signed,
             "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={subject}",
             "-keyout", place / f"{kind}.key", "-out", place / f"{kind}.pem"],
            check=True, stderr=subprocess.DEVNULL)

    root, pair = place / "root.pem", place / "pair.pem"
    make("root", "root.test")
    make("leaf", "graph.test", "-CA", root, "-CAkey", place / "root.key")
    pair.write_text((place / "leaf.key").read_text() + (place / "leaf.pem").read_text())
    return root, pair


def name_server():
    """Answers that graph.test is 127.0.0.1, and counts the questions."""
    asked = []
    wire = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    wire.bind(("127.0.0.1", 53))

    def serve():
        while True:
            question, peer = wire.recvfrom(512)
            end = question.index(b"\0", 12) + 5
            kind = struct.unpack("!H", question[end - 4 : end - 2])[0]
            known = question[12 : end - 4] == b"\x05graph\x04test\0"
            asked.append(question[12 : end - 4])
            address = known and kind == 1
            head = question[:2] + struct.pack("!5H", 0x8180 if known else 0x8183, 1, address, 0, 0)
            answer = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x7f\0\0\1" if address else b""
            wire.sendto(head + question[12:end] + answer, peer)

    threading.Thread(target=serve, daemon=True).start()
    return asked


def graph(pair, port=443):
    """A Graph behind TLS that has one photo. Gives its port and what it is asked: path and fields."""
    asked = []

    class Answer(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            asked.append((self.path, dict(self.headers)))
            photo = self.path.endswith("/photo/$value")
            body = PHOTO if photo else b"{}"
            self.send_response(200)
            self.send_header("Content-Type", "image/jpeg" if photo else "application/json")
            self.send_header("ETag", '"1"')
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Answer)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(pair)
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port, asked


def get(port, path, **fields):
    wire = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    wire.request("GET", path, headers=fields)
    answer = wire.getresponse()
    return answer.status, answer.getheader("Cache-Status") or "", answer.read()


def inside(root, settings):
    """Runs the container."""
    place, pair = contain(Path(root))
    names, (_, asked) = name_server(), graph(pair)
    user, group = map(int, settings["USER"].split(":"))
    entry = json.loads(settings["ENTRYPOINT"])

    def enter():
        os.chroot(place)
        os.chdir("/")
        os.setgroups([])
        os.setgid(group)
        os.setuid(user)  # and with it goes every capability

    def start(*arguments):
        return subprocess.Popen(
            entry + list(arguments), env={}, preexec_fn=enter,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    check = start("check", "--upstream", "https://graph.test")
    said, _ = check.communicate(timeout=20)
    assert check.returncode == 0 and 'upstream = "https://graph.test"' in said, said
    print("ok: check, with the settings as they hold")

    proxy = start("--upstream", "https://graph.test")
    said = []
    threading.Thread(target=lambda: said.extend(proxy.stdout), daemon=True).start()
    for _ in range(200):
        if any(line.startswith("admin ") for line in said):
            break
        time.sleep(0.05)
    else:
        raise AssertionError("".join(said))
    for _ in range(200):
        if get(9090, "/readyz")[0] == 200:
            break
        time.sleep(0.05)
    def field(name):
        status = Path(f"/proc/{proxy.pid}/status").read_text()
        return re.search(rf"^{name}:[ \t]*(.*)$", status, re.M)[1]

    def resident():
        return int(field("VmRSS").split()[0]) * 1024

    assert field("Uid").split() == [str(user)] * 4 and field("Groups").split() == []
    assert int(field("CapEff"), 16) == 0 and int(field("CapPrm"), 16) == 0
    figures = {"idle_rss": resident()}
    print("ok: runs as", settings["USER"], "without capabilities in a read-only root")
    for page in ("/livez", "/readyz"):
        assert get(9090, page)[0] == 200, page
    health = start("health")
    said_of_it, _ = health.communicate(timeout=20)
    assert health.returncode == 0, said_of_it
    print("ok: /livez, /readyz, health")

    path = f"/v1.0/users/{PERSON}/photo/$value"
    first = get(8080, path, Authorization="Bearer one")
    again = get(8080, path, Authorization="Bearer one")
    assert first[0] == again[0] == 200 and first[2] == again[2] == PHOTO, (first[:2], again[:2], said)
    assert "hit" not in first[1].split(";")[1] and "hit" in again[1], (first[1], again[1])
    assert [asked_for for asked_for, _ in asked] == [path] and any(b"graph" in name for name in names), (asked, names)
    print("ok: a name by DNS, TLS by the image's roots, a photo from Graph and then from memory")
    figures["rss_after_first_requests"] = resident()

    proxy.send_signal(getattr(signal, settings["STOPSIGNAL"]))
    assert proxy.wait(25) == 0, said
    print("ok: ends when told to")
    print(json.dumps(figures))


def main():
    if sys.argv[1:2] == ["--inside"]:
        return inside(sys.argv[2], json.loads(sys.argv[3]))
    root, settings = build("--dev" in sys.argv)
    figures = inspect(root)
    print("ok: static, and nothing in the image but the binary and the roots")
    command = ["unshare", "--mount", "--net", sys.executable, __file__, "--inside", root]
    end = subprocess.run([*command, json.dumps(settings)], stdout=subprocess.PIPE, text=True)
    lines = end.stdout.splitlines()
    if end.returncode != 0:
        print(end.stdout)
        sys.exit(end.returncode)
    print("\n".join(lines[:-1]))
    figures |= json.loads(lines[-1])
    for name, size in figures.items():
        print(f"{name}: {size / 1024 / 1024:.1f} MiB ({size} bytes)")


if __name__ == "__main__":
    main()
