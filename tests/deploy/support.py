"""What the tests of deploy/ share: where things are, tools, and the real binary."""

import os
import signal
import subprocess
import tempfile
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
HELM = ROOT / "target/deploy-tools/bin/helm"
# Another build can be tried: BINARY=target/release/graph-photo-proxy tests/deploy/run.
BINARY = ROOT / os.environ.get("BINARY", "target/debug/graph-photo-proxy")
CHART = DEPLOY / "helm/graph-photo-proxy"


def run(*command, **options):
    """Runs a tool; its output, or a failure that shows it."""
    # A home of their own, so that nobody's settings count; Rust's tools stay where they are.
    home = Path.home()
    rust = {"RUSTUP_HOME": str(home / ".rustup"), "CARGO_HOME": str(home / ".cargo")}
    environment = {**rust, **os.environ, "HOME": tempfile.gettempdir()}
    done = subprocess.run(
        [str(part) for part in command],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT, env=environment, **options)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))}\n{done.stdout}")
    return done.stdout


def check(*arguments, environment=None):
    """`graph-photo-proxy check` with these arguments: what it says and how it ends."""
    done = subprocess.run(
        [BINARY, "check", *map(str, arguments)], env=environment or {},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.returncode, done.stdout


class Proxy:
    """The real binary. Its addresses by name, until the end of the `with`."""

    def __init__(self, *arguments, environment=None, before=()):
        self.command = [*before, str(BINARY), *arguments]
        self.environment = environment or {}

    def __enter__(self):
        self.process = subprocess.Popen(
            self.command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.addresses = {}
        last = "demo" if "demo" in self.command else "admin"
        while last not in self.addresses:
            line = self.process.stdout.readline()
            assert line, "it ended before it listened"
            name, address = line.split()
            self.addresses[name] = address
        return self

    def __exit__(self, *_):
        # A tracer holds signals off; the binary is its child.
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        os.kill(int(children[0]) if children else self.process.pid, signal.SIGTERM)
        self.process.wait(30)
        self.process.stdout.close()

    def get(self, path, name="admin"):
        """What stands there, as text."""
        base = self.addresses[name].rstrip("/")
        with urllib.request.urlopen(base + path, timeout=10) as answer:
            return answer.read().decode(errors="replace")
