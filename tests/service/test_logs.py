"""The log says what begins and what is over, with cause and remedy, and nothing twice."""

from __future__ import annotations

import ast
import asyncio
import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from structlog.testing import capture_logs

from roster.errors import SettingsError, Unavailable
from roster.redis.logins import NOT_ALLOWED
from service.logs import repeats
from service.logs.causes import REMEDIES, why
from service.logs.remedies import CONDITIONS, DEGRADED
from service.logs.repeats import RepeatCounter
from service.routes.ops import NAMES, conditions
from service.server import transitions
from service.server.transitions import Transitions
from tests.servers import eventually
from tests.service.apps import make_key, settings_for, started
from tests.service.parts import cover
from tests.service.served import Served
from tests.source import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.servers import Server
    from tests.service.served import Running

LOGS = r"(^|[._])log\.(info|warning|error)$"
MANUAL = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
HEADER = "entry_id,document_type,document_number"


def lines(running: Running, event: str) -> list[dict[str, Any]]:
    """The lines of the log that say this."""
    found = (json.loads(line) for line in running.log.splitlines() if line.startswith("{"))
    return [line for line in found if line["event"] == event]


def said(running: Running, event: str, **fields: Any) -> bool:  # noqa: ANN401 -- as JSON has it
    return any(fields.items() <= line.items() for line in lines(running, event))


def clearway(served: Served, *arguments: str) -> str:
    command = [sys.executable, str(ROOT / "clearway.py"), *arguments]
    done = subprocess.run(
        command, env=served.settings, capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout


def test_a_wrong_password_is_said_once_with_what_to_do(
    make_server: Callable[..., Server], short_folder: Path
) -> None:
    server = make_server()
    served = Served(server, short_folder)
    with server.client() as link:
        link.config_set("requirepass", "secret")
    with served.running(wait=False) as running:
        eventually(lambda: "unknown" in running.readyz()[1].get("degraded", ()))
    found = [line for line in running.log.splitlines() if "NOAUTH" in line]
    assert len(found) == 1, running.log
    line = json.loads(found[0])
    assert (line["code"], line["remedy"]) == ("NOAUTH", REMEDIES["NOAUTH"])
    assert server.url.removeprefix("unix://") in line["cause"]
    assert said(running, "not ready", condition="loaded", remedy=CONDITIONS["loaded"])
    assert said(running, "degraded", name="unknown", remedy=DEGRADED["unknown"])
    assert "secret" not in running.log


def test_a_service_says_what_it_is_and_what_changes(valkey: Server, short_folder: Path) -> None:
    served = Served(valkey, short_folder)
    with served.running(wait=False) as running:
        eventually(lambda: said(running, "not ready", condition="covered"))
        (starting,) = lines(running, "starting")
        assert starting["listening"] == running.url
        assert valkey.url.removeprefix("unix://") in starting["redis"]
        assert (starting["workers"], bool(starting["build"])) == (1, True)
        served.cover()
        eventually(lambda: said(running, "ready", people=0, lists=["sx"]))
        (ready,) = lines(running, "ready")
        assert (ready["listening"], len(ready["roster"])) == ([running.url], 16)
        made = asyncio.run(make_key(settings_for(valkey, short_folder), ["check"]))
        key = made.split("_")[1]
        eventually(lambda: said(running, "key made", key=key, scopes=["check"]))
        assert made not in running.log
        clearway(served, "keys", "revoke", key)
        eventually(lambda: said(running, "key ended", key=key))
        clearway(served, "lists", "disable", "xgl", "--reason", "test")
        eventually(lambda: said(running, "degraded", name="list_disabled"))
        clearway(served, "lists", "enable", "xgl")
        eventually(lambda: said(running, "degraded no longer", name="list_disabled"), 60)
        path = short_folder / "list.csv"
        path.write_text(f"{HEADER}\n1,resident_id,110105180001010010\n")
        clearway(served, "load", str(path), "--list", "xgl", "--as-of", "2026-01-01")
        eventually(lambda: said(running, "load ended", lists=["xgl"], kind="load"))
        assert said(running, "load begun", lists=["xgl"], kind="load")
        assert lines(running, "load ended")[0]["did"]["xgl"]["added"] == 1
        assert "110105180001010010" not in running.log


async def test_who_did_not_follow_says_when_it_has_caught_up(
    make_server: Callable[..., Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transitions, "BEHIND_S", 0.0)
    monkeypatch.setattr(transitions, "OVER_S", 0.0)
    server = make_server()
    async with started(settings_for(server, tmp_path, fresh_ms="500")) as (app, _):
        upkeep = app.state.upkeep
        await cover(upkeep.service.changes_store)
        await until(lambda: upkeep.service.screener.ready and upkeep.service.screener.fresh)
        state = Transitions(["http://127.0.0.1:1"])
        with capture_logs() as told:
            await state.look(upkeep)
            server.pause()
            await until(lambda: not upkeep.service.screener.fresh)
            await state.look(upkeep)
            server.resume()
            await until(lambda: upkeep.service.screener.fresh)
            await state.look(upkeep)
    events = [each["event"] for each in told if each["event"].startswith(("ready", "follower"))]
    assert events == ["ready", "follower behind", "follower caught up"]
    names = [each for each in told if each.get("name") == "stale"]
    assert [each["event"] for each in names] == ["degraded", "degraded no longer"]


async def test_what_comes_and_goes_is_told_once(
    valkey: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = 0.0
    names: list[str] = []
    monkeypatch.setattr(transitions, "boot_s", lambda: now_s)
    monkeypatch.setattr(transitions, "degraded", lambda _: names)
    async with started(settings_for(valkey, tmp_path)) as (app, _):
        upkeep = app.state.upkeep
        await cover(upkeep.service.changes_store)
        await until(lambda: upkeep.service.screener.ready)
        state = Transitions([])
        with capture_logs() as told:
            for now_s in range(100):
                names[:] = ["rewound"] if now_s < 40 and now_s % 10 < 5 else []
                await state.look(upkeep)
    said = [(each["event"], each.get("for_s")) for each in told if each.get("name") == "rewound"]
    assert said == [("degraded", None), ("degraded no longer", 35)]


async def until(condition: Callable[[], bool]) -> None:
    """Wait for it, for ten seconds at most."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 -- the service rings no bell for it
            await asyncio.sleep(0.01)


def test_a_fail_over_is_said_with_both_addresses() -> None:
    state = Transitions([])
    with capture_logs() as told:
        for servers in ((), ("a:1",), ("a:1",), (), ("b:1",)):
            state._look_at_servers(servers)
    (line,) = told
    assert (line["event"], line["was"], line["now"]) == ("fail-over seen", ("a:1",), ("b:1",))


def counted(counter: RepeatCounter, **line: Any) -> Iterator[Any]:  # noqa: ANN401 -- structlog's
    try:
        yield counter(None, "warning", line)
    except structlog.DropEvent:
        return


def test_repeats_are_counted_and_said_to_be_over(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = [1_000.0]
    monkeypatch.setattr(repeats, "boot_s", lambda: now_s[0])
    counter = RepeatCounter()
    written: list[Any] = []
    for _ in range(700):
        written += counted(counter, event="poll failed", cause="a: no answer in time")
        written += counted(counter, event="chore failed", cause="a: no answer in time")
        now_s[0] += 1
    assert [line.get("times") for line in written] == [None, 601, 1_201]
    with capture_logs() as told:
        counter.look()
        assert told == []
        now_s[0] += repeats.QUIET_S
        counter.look()
        counter.look()
    (line,) = told
    assert (line["event"], line["times"], line["for_s"]) == ("failures over", 1_400, 699)
    assert list(counted(counter, event="poll failed", cause="a: no answer in time"))
    assert len(list(counted(counter, event="other"))) == 1
    denied = f"a: {NOT_ALLOWED}: this"
    assert all(list(counted(counter, event="chore failed", cause=denied)) for _ in range(3))


def test_an_error_is_told_with_its_cause_and_what_helps() -> None:
    told = why(Unavailable("Redis refused: OOM", "a:1: it said OOM", "OOM"))
    assert told == {
        "error": "Unavailable",
        "cause": "a:1: it said OOM",
        "code": "OOM",
        "remedy": REMEDIES["OOM"],
    }
    assert why(SettingsError("so")) == {"error": "SettingsError", "cause": "so"}
    assert why(ConnectionResetError("reset")) == {"error": "ConnectionResetError", "cause": "reset"}


def test_of_a_foreign_error_only_the_class_is_told() -> None:
    sent = ValueError("invalid literal: '110105180001010010'")
    assert why(sent) == {"error": "ValueError", "cause": "ValueError"}


async def test_there_is_a_remedy_for_all_that_may_be_wrong(valkey: Server, tmp_path: Path) -> None:
    assert DEGRADED.keys() == set(NAMES)
    async with started(settings_for(valkey, tmp_path)) as (app, _):
        assert CONDITIONS.keys() == conditions(app.state.upkeep).keys()


def events() -> set[str]:
    """What the service writes, as its calls have it."""
    calls = (
        node
        for path in (ROOT / "service").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and re.search(LOGS, ast.unparse(node.func)) and node.args
    )
    return {str(said.value) for call in calls if isinstance(said := call.args[0], ast.Constant)}


def test_the_manual_tells_every_line_of_the_log() -> None:
    section = MANUAL.split("\n## Logs\n", 1)[1].split("\n## ", 1)[0]
    told = set(re.findall("`([^`]+)`", section))
    assert len(events()) > 30
    assert events() - told == set()
