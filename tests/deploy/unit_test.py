"""The systemd unit: what systemd says of it, and whether the proxy can live under it."""

import re
import tempfile
import unittest
from pathlib import Path

from support import BINARY, DEPLOY, Proxy, run

UNIT = DEPLOY / "systemd/graph-photo-proxy.service"


class Unit(unittest.TestCase):
    def test_systemd_finds_no_fault_in_the_unit(self):
        with tempfile.TemporaryDirectory() as place:
            unit = Path(place) / UNIT.name
            text = UNIT.read_text()
            self.assertIn("ExecStart=/usr/local/bin/graph-photo-proxy ", text)
            unit.write_text(text.replace("/usr/local/bin/graph-photo-proxy", str(BINARY)))
            self.assertEqual(run("systemd-analyze", "verify", "--man=no", unit).strip(), "")

    def test_the_unit_leaves_little_open(self):
        said = run("systemd-analyze", "security", "--offline=true", "--threshold=15", UNIT)
        [exposure] = re.findall(r"exposure level for \S+: ([0-9.]+)", said)
        self.assertLessEqual(float(exposure), 1.5)

    def test_every_system_call_the_proxy_makes_is_one_the_unit_lets_through(self):
        self.assertIn("SystemCallFilter=@system-service\nSystemCallFilter=~@privileged @resources\n", UNIT.read_text())
        let_through = calls_of("@system-service") - calls_of("@privileged") - calls_of("@resources")
        with tempfile.TemporaryDirectory() as place:
            trace = Path(place) / "trace"
            before = ("strace", "--follow-forks", "--quiet=all", f"--output={trace}")
            with Proxy("--listen", f"unix:{place}/socket", "--admin", "127.0.0.1:0", before=before) as proxy:
                self.assertIn("graph_photo_proxy_uptime_seconds", proxy.get("/metrics"))
            made = {match[1] for match in re.finditer(r"^\d+\s+([a-z_0-9]+)\(", trace.read_text(), re.M)}
        self.assertIn("epoll_wait", made)
        self.assertEqual(made - let_through - {"execve"}, set())


def calls_of(group):
    """The calls of a group as systemd resolves it."""
    found = set()
    for line in run("systemd-analyze", "syscall-filter", group).splitlines():
        word = line.strip()
        if word.startswith("@") and word != group:
            found |= calls_of(word)
        elif re.fullmatch(r"[a-z_0-9]+", word):
            found.add(word)
    return found
