"""`clearway audit`, and what the commands that speak to Redis themselves leave in it."""

from __future__ import annotations

import json
import random
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

import clearway
from roster import keys
from roster.settings import read_settings
from roster.times import format_ms
from tests.loader.loads import Roster, row
from tests.servers import eventually
from tests.service.audited import entries
from tests.service.rosters import AIR, LISTED, edit
from tests.service.served import Served

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import httpx

    from tests.servers import Server
    from tests.service.served import Running


@pytest.fixture
def service(valkey: Server, tmp_path: Path) -> Served:
    found = Served(valkey, tmp_path, fresh_ms="500")
    found.cover()
    return found


def invoke(service: Served, *arguments: str) -> Result:
    found = CliRunner().invoke(clearway.main, arguments, env=service.settings)
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        raise found.exception
    return found


def run(service: Served, *arguments: str) -> str:
    found = invoke(service, *arguments)
    assert found.exit_code == 0, found.output
    return found.stdout


def audit(service: Served, running: Running, *arguments: str) -> Result:
    """What `clearway audit` says there."""
    service.settings["CLEARWAY_API_KEY"] = service.key
    return invoke(service, "audit", "--url", running.url, *arguments)


def told(service: Served, running: Running, *arguments: str) -> list[Any]:
    found = audit(service, running, "--json", *arguments)
    assert found.exit_code == 0, found.output
    return [json.loads(line) for line in found.stdout.splitlines()]


def settled(service: Served, running: Running, kind: str, count: int) -> list[Any]:
    """The records of a kind once there are so many."""

    def found() -> list[Any]:
        return [each for each in told(service, running) if each["kind"] == kind]

    eventually(lambda: len(found()) >= count)
    return found()


def decided(service: Served, running: Running) -> set[Any]:
    """The names of all decisions that are recorded."""
    return {each.get("decision_id") for each in told(service, running)}


def deny(running: Running, count: int = 1) -> list[str]:
    """The names of so many denials."""
    with running.client() as client:
        check = {"document": LISTED, "journey": AIR}
        answers = [client.post("/v1/check", json=check).json() for _ in range(count)]
    assert {each["decision"] for each in answers} == {"deny"}
    return [each["decision_id"] for each in answers]


def put(running: Running) -> None:
    with running.client() as client:
        changes = {"changes": [edit("put")], "wait": "all"}
        assert client.post("/v1/changes", json=changes).status_code == 200


def test_what_operators_do_is_recorded_with_who_did_it(service: Served) -> None:
    run(service, "keys", "create", "--name", "airline", "--scopes", "check,feed")
    listed = json.loads(run(service, "keys", "list", "--json"))
    (identifier,) = [each["id"] for each in listed if each["name"] == "airline"]
    run(service, "keys", "rotate", identifier)
    run(service, "keys", "revoke", identifier)
    run(service, "lists", "disable", "sx", "--reason", "a wrong file")
    run(service, "lists", "enable", "sx")
    run(service, "restored")
    run(service, "accept", "--reason", "looked at")
    run(service, "accept", "--reason", "only asked", "--dry-run")
    with service.running() as running:
        found = told(service, running)
        whole = audit(service, running, "--verify")
    assert whole.exit_code == 0, whole.output
    assert "closed" in whole.stdout
    found = [each for each in found if each["kind"] not in {"closed", "decision"}]
    assert [(each["kind"], each.get("what")) for each in found] == [
        ("key", "created"), ("key", "rotated"), ("key", "revoked"), ("list", "disabled"),
        ("list", "enabled"), ("restored", None), ("accept", None),
    ]  # fmt: skip
    assert {each["key"] for each in found[:3]} == {identifier}
    assert found[0]["scopes"] == ["check", "feed"]
    assert (found[3]["list"], found[3]["reason"]) == ("sx", "a wrong file")
    assert (found[6]["reason"], found[6]["partitions"]) == ("looked at", 64)
    assert all("@" in each["who"] for each in found)


def test_a_commands_chain_that_is_gone_is_found_by_what_it_said(
    service: Served, valkey: Server, tmp_path: Path
) -> None:
    said = invoke(service, "keys", "create", "--name", "airline", "--scopes", "check").stderr
    (line,) = [json.loads(each) for each in said.splitlines() if each.startswith("{")]
    assert (line["event"], line["blocks"]) == ("audit", 1)
    log = tmp_path / "heads.log"
    log.write_text(said)
    verify = ("--verify", "--heads", str(log))
    with service.running() as running:
        whole = audit(service, running, *verify)
        assert whole.exit_code == 0, whole.output
        with valkey.client() as redis:
            redis.delete(keys.AUDIT[0])
        gone = audit(service, running, *verify)
        assert gone.exit_code == 1
        assert f"process {line['process']}: block 0 is missing at the end" in gone.stderr


def test_a_load_says_how_far_its_chain_has_come(
    service: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Roster(read_settings(service.settings), tmp_path).load([row(1)])
    said = capsys.readouterr().err.splitlines()
    (line,) = [json.loads(each) for each in said if '"event": "audit"' in each]
    assert line["blocks"] == 3


@pytest.mark.parametrize(
    "command",
    [
        ("keys", "create", "--scopes", "check", "--name"),
        ("lists", "disable", "sx", "--reason"),
        ("accept", "--reason"),
    ],
)
def test_no_free_text_brings_an_id_number_into_it(
    command: tuple[str, ...], service: Served, valkey: Server
) -> None:
    for text in (LISTED["number"], f"for {LISTED['number'][:6]} {LISTED['number'][6:]} alone"):
        refused = invoke(service, *command, text)
        assert refused.exit_code == 2
        assert "an ID number does not belong here" in refused.output
        assert LISTED["number"][6:] not in refused.output
    assert all(LISTED["number"][6:].encode() not in data for _, _, data in entries(valkey))


def test_loads_and_undos_are_recorded_when_they_begin_and_when_they_are_done(
    service: Served, tmp_path: Path
) -> None:
    roster = Roster(read_settings(service.settings), tmp_path)
    roster.load([row(1), row(2, 2)])
    roster.load([row(1), row(3, 3)], day=2)
    run(service, "undo", "2")
    with service.running() as running:
        found = [each for each in told(service, running) if each["kind"] == "load"]
        assert audit(service, running, "--verify").exit_code == 0
    assert [(each["what"], each["stage"], each["load"]) for each in found] == [
        ("load", "begun", 1), ("load", "completed", 1), ("load", "begun", 2),
        ("load", "completed", 2), ("undo", "begun", 3), ("undo", "completed", 3),
    ]  # fmt: skip
    assert found[1]["did"]["sx"]["added"] == 2
    assert (found[3]["lists"], found[3]["files"][0]["name"]) == (["sx"], "list.csv")
    assert found[5]["undoes"] == 2


def test_the_late_denials_of_a_files_removals_are_told(service: Served, tmp_path: Path) -> None:
    with service.running() as running:
        put(running)
        decided_at = format_ms(time.time_ns() // 1_000_000)
        deny(running, 2)
        path = tmp_path / "removals.jsonl"
        line = {
            "list": "sx", "entry_id": "e/1", "document_type": LISTED["type"],
            "document_number": LISTED["number"], "state": "removed", "revision": 20 + 10**12,
            "decided_at": decided_at, "reason": "performed",
        }  # fmt: skip
        path.write_text(json.dumps(line) + "\n")
        run(service, "load", str(path), "--partial", "--list", "sx", "--max-removals", "1000")
        found = told(service, running, "--late")
    assert len(found) == 2
    assert {each["entry_id"] for each in found} == {"e/1"}


def test_nothing_is_lost_when_the_service_ends_in_order(service: Served) -> None:
    with service.running() as running:
        put(running)
        names = deny(running, 20)
        running.end()
    with service.running() as running:
        found = {each.get("decision_id") for each in told(service, running)}
        assert found >= set(names)
        (one,) = told(service, running, "--decision", names[7])
        assert one["decision_id"] == names[7]
        assert "closed" in audit(service, running, "--verify").stdout
        shown = audit(service, running, "--decision", names[0]).stdout
        assert names[0] in shown


def test_verify_ends_with_status_1_where_something_was_taken_out(
    valkey: Server, service: Served, tmp_path: Path
) -> None:
    with service.running() as running:
        put(running)
        deny(running, 3)
        running.end()
        log = tmp_path / "heads.log"
        log.write_text(running.log)
    with service.running() as running:
        assert audit(service, running, "--verify", "--heads", str(log)).exit_code == 0
        with valkey.client() as redis:
            redis.delete(*keys.AUDIT)
        cut = audit(service, running, "--verify", "--heads", str(log), "--json")
        assert cut.exit_code == 1
        assert "missing at the end" in json.loads(cut.stdout)["faults"][0]["what"]
        assert audit(service, running, "--heads", str(log)).exit_code == 2
        assert audit(service, running, "--verify", "--late").exit_code == 2


def killed(service: Served) -> None:
    """One service that is killed while it denies, and what is left of it."""
    with service.running() as running:
        put(running)
        names = set(deny(running, 5))
        eventually(lambda: names <= decided(service, running))
        until_s = time.monotonic() + random.uniform(0, 1)
        while time.monotonic() < until_s:
            deny(running)
        running.end(signal.SIGKILL)
    with service.running() as running:
        verified = audit(service, running, "--verify")
        assert verified.exit_code == 0, verified.output
        eventually(lambda: "not closed: up to 1 s" in audit(service, running, "--verify").stdout)
        assert names <= decided(service, running)


def test_a_killed_process_leaves_a_chain_that_is_whole(service: Served) -> None:
    killed(service)


@pytest.mark.soak
def test_twenty_killed_processes_leave_chains_that_are_whole(service: Served) -> None:
    for _ in range(20):
        killed(service)


def test_the_health_of_the_audit_is_shown(
    make_server: Callable[..., Server], tmp_path: Path
) -> None:
    server = make_server({})
    service = Served(server, tmp_path)
    service.cover()
    with service.running() as running, running.client() as client, server.client() as redis:
        put(running)
        deny(running)
        settled(service, running, "decision", 1)
        figures = client.get("/v1/roster").json()
        assert figures["audit"]["written"] >= 2
        assert (figures["audit"]["waiting"], figures["audit"]["lost"]) == (0, 0)
        eventually(lambda: _head(client)["blocks"] > 0)
        tags = {data[-16:].hex() for _, _, data in entries(server)}
        assert _head(client)["head"] in tags
        metrics = client.get("/metrics").text
        assert "clearway_audit_lost_total 0" in metrics
        redis.config_set("maxmemory", "1")
        deny(running)
        eventually(lambda: "audit" in client.get("/readyz").json()["degraded"])
        redis.config_set("maxmemory", "0")
        eventually(lambda: "audit" not in client.get("/readyz").json()["degraded"])


def _head(client: httpx.Client) -> Any:  # noqa: ANN401 -- JSON
    (process,) = client.get("/v1/roster").json()["processes"]
    return process["audit"]
