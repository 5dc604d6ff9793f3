"""Alerts and dashboard: of metrics that there are, each alert fired in a test, and told of."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from service.routes.ops import NAMES
from tests.service.test_metrics import MANUAL, told
from tests.source import ROOT

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = ROOT / "deploy/prometheus"
DASHBOARD = ROOT / "deploy/grafana/clearway.json"
PROMTOOL = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")


def alerts() -> dict[str, Any]:
    groups = yaml.safe_load((FOLDER / "rules.yml").read_text(encoding="utf-8"))["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def asked(text: str) -> set[str]:
    """The metrics that a text asks for."""
    names = set(re.findall(r"\bclearway_\w+", text))
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in names}


def expressions() -> list[str]:
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    drawn = [target["expr"] for panel in panels for target in panel.get("targets", ())]
    return [rule["expr"] for rule in alerts().values()] + drawn


def test_every_metric_that_is_asked_for_is_there() -> None:
    assert asked("\n".join(expressions())) - told().keys() == set()


def test_every_metric_is_on_the_dashboard() -> None:
    assert told().keys() - asked(DASHBOARD.read_text(encoding="utf-8")) == set()


def test_every_alert_is_told_of_in_the_manual_with_what_to_do() -> None:
    section = MANUAL.split("\n## Alerts\n", 1)[1].split("\n## ", 1)[0]
    entries = re.findall(r"^### (\w+)\n\n(.+)", section, re.MULTILINE)
    assert [name for name, _ in entries] == list(alerts())
    for name, rule in alerts().items():
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert rule["annotations"]["runbook_url"] == f"docs/operations.md#{name.lower()}"


def test_there_is_an_alert_for_each_name_of_degraded() -> None:
    found = re.findall(r'clearway_degraded\{name="(\w+)"\}', "\n".join(expressions()))
    assert sorted(found) == sorted(NAMES)


def test_every_alert_is_fired_once_in_a_test_and_not_while_all_is_well() -> None:
    tests = yaml.safe_load((FOLDER / "rules_test.yml").read_text(encoding="utf-8"))["tests"]
    rules = [rule for test in tests for rule in test["alert_rule_test"]]
    assert [rule["alertname"] for rule in rules if rule.get("exp_alerts")] == list(alerts())
    assert [rule["alertname"] for rule in rules if not rule.get("exp_alerts")] == list(alerts())


@PROMTOOL
@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "rules", "rules.yml"),
        ("test", "rules", "rules_test.yml"),
        ("check", "config", "--syntax-only", "scrape.yml"),
    ],
    ids=" ".join,
)
def test_prometheus_takes_them(arguments: tuple[str, ...]) -> None:
    command = ["promtool", *arguments]
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def late_denials(values: str, at: str, told: int | None) -> dict[str, Any]:
    """A test that so many are told of then, or nothing is."""
    rule = alerts()["ClearwayLateDenials"]
    summary = rule["annotations"]["summary"].replace("{{ $value }}", str(told))
    said = {**rule["annotations"], "summary": summary}
    fired = [{"exp_labels": rule["labels"], "exp_annotations": said}]
    expected = {"eval_time": at, "alertname": rule["alert"], "exp_alerts": fired if told else []}
    series = {
        'clearway_late_denials{list="sx",court="x",instance="a"}': values,
        'clearway_people{instance="a"}': "5x750",
    }
    shown = [{"series": name, "values": values} for name, values in series.items()]
    return {"interval": "2m", "input_series": shown, "alert_rule_test": [expected]}


@PROMTOOL
def test_late_denials_of_all_time_are_no_days(tmp_path: Path) -> None:
    tests = [
        late_denials("2x750", "20m", None),
        late_denials("2x750", "24h10m", None),
        late_denials("2x750", "25h", None),
        late_denials("2x720 4x30", "24h20m", 2),
        late_denials("_x720 3x30", "24h20m", 3),
    ]
    rules = {"rule_files": [str(FOLDER / "rules.yml")], "evaluation_interval": "2m"}
    path = tmp_path / "test.yml"
    path.write_text(yaml.safe_dump({**rules, "tests": tests}))
    command = ["promtool", "test", "rules", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@PROMTOOL
def test_prometheus_understands_every_expression_of_the_dashboard(tmp_path: Path) -> None:
    rules = [
        {"record": f"asked_{at}", "expr": text.replace("$__rate_interval", "1m")}
        for at, text in enumerate(expressions())
    ]
    path = tmp_path / "rules.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "asked", "rules": rules}]}))
    command = ["promtool", "check", "rules", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
