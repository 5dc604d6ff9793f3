from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from roster.records.change import Change
from roster.records.entry import Op, Outcome, Registers, State
from roster.records.record import WITHOUT_REVISION, PackedEntry, pack_record, split_record
from roster.redis.calls import Wait
from roster.storage.snapshots import (
    MIXED,
    PLAIN,
    PLAIN_WITHOUT_REVISION,
    Bucket,
    MergeOptions,
    SnapshotMerge,
)
from roster.storage.snapshots import Snapshot as MergeSnapshot
from roster.storage.store import Store
from tests.roster.law import Edit, Row, Snapshot, Stored, apply_edit, expired, lack, merge_row
from tests.rosters import opened

LIST = 1
WAIT = Wait(aof=False, replicas=0, timeout_ms=1000)
TOKENS = [bytes((0, 7, 0, bucket)) + bytes((n,)) * 12 for bucket in (0, 5) for n in (1, 2)]
HASHES = [bytes((n,)) * 6 for n in (1, 200)]
NAMES = [(token, entry) for token in TOKENS for entry in HASHES]
CONTENTS = [b"a", b"b", b"\xe4", b"ab"]
TOMBSTONE_MS = 40

times = st.integers(1, 100)
names = st.sampled_from(NAMES)
contents = st.sampled_from(CONTENTS)
edits = st.tuples(
    st.just("edit"),
    names,
    st.sampled_from([Op.PUT, Op.REMOVE, Op.SUSPEND, Op.RESUME, Op.ABSENT]),
    times,
    contents,
)
rows = st.tuples(
    names, st.sampled_from(["", "active", "suspended", "removed"]), times, contents, st.booleans()
)
files = st.tuples(
    st.just("file"), st.booleans(), times, st.lists(rows, max_size=6, unique_by=lambda r: r[0])
)
histories = st.lists(st.one_of(edits, files), max_size=25)


def registers(state: str, revision: int) -> Registers:
    if state == "removed":
        return Registers(removed_at=revision)
    return Registers(
        listed_at=revision,
        suspended_at=revision if state == "suspended" else 0,
        resumed_at=revision if state == "active" else 0,
    )


@dataclass
class Model:
    """The roster as a plain dict, by the law in Python."""

    entries: dict[tuple[bytes, bytes], Stored] = field(default_factory=dict)
    floor_ms: int = 0

    def edit(self, name: tuple[bytes, bytes], edit: Edit) -> Outcome:
        after, outcome = apply_edit(self.entries.get(name, Stored()), edit)
        self.entries[name] = after
        return outcome

    def file(self, full: bool, as_of: int, rows: dict[tuple[bytes, bytes], Row]) -> bool:
        if full and as_of < self.floor_ms:
            return False
        for name, row in rows.items():
            stored = self.entries.get(name, Stored())
            self.entries[name] = merge_row(stored, row, Snapshot(as_of, full, self.floor_ms))
        if full:
            self._end(as_of, rows)
        return True

    def _end(self, as_of: int, rows: dict[tuple[bytes, bytes], Row]) -> None:
        self.floor_ms = as_of
        for name in list(self.entries):
            if name not in rows:
                self.entries[name] = lack(self.entries[name], as_of)
                if expired(self.entries[name], as_of, TOMBSTONE_MS):
                    del self.entries[name]

    def known(self) -> dict[tuple[bytes, bytes], Stored]:
        return {name: stored for name, stored in self.entries.items() if stored != Stored()}


async def stored_entries(store: Store) -> dict[tuple[bytes, bytes], Stored]:
    found = await store.lookup([(token, {}) for token in TOKENS], {})
    return {
        (token, packed.entry_hash): Stored(Registers(*packed.registers), packed.content)
        for token, one in zip(TOKENS, found, strict=True)
        for packed in split_record(one.record)
    }


def row_blob(rows: list[tuple[tuple[bytes, bytes], Row]]) -> dict[int, bytes]:
    """The rows of each bucket, as the loader sends them."""
    groups: dict[bytes, list[PackedEntry]] = {}
    for (token, entry), row in rows:
        r = row.registers
        values = (r.listed_at, r.removed_at, r.suspended_at, r.resumed_at, 0)
        flags = 0 if row.has_revision else WITHOUT_REVISION
        digest = digest_of(token, entry, row.content)
        packed = PackedEntry(LIST, entry, digest, values, row.content, b"", flags)
        groups.setdefault(token, []).append(packed)
    out = {0: b"", 5: b""}
    for token, packed_rows in groups.items():
        out[token[3]] += token[4:] + record_blob(packed_rows)
    return out


def record_blob(rows: list[PackedEntry]) -> bytes:
    plain = all(p.registers[1:4] == (0, 0, 0) for p in rows)
    flags = {p.flags for p in rows}
    kind = MIXED
    if plain and len(flags) == 1:
        kind = PLAIN_WITHOUT_REVISION if flags == {WITHOUT_REVISION} else PLAIN
        rows = [p._replace(flags=0) for p in rows]
    record = pack_record(rows)
    return bytes((kind,)) + len(record).to_bytes(4) + record


def digest_of(token: bytes, entry: bytes, content: bytes) -> bytes:
    return (token[3:5] + entry[:1] + content).ljust(8, b"\0")


async def merge(
    store: Store, full: bool, as_of: int, rows: list[tuple[tuple[bytes, bytes], Row]]
) -> None:
    lists = bytes((LIST,)) if full else b""
    merging = SnapshotMerge(store, MergeSnapshot(lists, as_of, "n", TOMBSTONE_MS))
    (begun,) = await merging.begin([7])
    blobs = row_blob(rows)
    buckets = [Bucket(number, b"", blob) for number, blob in sorted(blobs.items())]
    await merging.merge(7, buckets, MergeOptions(upto=buckets[-1].number + 1))
    if full:
        await merging.finish(begun.position, b"")


async def replay(store: Store, model: Model, step: tuple[object, ...]) -> None:
    match step:
        case ("edit", (bytes(token), bytes(entry)), Op() as op, int(revision), bytes(content)):
            change = Change(
                token, LIST, op, revision, entry, content, digest_of(token, entry, content)
            )
            (applied,) = await store.apply([change], WAIT)
            expected = model.edit((token, entry), Edit(op, revision, content, model.floor_ms))
            assert (applied.outcome, applied.state) == (expected, model.entries[token, entry].state)
        case ("file", bool(full), int(as_of), list(raw)):
            rows = [
                (name, Row(registers(state, rev if with_rev else as_of), content, with_rev))
                for name, state, rev, content, with_rev in raw
            ]
            # A row without a revision never ends a suspension, whatever state it gives.
            rows = [
                (n, r if r.has_revision else Row(_without_resume(r.registers), r.content, False))
                for n, r in rows
            ]
            if model.file(full, as_of, dict(rows)):
                await merge(store, full, as_of, rows)


def _without_resume(r: Registers) -> Registers:
    return Registers(r.listed_at, r.removed_at, r.suspended_at)


@pytest.mark.parametrize("name", ["valkey", "redis7", "foreign_valkey"])
@given(history=histories)
@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_lua_and_python_agree_on_the_merge_law(
    name: str, request: pytest.FixtureRequest, history: list[tuple[object, ...]]
) -> None:
    """Also where the server's locale does not order strings by their bytes."""
    async with opened(request.getfixturevalue(name)) as store:
        model = Model()
        for step in history:
            await replay(store, model, step)
        assert await stored_entries(store) == model.known()
        await counts_agree(store, model)


async def counts_agree(store: Store, model: Model) -> None:
    meta = (await store.metas())[7]
    by_state = dict.fromkeys(State, 0)
    people, digest = set(), 0
    for (token, entry), stored in model.known().items():
        by_state[stored.state] += 1
        if stored.state in (State.ACTIVE, State.SUSPENDED):
            people.add(token)
            digest ^= int.from_bytes(digest_of(token, entry, stored.content))
    counted = {s: meta.entries(1, s) for s in State if s is not State.UNKNOWN}
    assert counted == {s: n for s, n in by_state.items() if s is not State.UNKNOWN}
    assert meta.people == len(people)
    assert meta.digest(1) == digest
