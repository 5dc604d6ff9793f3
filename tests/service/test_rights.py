"""What is applied is never more than what the key's scopes allow."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from roster import keys
from roster.records.entry import BIND, LIFT
from roster.records.record import split_record
from roster.storage.api_keys import SCOPES as KNOWN
from roster.storage.api_keys import KeyStore, KeyTerms
from service.openapi.openapi import ROUTES
from tests.service.apps import bearer, make_key
from tests.service.rosters import LISTED, OTHER, PASSPORT, Desk, desk, edit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.servers import Server

BINDING = {"entry_id": "x", "documents": [LISTED, OTHER]}
NUMBER = "110105187912310024"


@asynccontextmanager
async def called_with(api: Desk, scopes: list[str]) -> AsyncIterator[None]:
    """The desk's client calls with a key of these scopes meanwhile."""
    own = api.client.headers["authorization"]
    api.client.headers.update(bearer(await make_key(api.service.settings, scopes)))
    try:
        yield
    finally:
        api.client.headers["authorization"] = own


@pytest.mark.parametrize("op", ["bind", "unbind"])
@pytest.mark.parametrize("more", [{}, {"list": None}, {"list": "bind"}])
async def test_a_key_that_may_only_check_binds_nobody(
    op: str, more: dict[str, Any], valkey: Server, tmp_path: Path
) -> None:
    async with desk(valkey, tmp_path) as api:
        await api.change(edit("put"), {"op": "bind", "revision": 4, **BINDING}, wait="all")
        before = told(valkey)
        async with called_with(api, ["check"]):
            change = {"op": op, "revision": 5, **BINDING, **more}
            refused = await api.post("/v1/changes", {"changes": [change]}, 403)
        wanted = "list:add@bind" if op == "bind" else "list:remove@bind"
        assert refused["scope"] == wanted
        assert told(valkey) == before


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({}, "op"),
        ({"op": None}, "op"),
        ({"op": "zap"}, "op"),
        ({"op": NUMBER}, "op"),
        ({"op": ["put"]}, "op"),
        ({"op": "put", "list": 1}, "list"),
        ({"op": "put", "list": ["sx"]}, "list"),
        ({"op": "put", "list": {"sx": 1}}, "list"),
        ({"op": "bind", "list": False}, "list"),
        ({"op": "put", "list": NUMBER * 100}, "list"),
        *(
            ({"op": op, "list": nothing}, "list")
            for op in ("put", "remove", "suspend", "resume")
            for nothing in (None, "", "   ", "\u200b\u3000")
        ),
    ],
)
async def test_a_change_whose_op_or_list_cannot_be_read_stops_the_request(
    change: dict[str, Any], field: str, valkey: Server, tmp_path: Path
) -> None:
    async with desk(valkey, tmp_path) as api:
        whole = edit("put") | change if change else {}
        body = {"changes": [edit("put", document=OTHER), whole, edit("put"), 5]}
        refused = await api.post("/v1/changes", body, 400)
        assert [each["field"] for each in refused["errors"]] == [
            f"changes[1].{field}",
            "changes[3]",
        ]
        assert told(valkey) == {}
        assert NUMBER not in json.dumps(refused)


async def test_a_change_that_names_no_list_stops_the_request(
    valkey: Server, tmp_path: Path
) -> None:
    plain = edit("put")
    del plain["list"]
    binding = {"op": "bind", "revision": 1, **BINDING}
    async with desk(valkey, tmp_path) as api:
        refused = await api.post("/v1/changes", {"changes": [binding, plain]}, 400)
        assert [each["field"] for each in refused["errors"]] == ["changes[1].list"]
        assert told(valkey) == {}
        assert await api.outcomes(binding, binding | {"list": None, "revision": 2}) == [
            "applied",
            "applied",
        ]


@pytest.mark.parametrize(
    ("scopes", "change", "lacking"),
    [
        (["list:add@sx"], edit("put", list=NUMBER), "list:add"),
        (["list:add@sx"], edit("put", list="xgl"), "list:add@xgl"),
        (["list:remove@sx"], edit("remove", list="nope"), "list:remove"),
        (["list:add", "list:remove"], edit("put", list="lift"), "list:lift"),
        (["list:lift"], edit("remove"), "list:remove@sx"),
        (["list:add@sx"], {"op": "bind", "revision": 1, **BINDING}, "list:add@bind"),
    ],
)
async def test_a_refusal_says_the_scope_and_repeats_nothing(
    scopes: list[str], change: dict[str, Any], lacking: str, valkey: Server, tmp_path: Path
) -> None:
    async with desk(valkey, tmp_path) as api, called_with(api, scopes):
        refused = await api.post("/v1/changes", {"changes": [change]}, 403)
        assert refused["scope"] == lacking
        assert NUMBER not in json.dumps(refused)
        assert told(valkey) == {}


async def test_a_field_that_stands_twice_gives_no_more_than_its_last_value(
    valkey: Server, tmp_path: Path
) -> None:
    async with desk(valkey, tmp_path) as api, called_with(api, ["list:lift"]):
        change = json.dumps(edit("put", entry={"until": "2030-01-01"}))
        text = f'{{"changes": [{change[:-1].replace("sx", "lift")}, "list": "sx"}}]}}'
        refused = await api.client.post("/v1/changes", content=text)
        assert (refused.status_code, refused.json()["scope"]) == (403, "list:add@sx")
        assert told(valkey) == {}


# Every route, by every set of scopes ------------------------------------------------------

NEEDS: dict[tuple[str, str, str], set[str]] = {
    ("POST", "/v1/check", json.dumps({"document": LISTED, "journey": {"mode": "air"}})): {"check"},
    ("POST", "/v1/check/batch", json.dumps({"items": [{}]})): {"check"},
    ("POST", "/v1/standing", json.dumps({"document": LISTED})): {"standing"},
    ("GET", "/v1/changes?limit=1", ""): {"feed", "list:read"},
    ("POST", "/v1/entries/find", json.dumps({"document": LISTED})): {"list:read"},
    ("POST", "/v1/entries/history", json.dumps({"document": LISTED})): {"list:read"},
    ("GET", "/v1/audit?limit=1", ""): {"audit"},
    ("GET", "/v1/roster", ""): {"ops", "ops:read"},
    ("GET", "/v1/trend", ""): {"ops", "ops:read"},
    ("GET", "/v1/live", ""): {"ops", "ops:read"},
    ("GET", "/metrics", ""): {"ops", "ops:read"},
    ("POST", "/v1/changes", json.dumps({"changes": [edit("put")]})): {"list:add", "list:add@sx"},
    ("POST", "/v1/changes", json.dumps({"changes": [edit("remove", 1)]})): {
        "list:remove",
        "list:remove@sx",
    },
    ("POST", "/v1/changes", json.dumps({"changes": [edit("remove", 1, list="lift")]})): {
        "list:lift"
    },
}
"""What is asked, and which scopes allow it: any of these."""
TESTED = {"/v1/check", "/v1/check/batch", "/v1/standing"}
"""What a test key may ask."""


def test_the_model_has_every_route_and_every_scope() -> None:
    paths = {path.partition("?")[0] for _, path, _ in NEEDS}
    assert paths == {route.path for route in ROUTES if route.scope not in {None, "any scope"}}
    assert set(KNOWN) <= {scope for scopes in NEEDS.values() for scope in scopes}


async def wrongly_answered(api: Desk, scopes: set[str], *, sandbox: bool) -> list[str]:
    """What a key of these scopes was allowed, or refused, against the model."""
    store = KeyStore(api.service.changes_store.nodes, api.service.applier.wait)
    terms = KeyTerms(name="k", scopes=tuple(sorted(scopes)))
    _, key = await store.create(terms, 1, sandbox=sandbox)
    await api.service.access.refresh()
    wrong = []
    for (method, path, body), needed in NEEDS.items():
        answer = await api.client.request(method, path, content=body, headers=bearer(key))
        allowed = bool(scopes & needed) and (not sandbox or path in TESTED)
        if (answer.status_code != 403) != allowed:
            wrong.append(f"{path}: {answer.status_code}")
        elif not allowed and not needed & set(answer.json()["scope"].replace(",", "").split()):
            wrong.append(f"{path}: says {answer.json()['scope']}")
    return wrong


@pytest.mark.filterwarnings("ignore:Do not use the `random` module")
async def test_no_route_answers_a_key_that_lacks_its_scope(valkey: Server, tmp_path: Path) -> None:
    async with desk(valkey, tmp_path) as api:
        loop = asyncio.get_running_loop()
        every = [*KNOWN, "list:add@sx", "list:remove@sx", "list:add@bind"]

        @settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
        @given(st.sets(st.sampled_from(every)), st.booleans())
        def holds(scopes: set[str], sandbox: bool) -> None:
            asked = wrongly_answered(api, scopes, sandbox=sandbox)
            assert asyncio.run_coroutine_threadsafe(asked, loop).result() == []

        await asyncio.to_thread(holds)


# A property over arbitrary changes, of every set of scopes ------------------------------

SCOPES = (
    *("check", "list:add", "list:remove", "list:lift"),
    *("list:add@sx", "list:remove@sx", "list:add@bind", "list:remove@bind"),
)
LISTS = {1: "sx", 2: "xgl", LIFT: "lift", BIND: "bind"}
REGISTERS = ("add", "remove", "remove", "add", "add")
"""Who raises which register: listed, removed, suspended, resumed, absent (a late put)."""

JUNK: Any = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=6,
)
DOCUMENTS = st.sampled_from([LISTED, OTHER, PASSPORT])
FIELDS: dict[str, Any] = {
    "op": st.sampled_from(["put", "remove", "suspend", "resume", "bind", "unbind", "reinstate"]),
    "list": st.sampled_from(["sx", "sx", "xgl", "lift", "bind", None, " sx", "SX", "sx ", "ｓｘ"]),
    "entry_id": st.sampled_from(["e", "f", " e", "e\u200b"]),
    "revision": st.integers(1, 30) | st.none(),
    "document": DOCUMENTS | st.none(),
    "documents": st.lists(DOCUMENTS, min_size=2, max_size=3) | st.none(),
    "entry": st.sampled_from([{}, {"until": "2030-01-01"}, {"court": "c"}, None]),
    "reason": st.sampled_from([None, "performed", "dispute"]),
    "replaces": st.lists(DOCUMENTS, max_size=2) | st.none(),
}
ODD: Any = st.dictionaries(st.sampled_from(sorted(FIELDS)), JUNK, max_size=1)


GOES_WITH = {
    "put": ("list", "entry_id", "revision", "document", "entry"),
    "bind": ("entry_id", "revision", "documents"),
    "unbind": ("entry_id", "revision", "documents"),
}
SELDOM = ("replaces", "reason", "list", "documents", "entry", "op")


@st.composite
def changes(draw: st.DrawFn) -> Any:  # noqa: ANN401 -- JSON, or nearly
    """A change: whole, or with a field more, another one, or junk in one, or junk."""
    if draw(st.integers(0, 30)) == 0:
        return draw(JUNK)
    op = draw(FIELDS["op"])
    names = GOES_WITH.get(op, ("list", "entry_id", "revision", "document"))
    whole = {"op": op} | {name: draw(FIELDS[name]) for name in names}
    kind = draw(st.integers(0, 5))
    if kind == 0:
        return whole | draw(ODD)
    if kind == 1:
        name = draw(st.sampled_from(SELDOM))
        return whole | {name: draw(FIELDS[name])}
    return whole


def later(sent: list[Any], by: int) -> list[Any]:
    """The same with revisions that are so much greater: what came before is mostly over."""
    return [
        each | {"revision": each["revision"] + by}
        if isinstance(each, dict) and isinstance(each.get("revision"), int)
        else each
        for each in sent
    ]


def key_scopes() -> st.SearchStrategy[set[str]]:
    """Every set of them, mostly those that may do something."""
    some = st.sets(st.sampled_from(SCOPES))
    return some | some.map(lambda scopes: scopes | {"list:add", "list:remove"})


def told(server: Server) -> dict[tuple[bytes, bytes, int, bytes], tuple[tuple[int, ...], bytes]]:
    """Every entry of the roster: its registers and its content."""
    found = {}
    with server.client() as client:
        for bucket in client.scan_iter("clearway:{*}:b:*", count=1_000):
            for field, record in client.hgetall(bucket).items():
                for each in split_record(record):
                    place = bucket, field, each.list, each.entry_hash
                    if each.list in LISTS:  # the canary sings as it likes
                        found[place] = tuple(each.registers), each.content
    return found


def excess(
    before: dict[Any, Any], after: dict[Any, Any], scopes: set[str], sent: list[Any]
) -> list[str]:
    """What happened to entries that the scopes do not allow."""
    replaces = any(
        isinstance(each, dict) and each.get("op") == "put" and each.get("replaces") for each in sent
    )
    found = []
    for place, (registers, content) in after.items():
        name = LISTS[place[2]]
        old, known = before.get(place, ((0,) * 5, content))
        kinds = {kind for kind, a, b in zip(REGISTERS, old, registers, strict=True) if a != b}
        if content != known:
            kinds.add("add")
        for kind in kinds:
            allowed = {"list:lift"} if name == "lift" else {f"list:{kind}", f"list:{kind}@{name}"}
            if kind == "remove" and replaces and name not in {"lift", "bind"}:
                allowed |= {"list:add", f"list:add@{name}"}
            if not scopes & allowed:
                found.append(f"{name}: {kind}")
    return found + ["gone" for place in before if place not in after]


async def ask(api: Desk, server: Server, scopes: set[str], sent: list[Any]) -> int:
    """Send these changes with a key of these scopes, and hold what they did to these."""
    store = KeyStore(api.service.changes_store.nodes, api.service.applier.wait)
    _, key = await store.create(KeyTerms(name="k", scopes=tuple(sorted(scopes))), 1)
    await api.service.access.refresh()
    before = told(server)
    body = json.dumps({"changes": sent}).encode("utf-8", "surrogatepass")
    answer = await api.client.post("/v1/changes", content=body, headers=bearer(key))
    assert answer.status_code in {200, 400, 403}, answer.text
    after = told(server)
    assert excess(before, after, scopes, sent) == []
    assert answer.status_code == 200 or before == after
    with server.client() as client:
        client.delete(keys.KEYS)
    return sum(before.get(place) != entry for place, entry in after.items())


# The service, on another thread, may use `random` just while something is drawn.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module")
async def test_no_change_does_more_than_its_keys_scopes_allow(
    valkey: Server, tmp_path: Path
) -> None:
    changed = at = 0
    async with desk(valkey, tmp_path) as api:
        loop = asyncio.get_running_loop()

        @settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
        @given(key_scopes(), st.lists(changes(), min_size=1, max_size=3))
        def holds(scopes: set[str], sent: list[Any]) -> None:
            nonlocal changed, at
            at += 10
            asked = ask(api, valkey, scopes, later(sent, at))
            changed += asyncio.run_coroutine_threadsafe(asked, loop).result()

        await asyncio.to_thread(holds)
    assert changed > 30
