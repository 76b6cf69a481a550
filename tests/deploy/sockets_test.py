"""Sockets that a service manager binds and hands over: systemd's own tool, and by hand."""

import os
import re
import signal
import socket
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

from support import BINARY, DEPLOY, run

UNIT = DEPLOY / "systemd/graph-photo-proxy.socket"


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def get(path, port=None, where=None):
    """Asks on a TCP port of this machine, or on a Unix socket; all that comes."""
    kind, place = (socket.AF_INET, ("127.0.0.1", port)) if port else (socket.AF_UNIX, str(where))
    with socket.socket(kind) as wire:
        wire.settimeout(20)
        wire.connect(place)
        wire.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while piece := wire.recv(65536):
            answer += piece
    return answer.decode()


def handed(sockets, *arguments):
    """The binary, started with these sockets as a service manager would."""
    names = ":".join(name for name, _ in sockets)
    script = f'LISTEN_PID=$$ LISTEN_FDS={len(sockets)} LISTEN_FDNAMES={names} exec "$@"'
    # Descriptors from 3 on, whatever their numbers are here.
    kept = [os.dup2(one.fileno(), 100 + at) for at, (_, one) in enumerate(sockets)]
    moves = " ".join(f"{3 + at}<&{number}" for at, number in enumerate(kept))
    closed = " ".join(f"{number}<&-" for number in kept)
    command = ["bash", "-c", f"exec {moves}; exec {closed}; {script}", "bash", str(BINARY), *arguments]
    try:
        return subprocess.Popen(command, env={"PATH": os.environ["PATH"]}, pass_fds=kept,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    finally:
        for number in kept:
            os.close(number)


def listening(address=("127.0.0.1", 0), kind=socket.AF_INET):
    one = socket.socket(kind)
    one.bind(address)
    one.listen()
    return one


class Sockets(unittest.TestCase):
    def test_systemd_starts_it_at_the_first_caller_who_is_answered(self):
        with tempfile.TemporaryDirectory() as place:
            where, admin = Path(place) / "socket", free_port()
            command = ["systemd-socket-activate", f"--listen={where}", f"--listen=127.0.0.1:{admin}",
                       "--fdname=listen:admin", str(BINARY), "--upstream=http://127.0.0.1:9"]
            manager = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            try:
                for _ in range(200):
                    if where.exists():
                        break
                    time.sleep(0.05)
                # Nobody is there yet: the caller waits in the socket until somebody is.
                self.assertIn("HTTP/1.1 502", get("/v1.0/me", where=where))
                self.assertEqual(manager.stdout.readline(), f"listen unix:{where}\n")
                self.assertEqual(manager.stdout.readline(), f"admin http://127.0.0.1:{admin}\n")
                self.assertIn("HTTP/1.1 200", get("/readyz", port=admin))
            finally:
                manager.send_signal(signal.SIGTERM)
                self.assertEqual(manager.wait(30), 0)
                manager.stdout.close()
            self.assertTrue(where.exists(), "the file is the manager's")

    def test_callers_wait_and_are_not_refused_while_it_is_started_anew(self):
        with listening() as socket_of_callers:
            port = socket_of_callers.getsockname()[1]
            for _ in range(2):
                with socket.create_connection(("127.0.0.1", port), timeout=20) as early:
                    early.sendall(b"GET /v1.0/me HTTP/1.1\r\nHost: p\r\nConnection: close\r\n\r\n")
                    proxy = handed([("listen", socket_of_callers)], "--admin=off", "--upstream=http://127.0.0.1:9")
                    self.assertIn(b"HTTP/1.1 502", early.recv(65536))
                proxy.send_signal(signal.SIGTERM)
                proxy.communicate(timeout=30)
                self.assertEqual(proxy.returncode, 0)

    def test_a_socket_with_a_certificate_is_taken_by_its_name(self):
        with tempfile.TemporaryDirectory() as place, listening() as plain, listening() as secure:
            pair = [f"{place}/key.pem", f"{place}/cert.pem"]
            run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost",
                "-keyout", pair[0], "-out", pair[1])
            proxy = handed([("tls_listen", secure), ("listen", plain)], "--admin=off", "--tls-listen=127.0.0.1:1",
                           f"--tls-key={pair[0]}", f"--tls-cert={pair[1]}")
            said = {proxy.stdout.readline() for _ in range(2)}
            proxy.send_signal(signal.SIGTERM)
            proxy.communicate(timeout=30)
            ports = [one.getsockname()[1] for one in (plain, secure)]
            self.assertEqual(said, {f"listen http://127.0.0.1:{ports[0]}\n",
                                    f"tls_listen https://127.0.0.1:{ports[1]}\n"})

    def test_each_socket_that_cannot_be_used_is_refused_in_a_sentence(self):
        with tempfile.TemporaryDirectory() as place, listening() as one, listening() as other, \
                listening(("0.0.0.0", 0)) as open_to_all, \
                listening(f"{place}/socket", socket.AF_UNIX) as unix, open("/dev/null") as file:
            for sockets, arguments, sentence in [
                ([("graph-photo-proxy.socket", one)], [],
                 'a socket was handed over under the name "graph-photo-proxy.socket": '
                 "FileDescriptorName= must be listen, tls_listen or admin"),
                ([("listen", one), ("listen", other)], [],
                 "two sockets were handed over as listen, which can be one"),
                ([("listen", file)], [], "what was handed over as listen is not a socket to listen on: "),
                ([("admin", unix)], [],
                 "what was handed over as admin is not a socket to listen on: it is not one of TCP"),
                ([("tls_listen", one)], [],
                 "a socket was handed over as tls_listen, which the settings leave off"),
                ([("admin", one)], ["--admin=off"],
                 "a socket was handed over as admin, which the settings leave off"),
                ([("admin", open_to_all)], [], "beyond loopback: that needs admin_token or admin_client_ca"),
            ]:
                with self.subTest(sentence):
                    proxy = handed(sockets, "--listen=127.0.0.1:0", *arguments)
                    _, said = proxy.communicate(timeout=30)
                    self.assertEqual(proxy.returncode, 1, said)
                    self.assertIn(sentence, said.splitlines()[-1])

    def test_a_token_that_comes_in_plain_text_through_an_open_socket_is_warned_of(self):
        with listening() as own, listening(("0.0.0.0", 0)) as open_to_all:
            for admin, warned in (own, False), (open_to_all, True):
                with self.subTest(warned=warned):
                    proxy = handed([("admin", admin)], "--listen=127.0.0.1:0", "--admin-token=0123456789abcdef")
                    for _ in range(2):  # both addresses: it is bound
                        proxy.stdout.readline()
                    proxy.send_signal(signal.SIGTERM)
                    _, said = proxy.communicate(timeout=30)
                    self.assertEqual("takes admin_token in plain text from beyond this machine" in said, warned, said)

    def test_systemd_finds_no_fault_in_the_socket_unit(self):
        with tempfile.TemporaryDirectory() as place:
            service = UNIT.with_suffix(".service")
            text = service.read_text().replace("/usr/local/bin/graph-photo-proxy", str(BINARY))
            (Path(place) / service.name).write_text(text)
            (Path(place) / UNIT.name).write_text(UNIT.read_text())
            self.assertEqual(run("systemd-analyze", "verify", "--man=no", Path(place) / UNIT.name).strip(), "")
        self.assertEqual(re.findall("^FileDescriptorName=(.*)", UNIT.read_text(), re.M), ["listen"])
