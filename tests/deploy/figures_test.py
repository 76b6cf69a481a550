"""Alert rules and dashboard: promtool, and a real Prometheus that scrapes the real binary."""

import json
import re
import socket
import subprocess
import tempfile
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from support import DEPLOY, Proxy, run

RULES = DEPLOY / "prometheus/alerts.yml"
DASHBOARD = DEPLOY / "grafana/dashboard.json"
# What Grafana puts there before it asks.
FILLED_IN = {"$__rate_interval": "1m", "$job": ".*", "$instance": ".*"}


def dashboard():
    return json.loads(DASHBOARD.read_text())


def panels():
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def expressions():
    """Every expression of the dashboard, as it reaches Prometheus."""
    for panel in panels():
        for target in panel["targets"]:
            text = target["expr"]
            for name, value in FILLED_IN.items():
                text = text.replace(name, value)
            yield panel["title"], text


def names_in(text):
    return set(re.findall(r"\bgraph_photo_proxy_[a-z_]+", text))


class Figures(unittest.TestCase):
    def test_promtool_takes_the_rules_and_every_alert_fires_when_it_should(self):
        said = run("promtool", "check", "rules", RULES)
        self.assertIn("SUCCESS", said)
        self.assertIn("SUCCESS", run("promtool", "test", "rules", DEPLOY / "prometheus/alerts.test.yml"))
        alerts = set(re.findall(r"alert: (\w+)", RULES.read_text()))
        tried = set(re.findall(r'alertname="(\w+)"', (DEPLOY / "prometheus/alerts.test.yml").read_text()))
        self.assertEqual(alerts, tried)

    def test_the_dashboard_has_the_shape_that_grafana_imports(self):
        whole = dashboard()
        self.assertIsNone(whole["id"])
        self.assertEqual(whole["uid"], "graph-photo-proxy")
        ids = [panel["id"] for panel in whole["panels"]]
        self.assertEqual(len(ids), len(set(ids)))
        places = set()
        for panel in whole["panels"]:
            at = panel["gridPos"]
            self.assertLessEqual(at["x"] + at["w"], 24)
            cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
            self.assertFalse(cells & places, f"{panel['title']} lies on another")
            places |= cells
        known = {variable["name"] for variable in whole["templating"]["list"]} | {"__rate_interval"}
        self.assertLessEqual(set(re.findall(r"\$\{?(\w+)", json.dumps(whole))), known)
        for panel in panels():
            self.assertTrue(panel["title"] and panel["description"])
            for part in (panel, *panel["targets"]):
                self.assertEqual(part["datasource"], {"type": "prometheus", "uid": "${datasource}"})

    def test_a_real_prometheus_answers_every_panel_from_the_real_binary(self):
        with tempfile.TemporaryDirectory() as place:
            listeners = [f"--{name}=127.0.0.1:0" for name in ("listen", "admin", "demo-listen")]
            # With a certificate, so that its end is among the figures.
            tls = ["--tls-dev", "--tls-listen=127.0.0.1:0", f"--tls-dev-dir={place}/state"]
            with Proxy("demo", *listeners, *tls) as proxy:
                ask_for_a_photo(proxy)
                metrics = proxy.get("/metrics")
                sampled = {re.split(r"[{ ]", line)[0] for line in metrics.splitlines() if not line.startswith("#")}
                self.assertEqual(names_in(RULES.read_text()) - sampled, set(), "in no scrape of the binary")
                self.assertEqual(set().union(*(names_in(text) for _, text in expressions())) - sampled, set())
                with Prometheus(Path(place), proxy.addresses["admin"]) as prometheus:
                    for title, text in expressions():
                        with self.subTest(title, expr=text):
                            self.assertTrue(prometheus.ask(text), "no data")
                    rules = prometheus.page("/api/v1/rules")["groups"][0]["rules"]
                    self.assertEqual({rule["health"] for rule in rules}, {"ok"})
                    critical = prometheus.ask('ALERTS{severity="critical"}')
                    self.assertEqual(critical, [], "a proxy that is well raises an alarm")


def ask_for_a_photo(proxy):
    """One question that reaches the simulated Graph, which does not know the token."""
    url = proxy.addresses["listen"] + "/v1.0/me/photo/$value"
    question = urllib.request.Request(url, headers={"Authorization": "Bearer nobody"})
    try:
        urllib.request.urlopen(question, timeout=10)
    except urllib.error.HTTPError as answer:
        assert answer.code == 401, answer.code
    else:
        raise AssertionError("a token that nobody issued was taken")


class Prometheus:
    """A real one, with our rules, that scrapes the binary every second."""

    def __init__(self, place, target):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = "127.0.0.1:%d" % free.getsockname()[1]
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(RULES)],
            "scrape_configs": [{
                "job_name": "graph-photo-proxy",
                "static_configs": [{"targets": [target.removeprefix("http://")]}],
            }],
        }
        (place / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML
        self.command = ["prometheus", f"--config.file={place}/prometheus.yml", f"--storage.tsdb.path={place}/data",
                        f"--web.listen-address={self.address}", "--log.level=error"]

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                scrapes = self.ask("min(count_over_time(graph_photo_proxy_uptime_seconds[1m]))")
                if scrapes and float(scrapes[0]["value"][1]) >= 3 and self.ask("up == 1"):
                    return self
            except (urllib.error.URLError, ConnectionError):
                pass
            time.sleep(0.2)
        self.__exit__()
        raise AssertionError("Prometheus has not scraped the binary")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(30)

    def page(self, path):
        with urllib.request.urlopen(f"http://{self.address}{path}", timeout=10) as answer:
            return json.load(answer)["data"]

    def ask(self, expression):
        return self.page("/api/v1/query?" + urllib.parse.urlencode({"query": expression}))["result"]
