from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from loader.partitions.portion import DIGEST_BYTES, SEAL_BYTES
from loader.rows.packed_rows import KEPT_BYTES
from roster import keys
from roster.build import build
from roster.records.change import HEAD
from roster.records.entry import CANARY, RESTRICTING_BELOW, Op, Outcome, State
from roster.records.position import ROSTER_BYTES, WIRE_BYTES
from roster.records.record import HEADER, REGISTER_BYTES, WITHOUT_REVISION
from roster.records.replies import EVENT, MARK_BYTES, TIME_AT
from roster.redis import calls, nodes
from roster.redis.calls import CLOSED, SHARED, Call, Library, library, library_of
from roster.storage.processes import Process
from roster.storage.retention import retire_libraries
from roster.storage.snapshots import MIXED, PLAIN, PLAIN_WITHOUT_REVISION, MergeCounts
from tests.rosters import opened
from tests.service.rosters import desk
from tests.source import ROOT, lua

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import Server

MODULE_LINES = 300


def loaded(server: Server) -> set[str]:
    """The libraries that the server has."""
    with server.client() as client:
        found = client.function_list()
    return {each[each.index(b"library_name") + 1].decode() for each in found}


def loads(server: Server) -> int:
    """How often a library was loaded, in all."""
    with server.client() as client:
        stats = client.info("commandstats")
    return sum(
        each["calls"] for name, each in stats.items() if name.startswith("cmdstat_function|load")
    )


def test_a_library_is_named_by_its_content() -> None:
    text = "#!lua name=clearway\nlocal VERSION = ''\n"
    one, other = library_of(text), library_of(text + "-- another comment\n")
    assert one.name != other.name
    assert one.name == f"clearway{one.suffix}"
    assert one.code == f"#!lua name={one.name}\nlocal VERSION = '{one.suffix}'\n"


@pytest.mark.parametrize("text", ["", "#!lua name=clearway\n", "local VERSION = ''\n"])
def test_code_that_has_no_place_for_a_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="VERSION"):
        library_of(text)


def test_every_lua_file_is_joined_and_none_is_longer_than_a_module() -> None:
    found = {path.stem: path for path in (ROOT / "roster").rglob("*.lua")}
    assert sorted(found) == sorted(SHARED + CLOSED)
    lengths = {name: len(path.read_text("utf-8").splitlines()) for name, path in found.items()}
    assert {name for name, lines in lengths.items() if lines > MODULE_LINES} == set()


def constants(pattern: str) -> dict[str, str]:
    """The constants of the Lua files whose values look like that."""
    names: dict[str, str] = {}
    for line in "\n".join(lua().values()).splitlines():
        if found := re.match(rf"local ([A-Z][A-Z_, ]*) = ({pattern}(?:, {pattern})*)\s*$", line):
            names |= zip(found[1].split(", "), found[2].split(", "), strict=True)
    return names


def test_lua_and_python_agree_on_codes_and_packed_forms() -> None:
    codes = {**State.__members__, **Outcome.__members__, "RESTRICTING_BELOW": RESTRICTING_BELOW}
    codes |= {f"OP_{op.name}": op for op in Op} | {"CANARY": CANARY}
    codes |= {f"ROW_{name.upper()}": at for at, name in enumerate(MergeCounts._fields, 1)}
    codes |= {"PLAIN_WITHOUT_REVISION": PLAIN_WITHOUT_REVISION, "PLAIN": PLAIN, "MIXED": MIXED}
    sizes = {"HEADER_BYTES": HEADER.size, "REGISTER_BYTES": REGISTER_BYTES, "BUCKETS": keys.BUCKETS}
    sizes |= {"WITHOUT_REVISION": WITHOUT_REVISION, "EVENT_BYTES": EVENT.size, "TIME_AT": TIME_AT}
    sizes |= {"SEAL_BYTES": SEAL_BYTES, "DIGEST_BYTES": DIGEST_BYTES, "KEPT_BYTES": KEPT_BYTES}
    sizes |= {"PROV_SIZE_AT": HEAD.size, "PROV_BYTES": 255 - len(b"P") - REGISTER_BYTES}
    alone = {"UNREADABLE", "AT_ONCE", "LOG_AT_ONCE", "HISTORY_BYTES", "FORGOTTEN_BITS"}
    alone |= {"NOBODYS_SEQ", "NEVER"}
    told = {name: int(value) for name, value in constants(r"\d+").items()}
    assert {name: value for name, value in told.items() if name not in alone} == codes | sizes
    assert alone < told.keys()
    zeros = {name: len(value) // 2 - 1 for name, value in constants(r"'[\\0]+'").items()}
    places = {"NO_PLACE": WIRE_BYTES, "NO_MARK": MARK_BYTES}
    assert zeros == places | {"NO_DIGEST": DIGEST_BYTES, "NO_ROSTER": ROSTER_BYTES}


def newer_than(own: Library) -> Library:
    text = own.code.replace(own.name, "clearway", 1).replace(f"'{own.suffix}'", "''", 1)
    return library_of(text + "-- newer\n")


async def test_two_versions_live_side_by_side_and_each_is_loaded_once(
    any_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, newer = library(), newer_than(library())
    before = loads(any_server)
    async with opened(any_server) as store:
        for _ in range(50):
            for version in (own, newer):
                for module in (calls, nodes):
                    monkeypatch.setattr(module, "library", lambda version=version: version)
                await store.nodes.run([Call(0, "settle", (keys.META[0],), ())])
    assert loaded(any_server) == {own.name, newer.name}
    assert loads(any_server) - before == 2


async def test_functions_that_no_live_process_calls_go_and_come_back_when_called(
    any_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = newer_than(library())
    async with opened(any_server) as store:

        async def settle() -> None:
            await store.nodes.run([Call(0, "settle", (keys.META[0],), ())])

        await settle()
        monkeypatch.setattr(calls, "library", lambda: newer)
        monkeypatch.setattr(nodes, "library", lambda: newer)
        await settle()
        both = {library().name, newer.name}
        silent, speaking = (
            Process("p", "h", 3_000, b"", library=name) for name in ("", newer.name)
        )
        assert await retire_libraries(store.nodes, [silent]) == []
        assert await retire_libraries(store.nodes, [speaking]) == []
        assert loaded(any_server) == both
        assert await retire_libraries(store.nodes, []) == [newer.name]
        assert loaded(any_server) == {library().name}
        await settle()
        assert loaded(any_server) == both


async def test_functions_that_a_server_has_lost_are_loaded_again(valkey: Server) -> None:
    async with opened(valkey) as store:
        for _ in range(2):
            assert await store.lookup([(bytes(16), {})], {})
            assert loaded(valkey) == {library().name}
            with valkey.client() as client:
                client.function_flush("SYNC")


async def test_a_process_says_which_code_it_runs(valkey: Server, tmp_path: Path) -> None:
    async with desk(valkey, tmp_path) as api:
        own = {"build": build(), "library": library().name}
        roster = (await api.client.get("/v1/roster")).json()
        ready = (await api.client.get("/readyz")).json()
        for told in (roster, ready, *roster["processes"]):
            assert {name: told[name] for name in own} == own
    assert re.fullmatch(r"[0-9.]+\+[0-9a-f]{12}", build())
