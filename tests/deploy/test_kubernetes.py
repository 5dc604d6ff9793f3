"""The chart and what it makes: well-formed, restricted, and with what Clearway has.

`deploy/kubernetes` is the chart rendered, so that all of this is held without Helm, too. With one,
what it makes now is compared with that, and everything that the chart has is looked at.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from click.testing import CliRunner

import clearway
from roster.settings import Settings, read_settings
from tests.deploy.papers import DEPLOY, MANUAL, faults, loaded, schema, section
from tests.deploy.test_sizing import WORKER_BYTES, amounts, rows, scale
from tests.source import ROOT, routes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

CHART = DEPLOY / "helm" / "clearway"
FOLDER = DEPLOY / "kubernetes"
HELM = shutil.which("helm", path=os.pathsep.join([str(ROOT / ".venv/bin"), os.environ["PATH"]]))
WITH_HELM = pytest.mark.skipif(HELM is None, reason="Helm is not installed")
GROUPS = {
    "v1": "io.k8s.api.core.v1",
    "apps/v1": "io.k8s.api.apps.v1",
    "batch/v1": "io.k8s.api.batch.v1",
    "policy/v1": "io.k8s.api.policy.v1",
    "networking.k8s.io/v1": "io.k8s.api.networking.v1",
}
EVERYTHING = """
functions:
  redisUrl: redis+cluster://clearway-operator@a,b?password_file=/run/secrets/clearway/o
  files: [o]
redis:
  url: rediss+sentinel://u@a,b/roster?ssl_ca_certs=/run/secrets/clearway/ca.pem
  files: [ca.pem]
  # the loader has no URL of its own here
loader: {enabled: true, files: [ca.pem]}
monitoring: {enabled: true, dashboard: true, labels: {release: prometheus}}
tls: {existingSecret: clearway-tls, serverName: clearway.example}
settings: {DRAIN_S: "30", LOG_LEVEL: warning}
workers: 2
image: {repository: registry.example/clearway, tag: "1", pullSecrets: [{name: registry}]}
service: {type: LoadBalancer, port: 443, annotations: {note: x}}
networkPolicy:
  from: [{podSelector: {matchLabels: {app: tickets}}}]
  redis: {to: [{podSelector: {matchLabels: {app: valkey}}}], ports: [6379]}
nodeSelector: {disk: ssd}
tolerations: [{key: only, operator: Exists}]
affinity: {nodeAffinity: {}}
podAnnotations: {note: x}
"""
Documents = list[dict[str, Any]]


def script() -> ModuleType:
    """`.ci/manifests.py`, which is in no package."""
    spec = importlib.util.spec_from_file_location("manifests", ROOT / ".ci" / "manifests.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def documents(text: str) -> Documents:
    return [each for each in yaml.safe_load_all(text) if each]


def helm(*arguments: str, values: str = "") -> subprocess.CompletedProcess[str]:
    assert HELM is not None
    command = [HELM, *arguments]
    return subprocess.run(command, input=values, capture_output=True, text=True, check=False)


@pytest.fixture(params=["as it is", "everything"], scope="module")
def made(request: pytest.FixtureRequest) -> Documents:
    """All that there is: what is in the folder, or the chart with everything in it."""
    if request.param == "as it is":
        names = script().FILES
        return [
            each
            for name in names
            for each in documents((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
        ]
    if HELM is None:
        pytest.skip("Helm is not installed")
    done = helm("template", "clearway", str(CHART), "--values=-", values=EVERYTHING)
    assert done.returncode == 0, done.stderr
    return documents(done.stdout)


def one(made: Documents, kind: str) -> dict[str, Any]:
    (found,) = [each for each in made if each["kind"] == kind]
    return found


def pods(made: Documents) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each kind of pod, by the kind of what makes it, with what it is."""
    for each in made:
        spec = each.get("spec", {})
        spec = spec.get("jobTemplate", {}).get("spec", spec)
        if "template" in spec:
            yield each["kind"], spec["template"]


def container(pod: dict[str, Any]) -> dict[str, Any]:
    (found,) = pod["spec"]["containers"]
    return dict(found)


def environment(pod: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each["value"] for each in container(pod)["env"]}


# As Kubernetes has it -------------------------------------------------------------------------


def test_everything_is_what_kubernetes_takes(made: Documents) -> None:
    kinds = schema("kubernetes.json")
    others = schema("monitoring.json")
    for each in made:
        if each["kind"] in others:
            assert each["apiVersion"] == "monitoring.coreos.com/v1"
            assert faults(others[each["kind"]], each) == []
            continue
        name = f"{GROUPS[each['apiVersion']]}.{each['kind']}"
        assert name in kinds["$defs"]
        assert faults(kinds | {"$ref": f"#/$defs/{name}"}, each) == [], each["kind"]


def test_a_typo_in_a_manifest_is_found(made: Documents) -> None:
    kinds = schema("kubernetes.json") | {"$ref": "#/$defs/io.k8s.api.apps.v1.Deployment"}
    text = yaml.safe_dump(one(made, "Deployment"))
    for right, wrong in (("readinessProbe", "readynessProbe"), ("drop:", "dropp:")):
        assert len(faults(kinds, yaml.safe_load(text.replace(right, wrong)))) == 1


def test_every_pod_is_restricted(made: Documents) -> None:
    """As the Pod Security Standards have it, and with a file system that nobody writes to."""
    for _, pod in pods(made):
        spec, runs = pod["spec"], container(pod)["securityContext"]
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is spec["enableServiceLinks"] is False
        assert runs["allowPrivilegeEscalation"] is False
        assert runs["readOnlyRootFilesystem"] is True
        assert runs["capabilities"] == {"drop": ["ALL"]}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
        kinds = {kind for each in spec["volumes"] for kind in each if kind != "name"}
        assert kinds <= {"secret", "emptyDir", "persistentVolumeClaim"}
        (uid,) = re.findall(r"--uid (\d+)", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
        assert (
            spec["securityContext"]["runAsUser"] == spec["securityContext"]["fsGroup"] == int(uid)
        )


def test_whoever_selects_selects_the_pods_that_serve(made: Documents) -> None:
    serving = dict(pods(made))["Deployment"]["metadata"]["labels"].items()
    others = [pod["metadata"]["labels"].items() for kind, pod in pods(made) if kind != "Deployment"]
    assert others
    selectors = [
        one(made, "Deployment")["spec"]["selector"]["matchLabels"],
        one(made, "Service")["spec"]["selector"],
        one(made, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
    ]
    for each in selectors:
        assert each.items() <= serving
        assert not any(each.items() <= other for other in others)
    policy = one(made, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"]
    assert all(policy.items() <= labels for labels in (serving, *others))
    watched = one(made, "ServiceMonitor")["spec"]
    assert (
        watched["selector"]["matchLabels"].items()
        <= one(made, "Service")["metadata"]["labels"].items()
    )


# As Clearway has it ---------------------------------------------------------------------------


def test_the_probes_ask_what_there_is_where_it_listens(made: Documents) -> None:
    runs = container(dict(pods(made))["Deployment"])
    asked = {
        name: runs[name]["httpGet"] for name in ("startupProbe", "livenessProbe", "readinessProbe")
    }
    assert [each["path"] for each in asked.values()] == ["/healthz", "/healthz", "/readyz"]
    assert {each["path"] for each in asked.values()} <= routes()
    (port,) = runs["ports"]
    assert str(port["containerPort"]) == runs["args"][runs["args"].index("--port") + 1]
    tls = "CLEARWAY_TLS_CERT" in environment(dict(pods(made))["Deployment"])
    for each in asked.values():
        assert (each["port"], each["scheme"]) == (port["name"], "HTTPS" if tls else "HTTP")
    start = runs["startupProbe"]
    assert start["periodSeconds"] * start["failureThreshold"] > 30  # the filters' time at a start
    (open_,) = one(made, "NetworkPolicy")["spec"]["ingress"]
    assert [each["port"] for each in open_["ports"]] == [port["name"]]
    (served,) = one(made, "Service")["spec"]["ports"]
    assert served["targetPort"] == port["name"]


def test_every_setting_is_one_and_names_files_that_are_there(made: Documents) -> None:
    for kind, pod in pods(made):
        stated = environment(pod)
        settings = read_settings({"HOME": "/nobody", **stated})
        assert settings.target is not None
        volumes = {each["name"]: each for each in pod["spec"]["volumes"]}
        mounted = {each["mountPath"]: each["name"] for each in container(pod)["volumeMounts"]}
        assert mounted.keys() >= {str(settings.data_dir), "/tmp"}
        assert "emptyDir" in volumes[mounted[str(settings.data_dir)]]
        secret = volumes[mounted["/run/secrets/clearway"]]["secret"]
        there = {f"/run/secrets/clearway/{each['path']}" for each in secret["items"]}
        named = set(re.findall(r"/run/secrets/clearway/[\w.-]+", " ".join(stated.values())))
        assert named == there, kind
        tls = {str(settings.tls_cert), str(settings.tls_key)} - {"None"}
        assert all(path.startswith("/run/secrets/tls/") for path in tls)
        assert bool(tls) == ("/run/secrets/tls" in mounted)


def test_no_pod_has_the_password_of_another(made: Documents) -> None:
    held = {}
    for kind, pod in pods(made):
        secrets = [each["secret"] for each in pod["spec"]["volumes"] if "secret" in each]
        held[kind] = {item["key"] for each in secrets for item in each.get("items", ())} - {
            "id-key"
        }
    assert held.keys() == {"Deployment", "Job", "CronJob"}
    assert not held["Deployment"] & held["Job"]
    assert not held["CronJob"] & held["Job"]


def test_every_pods_command_is_taken(made: Documents) -> None:
    for _, pod in pods(made):
        name, *arguments = container(pod)["args"]
        assert name == "clearway"
        done = CliRunner().invoke(clearway.main, [*arguments, "--help"])
        assert done.exit_code == 0, done.output


def test_what_is_open_is_finished_before_a_pod_is_killed(made: Documents) -> None:
    pod = dict(pods(made))["Deployment"]
    settings = read_settings({"HOME": "/nobody", **environment(pod)})
    probe = container(pod)["readinessProbe"]
    assert settings.drain_s >= probe["periodSeconds"] * probe["failureThreshold"]
    assert pod["spec"]["terminationGracePeriodSeconds"] >= settings.drain_s + 40
    strategy = one(made, "Deployment")["spec"]["strategy"]["rollingUpdate"]
    assert strategy == {"maxSurge": 1, "maxUnavailable": 0}


def mebibytes(text: str) -> float:
    return float(text.removesuffix("Mi")) * (1 << 20)


def test_every_pod_has_the_memory_that_the_manual_reckons_with(made: Documents) -> None:
    found = dict(pods(made))
    runs = container(found["Deployment"])
    workers = int(runs["args"][-1])
    assert mebibytes(runs["resources"]["limits"]["memory"]) >= 2 * WORKER_BYTES * workers
    assert "cpu" not in runs["resources"]["limits"]
    load = container(found["CronJob"])
    assert mebibytes(load["resources"]["limits"]["memory"]) >= max(row[6] for row in scale()) * (
        1 << 20
    )
    nation = next(cells for cells in rows("people, entries") if "nation" in cells[0])
    (space,) = [
        each["emptyDir"]["sizeLimit"]
        for each in found["CronJob"]["spec"]["volumes"]
        if each["name"] == "data"
    ]
    assert float(space.removesuffix("Gi")) * (1 << 30) >= amounts(nation[3])[1]


def test_prometheus_asks_as_the_rules_want_it(made: Documents) -> None:
    watched = one(made, "ServiceMonitor")["spec"]
    labels = one(made, "Service")["metadata"]["labels"]
    rules = loaded(DEPLOY / "prometheus" / "rules.yml")
    assert [each["spec"] for each in made if each["kind"] == "PrometheusRule"] in ([], [rules])
    jobs = set(re.findall(r'job="(\w+)"', str(rules)))
    assert {labels[watched["jobLabel"]]} == jobs
    (endpoint,) = watched["endpoints"]
    (served,) = one(made, "Service")["spec"]["ports"]
    assert endpoint["port"] == served["name"]
    assert endpoint["path"] in routes()
    assert endpoint["authorization"]["credentials"]["name"] == "clearway"
    tls = "CLEARWAY_TLS_CERT" in environment(dict(pods(made))["Deployment"])
    assert (endpoint.get("scheme") == "https") == tls == ("tlsConfig" in endpoint)


def test_the_chart_takes_the_settings_of_the_service_and_no_others() -> None:
    properties = loaded(CHART / "values.schema.json")["properties"]["settings"]
    known = {name.upper() for name in Settings.__struct_fields__}
    elsewhere = {  # stated by the chart itself, of other programs, or a secret
        *("REDIS_URL", "ID_KEY", "ID_KEY_FILE", "DATA_DIR", "TLS_CERT", "TLS_KEY", "TLS_CLIENT_CA"),
        *("ALLOW_PLAIN_HTTP", "REDIS_SERVER", "SIGNATURE_KEY_FILE", "URL", "API_KEY", "PROXY"),
    }
    assert set(properties["propertyNames"]["enum"]) == known - elsewhere


def test_the_chart_is_of_this_version() -> None:
    chart = loaded(CHART / "Chart.yaml")
    (version,) = re.findall(
        r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert chart["appVersion"] == chart["version"] == version


def test_the_manual_names_what_the_chart_has() -> None:
    told = section("Kubernetes")
    values = loaded(CHART / "values.yaml")
    for name in re.findall(r"--set (?:\S+=\S+,)*([\w.]+)=", told):
        at = values
        for part in name.split("."):
            assert part in at, name
            at = at[part]
    assert "deploy/kubernetes" in told
    assert MANUAL.count("deploy/helm") >= 1


# As Helm has it -------------------------------------------------------------------------------


@WITH_HELM
def test_helm_takes_the_chart() -> None:
    done = helm("lint", "--strict", str(CHART))
    assert done.returncode == 0, done.stdout + done.stderr


@WITH_HELM
@pytest.mark.parametrize(
    "wrong",
    [
        ("--set", "replica=2"),
        ("--set", "redis.url=http://valkey"),
        ("--set", "existingSecret="),
        ("--set-string", "settings.REDIS_URL=x"),
        ("--set", "settings.DRAIN_S=null"),
        ("--set", "workers=0"),
    ],
    ids=" ".join,
)
def test_a_bad_value_is_refused(wrong: tuple[str, str]) -> None:
    done = helm("template", "clearway", str(CHART), *wrong)
    assert done.returncode != 0
    assert "values" in done.stderr


@WITH_HELM
def test_everything_is_in_everything() -> None:
    done = helm("template", "clearway", str(CHART), "--values=-", values=EVERYTHING)
    assert sorted(each["kind"] for each in documents(done.stdout)) == [
        *("ConfigMap", "CronJob", "Deployment", "Job", "NetworkPolicy", "PodDisruptionBudget"),
        *("PrometheusRule", "Service", "ServiceMonitor"),
    ]
    (dashboard,) = one(documents(done.stdout), "ConfigMap")["data"].values()
    stated = (DEPLOY / "grafana" / "clearway.json").read_text(encoding="utf-8")
    assert json.loads(dashboard) == json.loads(stated)


@WITH_HELM
def test_the_folder_is_what_the_chart_makes() -> None:
    made = script()
    for name, templates in made.FILES.items():
        stated = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
        assert made.rendered(HELM, templates) == stated, f"{name}.yaml: make chart"


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_the_folder_is_a_base_for_kustomize() -> None:
    command = ["kubectl", "kustomize", str(FOLDER)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = {each["kind"]: each["metadata"]["namespace"] for each in documents(done.stdout)}
    assert set(found.values()) == {"clearway"}
    assert {"Deployment", "Service", "PodDisruptionBudget", "NetworkPolicy"} == found.keys()
