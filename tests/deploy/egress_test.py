"""The way out through a real egress proxy (squid), with credentials and a root of the operator's."""

import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request
from pathlib import Path

from support import DEPLOY, Proxy

sys.path.insert(0, str(DEPLOY))
from prove import PERSON, PHOTO, certificate, graph  # noqa: E402

CREDENTIALS = "app:p%40ss%3Aword"
# `openssl passwd -apr1` of p@ss:word.
KNOWN = "app:$apr1$abcdefgh$3vV72pWBK7yA0GpedWUOl/\n"
CONFIG = """\
http_port 127.0.0.1:{port}
hosts_file {place}/hosts
auth_param basic program /usr/lib/squid/basic_ncsa_auth {place}/known
auth_param basic children 1 startup=1
acl known proxy_auth REQUIRED
http_access allow CONNECT known
http_access deny all
access_log stdio:{place}/access.log
cache_log {place}/cache.log
logfile_rotate 0
cache deny all
pid_filename none
pinger_enable off
shutdown_lifetime 0 seconds
max_filedescriptors 1024
coredump_dir {place}
"""
TOKEN = "a-token-that-nobody-else-may-see"


class Squid:
    """A real one that knows graph.test and one pair of credentials."""

    def __init__(self, place):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.place = place
        place.chmod(0o777)  # it runs as a user of its own
        (place / "hosts").write_text("127.0.0.1 graph.test\n")
        (place / "known").write_text(KNOWN)
        (place / "squid.conf").write_text(CONFIG.format(port=self.port, place=place))

    def __enter__(self):
        command = [shutil.which("squid") or "/usr/sbin/squid", "-N", "-f", self.place / "squid.conf"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 30
        while time.monotonic() < end:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
            except OSError:
                time.sleep(0.05)
        raise AssertionError((self.place / "cache.log").read_text())

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(30)

    def url(self, credentials=CREDENTIALS):
        return f"http://{credentials}@127.0.0.1:{self.port}"

    def tunnels(self, wanted):
        """Its log's CONNECT lines. A line is written when its tunnel has ended: waits for as many."""
        end = time.monotonic() + 10
        while True:
            log = self.place / "access.log"
            lines = [line for line in log.read_text().splitlines() if "CONNECT" in line] if log.exists() else []
            if len(lines) >= wanted or time.monotonic() > end:
                return lines
            time.sleep(0.05)


class Egress(unittest.TestCase):
    def setUp(self):
        self.place = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.place.chmod(0o755)
        self.root, pair = certificate(self.place)
        self.port, self.asked = graph(pair, 0)
        logs = self.place / "squid"
        logs.mkdir()
        self.squid = self.enterContext(Squid(logs))

    def photo(self, *settings, **environment):
        """Status and body of a photo asked for through a proxy of these settings."""
        arguments = [f"--upstream=https://graph.test:{self.port}", "--listen=127.0.0.1:0", "--admin=127.0.0.1:0"]
        with Proxy(*arguments, *settings, environment=environment) as proxy:
            url = f"{proxy.addresses['listen']}/v1.0/users/{PERSON}/photo/$value"
            question = urllib.request.Request(url, headers={"Authorization": f"Bearer {TOKEN}"})
            try:
                with urllib.request.urlopen(question, timeout=20) as answer:
                    return answer.status, answer.read()
            except urllib.error.HTTPError as answer:
                with answer:
                    return answer.code, answer.read()

    def trusting(self):
        return f"--upstream-ca={self.root}"

    def test_https_proxy_is_used_with_its_credentials_and_graph_never_sees_them(self):
        self.assertEqual(self.photo(self.trusting(), HTTPS_PROXY=self.squid.url()), (200, PHOTO))
        [(_, fields)] = self.asked
        fields = {name.lower(): value for name, value in fields.items()}
        self.assertEqual(fields["authorization"], f"Bearer {TOKEN}")
        self.assertNotIn("proxy-authorization", fields)
        [line] = self.squid.tunnels(1)
        self.assertIn(f"CONNECT graph.test:{self.port} app ", line)

    def test_the_setting_goes_before_https_proxy(self):
        nowhere = "http://127.0.0.1:9"
        setting = f"--upstream-proxy={self.squid.url()}"
        self.assertEqual(self.photo(self.trusting(), setting, HTTPS_PROXY=nowhere), (200, PHOTO))

    def test_wrong_credentials_are_an_error_of_the_proxy_that_names_neither_token_nor_password(self):
        status, body = self.photo(self.trusting(), HTTPS_PROXY=self.squid.url("app:another-word"))
        self.assertEqual(status, 502, body)
        self.assertIn(b'"error"', body)
        for secret in (TOKEN, "another-word", str(self.squid.port)):
            self.assertNotIn(secret.encode(), body)
        self.assertEqual(self.asked, [])

    def test_no_proxy_leaves_the_egress_proxy_out(self):
        status, _ = self.photo(self.trusting(), HTTPS_PROXY=self.squid.url(), NO_PROXY="graph.test")
        self.assertEqual(status, 502)  # only the egress proxy knows the name
        self.assertEqual((self.asked, self.squid.tunnels(0)), ([], []))

    def test_a_certificate_of_a_root_that_is_not_named_gets_no_token(self):
        status, body = self.photo(HTTPS_PROXY=self.squid.url())
        self.assertEqual(status, 502, body)
        self.assertEqual(self.asked, [])


