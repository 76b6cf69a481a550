"""The manifests: what Helm, the Kubernetes schemas and the proxy itself say of them."""

import shutil
import tempfile
import unittest
from pathlib import Path

import kubernetes_validate
import yaml

from support import CHART, DEPLOY, HELM, ROOT, check, run

FULL = [
    "--set", "app.image=registry.test/app:1", "--set", "tls.secretName=own-tls",
    "--set", "upstreamCa.configMapName=own-roots", "--set", "upstreamProxy.secretName=own-proxy",
    "--set", "adminToken.existingSecret=own-token", "--set", "podMonitor.enabled=true",
    "--set", "settings.upstream_concurrency=1000", "--set", "settings.infer_absent=false",
    "--set", "adminTls.secretName=own-admin-tls", "--set", "adminTls.serverName=photos.test",
    "--set", "settings.photo_ttl=2h", "--set", "settings.tenant_user_permissions={User.Read.Own}",
]
VERSIONS = ["1.29", "1.37"]


def template(*arguments, chart=CHART, release="photos"):
    text = run(HELM, "template", release, chart, "--namespace", "web", *arguments)
    return [document for document in yaml.safe_load_all(text) if document]


def of_kind(documents, kind):
    return [document for document in documents if document["kind"] == kind]


def pod_of(documents):
    [deployment] = of_kind(documents, "Deployment")
    return deployment["spec"]["template"]["spec"]


def settings_of(documents):
    [config] = [map for map in of_kind(documents, "ConfigMap") if "config.toml" in map["data"]]
    return config["data"]["config.toml"]


class Cluster(unittest.TestCase):
    def assert_valid(self, documents):
        for document in documents:
            if document["apiVersion"].startswith("monitoring.coreos.com/"):
                continue  # not a kind of Kubernetes itself
            for version in VERSIONS:
                with self.subTest(kind=document["kind"], version=version):
                    kubernetes_validate.validate(document, version, strict=True)

    def assert_proxy_takes(self, settings, environment):
        """The real binary reads this file. Paths of the pod are moved to where there is a file."""
        with tempfile.TemporaryDirectory() as place:
            run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                "-nodes", "-batch", "-subj", "/CN=localhost", "-keyout", f"{place}/tls.key", "-out", f"{place}/tls.crt")
            shutil.copy(f"{place}/tls.crt", f"{place}/ca.crt")
            for folder in ("tls", "admin-tls"):
                settings = settings.replace(f"/etc/graph-photo-proxy/{folder}/", f"{place}/")
            settings = settings.replace("/etc/graph-photo-proxy/upstream-ca/", f"{place}/")
            file = Path(place) / "config.toml"
            file.write_text(settings)
            code, said = check("--config", file, environment=environment)
        self.assertEqual(code, 0, said)
        return said

    def assert_sealed(self, pod):
        """One sidecar: started before the app, without rights, bounded and probed."""
        [sidecar] = pod["initContainers"]
        self.assertEqual(sidecar["restartPolicy"], "Always")
        rights = sidecar["securityContext"]
        self.assertTrue(rights["readOnlyRootFilesystem"] and rights["runAsNonRoot"])
        self.assertFalse(rights["allowPrivilegeEscalation"])
        self.assertEqual(rights["capabilities"], {"drop": ["ALL"]})
        self.assertEqual(rights["seccompProfile"], {"type": "RuntimeDefault"})
        self.assertEqual(set(sidecar["resources"]["limits"]), {"cpu", "memory"})
        ports = {port["name"] for port in sidecar["ports"]}
        for probe, page in (("startupProbe", "/readyz"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")):
            self.assertEqual(sidecar[probe]["httpGet"]["path"], page)
            self.assertIn(sidecar[probe]["httpGet"]["port"], ports)
        self.assertFalse(pod["automountServiceAccountToken"])
        volumes = {volume["name"] for volume in pod["volumes"]}
        self.assertEqual({mount["name"] for mount in sidecar["volumeMounts"]}, volumes)
        return sidecar

    def test_the_plain_manifests_are_valid_and_the_proxy_takes_their_settings(self):
        text = (DEPLOY / "kubernetes/sidecar.yaml").read_text()
        documents = list(yaml.safe_load_all(text))
        self.assertEqual(len(documents), 3)
        self.assert_valid(documents)
        self.assert_sealed(pod_of(documents))
        self.assert_proxy_takes(settings_of(documents), {"GRAPH_PHOTO_PROXY_ADMIN_TOKEN": "x" * 40})

    def test_the_chart_lints_with_every_switch(self):
        for arguments in ([], FULL):
            said = run(HELM, "lint", "--strict", CHART, *arguments)
            self.assertIn("0 chart(s) failed", said)

    def test_the_chart_gives_valid_manifests_that_the_proxy_takes(self):
        plain = "admin_token in plain text"
        for arguments, scheme in (["--set", "app.image=app:1"], None), (FULL, "HTTPS"):
            documents = template(*arguments)
            self.assert_valid(documents)
            sidecar = self.assert_sealed(pod_of(documents))
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                self.assertEqual(sidecar[probe]["httpGet"].get("scheme"), scheme)
            environment = {variable["name"]: "http://user:secret-word@proxy.test:3128" if "PROXY_UPSTREAM" in variable["name"]
                           else "x" * 40 for variable in sidecar["env"]}
            said = self.assert_proxy_takes(settings_of(documents), environment)
            self.assertIn('admin = "0.0.0.0:9090"', said)
            self.assertEqual(plain in said, scheme is None, said)
        [monitor] = of_kind(documents, "PodMonitor")
        [endpoint] = monitor["spec"]["podMetricsEndpoints"]
        self.assertEqual((endpoint["scheme"], endpoint["tlsConfig"]["serverName"]), ("https", "photos.test"))
        self.assertEqual(endpoint["tlsConfig"]["ca"]["secret"], {"name": "own-admin-tls", "key": "ca.crt"})
        for line in ("upstream_concurrency = 1000 ", "infer_absent = false", 'photo_ttl = "2h"',
                     'tenant_user_permissions = ["User.Read.Own"]', 'tls_listen = "127.0.0.1:8443"'):
            self.assertIn(line.strip(), said)

    def test_the_chart_refuses_what_would_break_or_open_the_pod(self):
        for wrong in ("settings.listen=0.0.0.0:8080", "settings.admin_token=in-the-open-for-all",
                      "settings.admin=0.0.0.0:1", "settings.admin_client_ca=ca.pem", "settings.tls_dev=true",
                      "imgae.tag=1", "app.port=8080", "image.digest=latest"):
            with self.subTest(wrong), self.assertRaisesRegex(AssertionError, "values"):
                template("--set", wrong)

    def test_without_an_app_the_chart_makes_no_pod_and_no_policy(self):
        kinds = {document["kind"] for document in template()}
        self.assertEqual(kinds, {"ConfigMap", "Secret"})

    def test_only_monitoring_reaches_the_admin_port_and_nobody_the_metadata_service(self):
        for documents in (template(*FULL), list(yaml.safe_load_all((DEPLOY / "kubernetes/sidecar.yaml").read_text()))):
            [policy] = of_kind(documents, "NetworkPolicy")
            [deployment] = of_kind(documents, "Deployment")
            labels = deployment["spec"]["template"]["metadata"]["labels"]
            self.assertLessEqual(policy["spec"]["podSelector"]["matchLabels"].items(), labels.items())
            for rule in policy["spec"]["ingress"]:
                if {"port": "photo-admin"} in rule["ports"]:
                    self.assertTrue(rule["from"])
            blocks = [to["ipBlock"] for rule in policy["spec"]["egress"] for to in rule.get("to", [])]
            self.assertIn("169.254.0.0/16", blocks[0]["except"])

    def test_another_chart_takes_the_sidecar_as_a_dependency(self):
        parent = ROOT / "tests/deploy/parent-chart"
        with tempfile.TemporaryDirectory() as place:
            chart = Path(place) / "app"
            shutil.copytree(parent, chart)
            shutil.copytree(CHART, chart / "charts/graph-photo-proxy")
            self.assertIn("0 chart(s) failed", run(HELM, "lint", "--strict", chart))
            documents = template(chart=chart, release="web")
        self.assert_valid(documents)
        self.assert_sealed(pod_of(documents))
        names = {document["metadata"]["name"] for document in of_kind(documents, "ConfigMap")}
        [volume] = pod_of(documents)["volumes"]
        self.assertIn(volume["configMap"]["name"], names)
        self.assertIn('photo_ttl = "4h"', settings_of(documents))

    def test_compose_reads_the_example_and_the_proxy_takes_its_settings(self):
        variables = {"APP_IMAGE": "app", "ADMIN_TOKEN": "x" * 40}
        path = DEPLOY / "compose.yaml"
        text = run("env", *(f"{name}={value}" for name, value in variables.items()), "docker-compose", "-f", path, "config")
        service = yaml.safe_load(text)["services"]["graph-photo-proxy"]
        self.assertEqual(service["network_mode"], "service:app")
        self.assertTrue(service["read_only"])
        self.assertEqual(service["user"], "65532:65532")
        self.assertEqual(service["cap_drop"], ["ALL"])
        environment = {name: str(value) for name, value in service["environment"].items()}
        code, said = check(environment=environment)
        self.assertEqual(code, 0, said)
