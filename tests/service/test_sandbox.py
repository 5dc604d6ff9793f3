"""Test keys: answered from a table of made-up people, by the real rules, and of nobody else."""

from __future__ import annotations

import asyncio
import re
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from roster.documents.check_digits import holds_id_number
from roster.documents.identity import Document
from roster.errors import TooMany
from roster.opening import Opening
from roster.records.cursor import from_text
from roster.rules.lists import load_lists
from roster.settings import read_settings
from roster.storage.api_keys import SCOPES, KeyStore, KeyTerms
from roster.times import format_ms
from service.openapi.openapi import ROUTES, document
from service.sandbox.people import PEOPLE, SLOW_S, ZHANG
from service.sandbox.sandbox import WAITING_MAX, Sandbox
from service.sandbox.shown import table_json
from tests.servers import eventually
from tests.service.apps import bearer, settings_for, started
from tests.service.rosters import AIR, Desk, desk
from tests.service.served import Served
from tests.service.test_metrics import value
from tests.source import ROOT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    import httpx

    from roster.settings import Settings
    from service.openapi.openapi import Route
    from service.sandbox.shapes import MadeUpEntry, MadeUpPerson
    from tests.servers import Server

TABLE = table_json()
QUICK = [row for row in TABLE if f"{SLOW_S:.0f} s" not in row["means"]]
ANSWERED = [row for row in QUICK if row["answer"]["status"] == 200]
DENIED = {"type": "resident_id", "number": "110105180201010015"}
SLOW = {"type": "resident_id", "number": "11010518040101001X"}
CLEAR = {"type": "resident_id", "number": "110105180101010018"}


async def make_test_key(settings: Settings, *scopes: str, **terms: Any) -> str:  # noqa: ANN401 -- as Terms has them
    """The text of a new test key; its scopes are not looked at."""
    with Opening(settings) as opening:
        nodes = opening.change_nodes()
        try:
            store = KeyStore(nodes, opening.wait(await opening.facts(nodes)))
            made = KeyTerms(name="client", scopes=scopes or ("check", "standing"), **terms)
            return (await store.create(made, 0, sandbox=True))[1]
        finally:
            await nodes.close()


@asynccontextmanager
async def trying(server: Server, folder: Path, **terms: Any) -> AsyncIterator[Desk]:  # noqa: ANN401 -- as Terms has them
    """The API of a process that has no list at all, asked with a test key."""
    settings = settings_for(server, folder)
    async with started(settings) as (app, client):
        client.headers.update(bearer(await make_test_key(settings, **terms)))
        yield Desk(client, app.state.service)


def told(answer: httpx.Response, wanted: dict[str, Any]) -> dict[str, Any]:
    """What an answer says, as far as the table has it."""
    content = answer.json() if answer.is_success else {}
    return {"status": answer.status_code} | picked(content, wanted)


def picked(content: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    if "decision" not in content:
        return {}
    reasons = [
        {name: reason[name] for name in ("code", "list") if name in reason}
        for reason in content.get("reasons", [])
    ]
    shown = {"decision": content["decision"], "reasons": reasons}
    return shown | ({"name_check": content["name_check"]} if "name_check" in wanted else {})


async def test_every_row_is_answered_as_the_table_says_though_nothing_is_covered(
    valkey: Server, tmp_path: Path
) -> None:
    async with trying(valkey, tmp_path) as api:
        assert not api.service.screener.ready
        posted = (api.client.post("/v1/check", json=row["check"]) for row in TABLE)
        answers = await asyncio.gather(*posted)
    for row, answer in zip(TABLE, answers, strict=True):
        assert told(answer, row["answer"]) == row["answer"], row["means"]
        assert ("retry-after" in answer.headers) == (answer.status_code != 200)
        stale = "stale" in row["means"] or is_doubt(row, "stale")
        assert answer.json().get("stale", False) == stale


async def test_a_batch_says_of_each_what_a_check_says(valkey: Server, tmp_path: Path) -> None:
    async with trying(valkey, tmp_path) as api:
        body = {"items": [row["check"] for row in ANSWERED]}
        batch = await api.post("/v1/check/batch", body)
        for row in QUICK:
            one = await api.client.post("/v1/check/batch", json={"items": [row["check"]]})
            assert one.status_code == row["answer"]["status"], row["means"]
    for row, result in zip(ANSWERED, batch["results"], strict=True):
        wanted = row["answer"]
        assert {"status": 200} | picked(result, wanted) == wanted, row["means"]
    assert batch["stale"]
    assert batch["counts"]["error"] == 0
    assert sum(batch["counts"].values()) == len(ANSWERED)


async def test_whoever_is_not_in_the_table_is_allowed(valkey: Server, tmp_path: Path) -> None:
    async with trying(valkey, tmp_path) as api:
        for number in ("110105187912310024", "110105187001010012"):
            answer = await api.check({"type": "resident_id", "number": number}, name=ZHANG)
            assert (answer["decision"], answer["reasons"]) == ("allow", [])
            assert answer["name_check"] == "not_compared"
            assert "subject" not in answer


# The shape of real answers ---------------------------------------------------------------


def changes_of(person: MadeUpPerson) -> list[dict[str, Any]]:
    """What a maintainer would send to have these entries in the roster."""
    card = {"document": shown(person), "revision": 5}
    return [each for made in person.entries for each in changes_for(made, card)]


def shown(person: MadeUpPerson) -> dict[str, Any]:
    return next(row["check"]["document"] for row in TABLE if is_about(row, person))


def is_about(row: dict[str, Any], person: MadeUpPerson) -> bool:
    return bool(row["check"]["document"]["number"] == person.document.number)


def changes_for(made: MadeUpEntry, card: dict[str, Any]) -> list[dict[str, Any]]:
    content = made.content
    entry: dict[str, Any] = {"case": content.case, "court": content.court}
    for name, ms in (("from", content.from_ms), ("until", content.until_ms)):
        entry |= {name: format_ms(ms)} if ms is not None else {}
    entry |= {"names": list(made.names)} if made.names else {}
    entry |= {"kind": content.kind} if content.kind else {}
    one = card | {"list": made.list, "entry_id": content.entry_id}
    changes = [one | {"op": "put", "entry": entry}]
    if made.registers.suspended_at:
        changes.append(one | {"op": "suspend", "reason": "dispute", "revision": 6})
    if made.registers.removed_at:
        changes.append(one | {"op": "remove", "reason": "performed", "revision": 6})
    return changes


def shape(answer: Any) -> Any:  # noqa: ANN401 -- JSON
    """The answer without what no two answers have alike, but for its form."""
    if isinstance(answer, list):
        return [shape(each) for each in answer]
    if not isinstance(answer, dict):
        return answer
    alike: dict[str, Callable[[Any], Any]] = {
        "decision_id": len,
        "subject": len,
        "position": lambda text: bool(from_text(text)),
        "fresh_as_of": lambda text: text[-1],
        "stale": type,  # where this machine stands still for seconds, real answers are
    }
    return {
        name: alike[name](value) if name in alike else shape(value)
        for name, value in answer.items()
    }


async def answers_of(client: httpx.AsyncClient, rows: list[dict[str, Any]]) -> list[Any]:
    """What is said about these rows: one by one, together, and of each person at all."""
    found: list[Any] = []
    for row in rows:
        more = {"reference": "PNR-7", "journey": {"mode": "ship", "cabin": "first"}}
        found.append((await client.post("/v1/check", json=row["check"])).json())
        found.append((await client.post("/v1/check", json=row["check"] | more)).json())
        standing = {
            name: row["check"][name] for name in ("document", "name") if name in row["check"]
        }
        found.append((await client.post("/v1/standing", json=standing)).json())
    batch = {"items": [row["check"] for row in rows]}
    return [*found, (await client.post("/v1/check/batch", json=batch)).json()]


def are_alike(real: list[Any], made_up: list[Any]) -> None:
    for one, other in zip(real, made_up, strict=True):
        assert shape(one) == shape(other)
        assert list(one) == list(other), "the fields stand in another order"


async def test_an_answer_is_what_a_real_one_about_such_entries_is(
    valkey: Server, tmp_path: Path
) -> None:
    people = [
        each
        for each in PEOPLE
        if not (each.doubt or each.refusal or each.wait_s or each.disabled or each.stale)
    ]
    rows = [row for row in TABLE if any(is_about(row, person) for person in people)]
    async with desk(valkey, tmp_path) as api:
        changes = [change for person in people for change in changes_of(person)]
        results = (await api.change(*changes, wait="all"))["results"]
        assert {result["outcome"] for result in results} == {"applied"}
        real = await answers_of(api.client, rows)
        api.client.headers.update(bearer(await make_test_key(api.service.settings)))
        are_alike(real, await answers_of(api.client, rows))


async def test_a_doubtful_answer_is_what_a_real_one_is(valkey: Server, tmp_path: Path) -> None:
    rows = [row for row in TABLE if is_doubt(row, "not_covered")]
    settings = settings_for(valkey, tmp_path)
    async with started(settings) as (app, client):
        async with asyncio.timeout(10):
            while not await app.state.service.follower.poll():  # noqa: ASYNC110 -- the follower makes it so
                await asyncio.sleep(0.005)
        real = await answers_of(client, rows)
        client.headers.update(bearer(await make_test_key(settings)))
        made_up = await answers_of(client, rows)
    for one in (real[0], real[2]):  # the filter, which knows nobody, says clear
        one["reasons"][0]["last_known"] = "possible"
    real[1]["reasons"][0]["last_known"] = "possible"
    real[3]["results"][0]["reasons"][0]["last_known"] = "possible"
    are_alike(real, made_up)


def is_doubt(row: dict[str, Any], code: str) -> bool:
    return any(reason["code"] == code for reason in row["answer"].get("reasons", []))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b'{"document": {"type": "resident_id", "number": ""}, "journey": {"mode": "air"}}',
        b'{"document": {"type": "passport", "number": "E1"}, "journey": {"mode": "air"}}',
        b'{"document": {"type": "resident_id", "number": "1"}, "journey": {"mode": "rail"}}',
        b'{"document": {"type": "resident_id", "number": "1"}, "journey": {"mode": "air"}, "x": 1}',
        b'{"document": {"type": "x", "number": "1"}, "journey": {"mode": "air"}, "at_least": "no"}',
        b'{"document": {"type": "passport", "number": ""}, "journey": {}, "at_least": "no"}',
        b'{"items": []}',
        b'{"items": [1, {"document": {"type": "passport", "number": "E1"}}]}',
    ],
)
async def test_what_is_malformed_is_refused_as_by_a_real_key(
    body: bytes, valkey: Server, tmp_path: Path
) -> None:
    async with desk(valkey, tmp_path) as api:
        test_key = bearer(await make_test_key(api.service.settings))
        for path in ("/v1/check", "/v1/check/batch", "/v1/standing"):
            real = await api.client.post(path, content=body)
            made_up = await api.client.post(path, content=body, headers=test_key)
            assert (real.status_code, shape(real.json())) == (
                made_up.status_code,
                shape(made_up.json()),
            )


async def test_a_position_of_a_test_key_stops_no_real_check(valkey: Server, tmp_path: Path) -> None:
    async with desk(valkey, tmp_path) as api:
        made_up = bearer(await make_test_key(api.service.settings))
        answer = await api.client.post(
            "/v1/check", json={"document": DENIED, "journey": AIR}, headers=made_up
        )
        position = answer.json()["position"]
        assert (await api.check(CLEAR, at_least=position))["decision"] == "allow"
        api.client.headers.update(made_up)
        assert (await api.check(DENIED, at_least=position))["decision"] == "deny"


# No roster ---------------------------------------------------------------------------------


async def test_nothing_of_a_test_key_is_looked_up_recorded_or_counted(
    make_server: Callable[..., Server], tmp_path: Path
) -> None:
    server = make_server()
    async with trying(server, tmp_path) as api:
        service = api.service
        first = await api.check(DENIED)
        before = service.audit.records + service.audit.waiting
        server.stop()  # whatever is looked up from here on fails
        for row in QUICK:
            answer = await api.client.post("/v1/check", json=row["check"])
            assert told(answer, row["answer"]) == row["answer"]
        await api.post("/v1/check/batch", {"items": [row["check"] for row in ANSWERED]})
        assert (await api.post("/v1/standing", {"document": DENIED}))["standing"] == "restricted"
        assert (await api.check(DENIED))["subject"] == first["subject"]
        counters = service.counters
        assert not counters.decisions
        assert not counters.take_unwritten()
        assert not counters.refers
        assert sum(counters.durations.counts) == 0
        assert service.screener.true_hits + service.screener.cleared == 0
        assert service.audit.records + service.audit.waiting == before
        decided = service.sandbox.decided
        assert sum(decided.values()) == 2 * len(ANSWERED) + 2
        assert decided["deny"] > decided["refer"] > 0


async def test_checks_by_test_keys_have_a_metric_of_their_own(
    valkey: Server, tmp_path: Path
) -> None:
    settings = settings_for(valkey, tmp_path)
    async with started(settings) as (_, client):
        made_up = bearer(await make_test_key(settings))
        body = {"document": DENIED, "journey": AIR}
        await client.post("/v1/check", json=body, headers=made_up)
        text = (await client.get("/metrics")).text
    assert 'clearway_sandbox_checks_total{decision="deny"} 1' in text
    assert "clearway_checks_total{" not in text


@pytest.mark.parametrize(
    "route",
    [each for each in ROUTES if each.scope],
    ids=lambda each: f"{each.method}-{each.path}",
)
async def test_a_test_key_can_do_nothing_else_whatever_its_scopes(
    route: Route, valkey: Server, tmp_path: Path
) -> None:
    settings = settings_for(valkey, tmp_path)
    async with started(settings) as (_, client):
        client.headers.update(bearer(await make_test_key(settings, *SCOPES)))
        answer = await client.request(route.method, route.path, json={})
        if route.scope in {"check", "standing"}:
            assert answer.status_code == 400
            return
        assert (answer.status_code, bool(answer.json()["scope"])) == (403, True)
        change = {"op": "put", "list": "sx", "entry_id": "e", "document": DENIED, "entry": {}}
        await client.post("/v1/changes", json={"changes": [change]})
        with valkey.client() as redis:
            assert [*redis.scan_iter("clearway:{*}:b:*", count=1_000)] == []


async def test_a_test_key_without_a_scope_lacks_it(valkey: Server, tmp_path: Path) -> None:
    settings = settings_for(valkey, tmp_path)
    async with started(settings) as (_, client):
        client.headers.update(bearer(await make_test_key(settings, "standing")))
        answer = await client.post("/v1/check", json={"document": DENIED, "journey": AIR})
        assert (answer.status_code, answer.json()["scope"]) == (403, "check")


# As real -------------------------------------------------------------------------------------


async def test_a_test_keys_rate_counts_its_checks(valkey: Server, tmp_path: Path) -> None:
    async with trying(valkey, tmp_path, rate=0.001, burst=3) as api:
        body = {"items": [{"document": DENIED, "journey": AIR}] * 2}
        await api.post("/v1/check/batch", body)
        await api.check(CLEAR)
        refused = await api.client.post("/v1/check", json={"document": DENIED, "journey": AIR})
        assert refused.status_code == 429


async def test_a_slow_answer_takes_its_time(valkey: Server, tmp_path: Path) -> None:
    async with trying(valkey, tmp_path) as api:
        began = time.monotonic()
        await api.check(SLOW)
        assert time.monotonic() - began >= SLOW_S - 0.01  # the loop's clock has a resolution


async def test_more_slow_answers_than_a_process_gives_at_once_are_refused() -> None:
    sandbox, slow = Sandbox(load_lists()), [msgspec.convert(SLOW, Document)]
    waiting = [asyncio.create_task(sandbox.admit(slow)) for _ in range(WAITING_MAX)]
    await asyncio.sleep(0)  # all of them have begun
    with pytest.raises(TooMany):
        await sandbox.admit(slow)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    another = asyncio.create_task(sandbox.admit(slow))
    await asyncio.sleep(0)
    assert not another.done(), "those who hung up keep no place"
    another.cancel()


async def test_a_revoked_test_key_stops(valkey: Server, tmp_path: Path) -> None:
    async with trying(valkey, tmp_path) as api:
        text = api.client.headers["authorization"].removeprefix("Bearer ")
        store = KeyStore(api.service.changes_store.nodes, api.service.applier.wait)
        await api.check(DENIED)
        await store.revoke("_".join(text.split("_")[1:3]), 1)
        await api.service.access.refresh()
        await api.post("/v1/check", {"document": DENIED, "journey": AIR}, 401)


def test_a_test_key_is_answered_as_the_service_is_served(valkey: Server, tmp_path: Path) -> None:
    """By the very server, before any list is loaded, and once its filters clear everybody."""
    served = Served(valkey, tmp_path)
    text = asyncio.run(make_test_key(read_settings(served.settings)))
    with served.running(wait=False) as running:
        eventually(lambda: bool(running.readyz()[0]))
        with running.client() as client, running.client() as real:
            client.headers.update(bearer(text))
            are_as_told(client)
            served.cover()
            eventually(running.ready)
            are_as_told(client)
            body = {"document": DENIED, "journey": AIR}
            assert real.post("/v1/check", json=body).json()["decision"] == "allow"
            are_as_told(client)
            assert client.get("/v1/roster").status_code == 403
            decisions = real.get("/v1/roster").json()["decisions"]
            assert sum(sum(each.values()) for each in decisions.values()) == 1
            refusals_are_of_no_route(client, real)


def refusals_are_of_no_route(made_up: httpx.Client, real: httpx.Client) -> None:
    """Whoever looks for routes that fail is told of none where the answer is made up."""
    refused = [row for row in QUICK if row["answer"]["status"] != 200]
    for row in refused:
        asked = row["check"]
        for path, body in (
            ("/v1/check", asked),
            ("/v1/check/batch", {"items": [asked]}),
            ("/v1/standing", {"document": asked["document"]}),
        ):
            assert made_up.post(path, json=body).status_code == row["answer"]["status"]
    text = real.get("/metrics").text
    for status in (str(row["answer"]["status"]) for row in refused):
        assert value(text, "requests_total", route="sandbox", status=status) == 3
        assert not re.search(rf'route="/v1/(check|check/batch|standing)",status="{status}"', text)


def are_as_told(client: httpx.Client) -> None:
    for row in ANSWERED:
        answer = client.post("/v1/check", json=row["check"])
        assert told(answer, row["answer"]) == row["answer"]


# The documents -------------------------------------------------------------------------------


def test_the_table_is_told_in_the_api_page_row_by_row() -> None:
    page = (ROOT / "docs/api.md").read_text(encoding="utf-8")
    below = page.split("\n## Test keys\n", 1)[1].split("\n## ", 1)[0]
    rows = [line for line in below.splitlines() if line.startswith("| ") and "`" in line]
    assert rows[1:] == [told_row(row) for row in TABLE]
    assert document()["x-sandbox"] == TABLE


def told_row(row: dict[str, Any]) -> str:
    sent, answer = row["check"], row["answer"]
    card, journey = sent["document"], sent["journey"]
    shown = f"`{card['number']}`"
    if card["type"] != "resident_id":
        shown = f"{card['type']} {shown}"
    if "issuer" in card:
        shown += f" of `{card['issuer']}`"
    more = f"`{sent['name']}`" if "name" in sent else ""
    if journey["mode"] == "rail":
        more = f"`{journey['train']}` `{journey['seat']}`"
    said = f"`{answer['decision']}`" if "decision" in answer else str(answer["status"])
    reasons = [
        f"`{each['code']}`" + (f" ({each['list']})" if "list" in each else "")
        for each in answer.get("reasons", [])
    ]
    said += f": {', '.join(reasons)}" if reasons else ""
    return f"| {shown} | {more} | {said} | {row['means']} |"


def test_the_table_has_every_list_every_reason_code_and_every_refusal() -> None:
    told_codes = {reason["code"] for row in TABLE for reason in row["answer"].get("reasons", [])}
    page = (ROOT / "docs/api.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(?:deny|allow|refer)` \| (.*) \|$", page, re.MULTILINE)
    assert told_codes == {code for row in rows for code in re.findall(r"`(\w+)`", row)}
    lists = {reason.get("list") for row in TABLE for reason in row["answer"].get("reasons", [])}
    assert {"sx", "xgl", "ndrc-rail-conduct", "ndrc-rail", "ndrc-air"} <= lists
    assert {row["answer"]["status"] for row in TABLE} == {200, 429, 503}


def test_nobody_in_the_table_is_anybody() -> None:
    numbers = [person.document.number for person in PEOPLE]
    assert len(set(numbers)) == len(numbers)
    for person in PEOPLE:
        number = person.document.number
        if person.document.type != "resident_id":
            assert set(number) <= set("EH0")
            continue
        assert 1801 <= int(number[6:10]) <= 1804
        wrong = any("document_invalid" in row.codes for row in person.rows)
        assert holds_id_number(number) != wrong
