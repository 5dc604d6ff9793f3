"""Any changes and files, in any order, on a live server that restarts: it equals a plain dict.

A step is one edit or one row of a file; `make soak` takes them by the hundred thousand.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
import redis.asyncio
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from roster.documents.identity import Token
from roster.errors import LoadRefused
from roster.records.change import Change
from roster.records.content import pack_content
from roster.records.entry import Content, Op, Provenance
from roster.records.record import (
    WITHOUT_REVISION,
    PackedEntry,
    pack_record,
    provenance_tail,
    split_record,
)
from roster.redis.calls import Wait
from roster.redis.nodes import Nodes
from roster.rules import rules
from roster.rules.lists import load_lists
from roster.rules.verdict import Journey, Question
from roster.storage.dictionary import Dictionary
from roster.storage.snapshots import MIXED, Bucket, MergeOptions, Snapshot, SnapshotMerge
from roster.storage.store import Store
from service.deciding.lookups import Lookups
from service.deciding.person import read_person
from service.following.screener import Screener
from tests.roster.plain_model import (
    BIND,
    LIFT,
    SX,
    TOMBSTONE_MS,
    XGL,
    FileRow,
    Known,
    Model,
    Name,
    word,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Coroutine

    from tests.servers import Server

MILLION = 1_000_000
CHECK = b"checkval"
WAIT = Wait(aof=False, replicas=0, timeout_ms=1_000)
LISTS = load_lists()
PROVENANCE = provenance_tail(Provenance("api", "a test"))
PARTITIONS = (3, 40)
BUCKETS = (0, 5)
TOKENS = [
    bytes((0, partition, 0, bucket)) + bytes((bucket + 1,)) * 12
    for partition in PARTITIONS
    for bucket in BUCKETS
]
TWINS = dict(zip(TOKENS, [TOKENS[3], TOKENS[2], TOKENS[1], TOKENS[0]], strict=True))
FAR_MS = 7_000_000_000_000
OPS = {"put": Op.PUT, "remove": Op.REMOVE, "suspend": Op.SUSPEND, "resume": Op.RESUME}
NAMES = [Name(token, code, entry) for token in TOKENS for code in (SX, XGL) for entry in ("1", "2")]

TIMES = range(1, 17)
CASES = ("", "a", "b", "ä")
EDITS = [*itertools.product(NAMES, OPS, TIMES, CASES)]

times = st.sampled_from(TIMES)
ops = st.sampled_from([*OPS])
cases = st.sampled_from(CASES)
edits = st.integers(0, len(EDITS) - 1)
"""One draw instead of four: it halves the time of a step."""
rows = st.dictionaries(
    st.sampled_from(NAMES),
    st.tuples(st.sampled_from(["", "active", "suspended", "removed"]), st.none() | times, cases),
    max_size=6,
)


def hash_of(name: Name) -> bytes:
    return (name.entry_id.encode() * 6)[:6]


def content(name: Name, case: str = "") -> bytes:
    """What is published of an entry, packed."""
    if name.list == BIND:
        return pack_content(Content(name.entry_id, tokens=(TWINS[name.token],)), {})
    until_ms = FAR_MS if name.list == LIFT else None
    return pack_content(Content(name.entry_id, case=case, until_ms=until_ms), {})


class Machine(RuleBasedStateMachine):
    server: ClassVar[Server]
    taken: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        self.server.empty()
        self.loop = asyncio.new_event_loop()
        self.model = Model()
        self.last: tuple[Name, str, int, bytes] | None = None
        self.restarts = 0
        self._connect()

    def teardown(self) -> None:
        self._run(self.store.nodes.close())
        self.loop.close()

    @rule(name=st.sampled_from(NAMES), op=ops, revision=times, case=cases)
    def edit(self, name: Name, op: str, revision: int, case: str) -> None:
        self._edit(name, op, revision, content(name, case))

    @rule(drawn=st.lists(edits, min_size=40, max_size=120))
    def edit_many(self, drawn: list[int]) -> None:
        """All in one request, as a maintainer's program sends them."""
        chosen = [EDITS[number] for number in drawn]
        self._edit_all([(name, op, at, content(name, case)) for name, op, at, case in chosen])

    @rule(token=st.sampled_from(TOKENS), op=ops, revision=times)
    def lift(self, token: bytes, op: str, revision: int) -> None:
        name = Name(token, LIFT, "l")
        self._edit(name, op, revision, content(name))

    @rule(
        token=st.sampled_from(TOKENS),
        op=st.sampled_from(["put", "remove"]),
        revision=times,
        half=st.booleans(),
    )
    def bind(self, token: bytes, op: str, revision: int, half: bool) -> None:
        for side in (token,) if half else (token, TWINS[token]):
            name = Name(side, BIND, "b")
            self._edit(name, op, revision, content(name))

    @precondition(lambda self: self.last is not None)
    @rule()
    def retry(self) -> None:
        assert self.last is not None
        self._edit(*self.last)

    @precondition(lambda self: self.last is not None)
    @rule(op=ops, case=cases)
    def at_the_same_time(self, op: str, case: str) -> None:
        """Another edit of the same entry with the same revision."""
        assert self.last is not None
        name, _, revision, _ = self.last
        self._edit(name, op, revision, content(name, case))

    @rule(lists=st.sets(st.sampled_from([SX, XGL])), as_of=times, drawn=rows)
    def file(
        self, lists: set[int], as_of: int, drawn: dict[Name, tuple[str, int | None, str]]
    ) -> None:
        """A whole file of these lists; of none: a partial one."""
        told = {
            name: FileRow(state, revision, content(name, case))
            for name, (state, revision, case) in drawn.items()
            if not lists or name.list in lists
        }
        if self.model.refuses(lists, as_of):
            assert self._run(self._refused(lists, as_of))
            return
        Machine.taken += len(told)
        self.model.file(lists, as_of, told)
        self._run(self._load(lists, as_of, told))

    @precondition(lambda self: self.restarts < 2)
    @rule(kill=st.booleans())
    def restart(self, kill: bool) -> None:
        self.restarts += 1
        self._run(self.store.nodes.close())
        (self.server.kill if kill else self.server.stop)()
        self.server.start()
        self._connect()

    @invariant()
    def everything_is_equal(self) -> None:
        self._run(self._compare())

    async def _compare(self) -> None:
        found = await self.store.lookup([(token, {}) for token in TOKENS], {})
        stored = {
            (token, packed.list, packed.entry_hash): (packed.registers, packed.content)
            for token, one in zip(TOKENS, found, strict=True)
            for packed in split_record(one.record)
        }
        expected = {
            (name.token, name.list, hash_of(name)): (
                (known.put, known.remove, known.suspend, known.resume, known.absent),
                known.content,
            )
            for name, known in self.model.known.items()
            if known != Known()
        }
        assert stored == expected
        metas = await self.store.metas()
        for partition, code in itertools.product(PARTITIONS, (SX, XGL, LIFT, BIND)):
            digest = metas[partition].digest(code).to_bytes(8)
            assert digest == self.model.digest(partition, code)
        decided = await asyncio.gather(*map(self._decides, TOKENS))
        assert decided == [self.model.blocked(token, TWINS[token]) for token in TOKENS]

    async def _decides(self, token: bytes) -> bool:
        """Whether a check of this document would be denied."""
        dictionary = Dictionary(self.store.nodes)
        lookups = Lookups(self.store, self.screener, dictionary, 5_000)
        known = await read_person(lookups, [Token(token)], {})
        question = Question(Journey("air"), known.now_ms, None, True, frozenset())
        return rules.decide(known.entries, question, LISTS).decision == "deny"

    def _edit(self, name: Name, op: str, revision: int, packed: bytes) -> None:
        self._edit_all([(name, op, revision, packed)])

    def _edit_all(self, edits: list[tuple[Name, str, int, bytes]]) -> None:
        self.last = edits[-1]
        states = []
        for name, op, revision, packed in edits:
            was = self.model.get(name).state
            self.model.edit(name, op, revision, packed)
            states.append((was, self.model.get(name).state))
        applied = self._run(self.store.apply([change(*each) for each in edits], WAIT))
        assert [(a.was.name.lower(), a.state.name.lower()) for a in applied] == states
        Machine.taken += len(edits)

    async def _load(self, lists: set[int], as_of: int, told: dict[Name, FileRow]) -> None:
        for partition in PARTITIONS:
            merging = SnapshotMerge(
                self.store, Snapshot(bytes(sorted(lists)), as_of, "n", TOMBSTONE_MS)
            )
            (begun,) = await merging.begin([partition])
            buckets = [Bucket(n, b"", blob(told, partition, n, as_of)) for n in BUCKETS]
            await merging.merge(partition, buckets, MergeOptions(upto=1024))
            if lists:
                await merging.finish(begun.position, b"")

    async def _refused(self, lists: set[int], as_of: int) -> bool:
        merging = SnapshotMerge(
            self.store, Snapshot(bytes(sorted(lists)), as_of, "n", TOMBSTONE_MS)
        )
        try:
            await merging.begin([3])
        except LoadRefused:
            return True
        return False

    def _connect(self) -> None:
        client = redis.asyncio.Redis(unix_socket_path=str(self.server.socket), protocol=2)
        self.store = Store(Nodes(client, lambda _host, _port: client), CHECK)
        self.screener = Screener(frozenset(), 1_000, 900)

    def _run(self, doing: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401 -- what it gives
        return self.loop.run_until_complete(doing)


def change(name: Name, op: str, revision: int, packed: bytes) -> Change:
    return Change(
        name.token,
        name.list,
        OPS[op],
        revision,
        hash_of(name),
        packed,
        word(name, packed),
        PROVENANCE,
        lenient=op in ("remove", "suspend"),
    )


def blob(told: dict[Name, FileRow], partition: int, bucket: int, as_of: int) -> bytes:
    """A bucket's rows, as the loader sends them."""
    out = b""
    for token in TOKENS:
        if (token[1], token[3]) != (partition, bucket):
            continue
        packed = [pack_row(name, row, as_of) for name, row in told.items() if name.token == token]
        if packed:
            record = pack_record(packed)
            out += token[4:] + bytes((MIXED,)) + len(record).to_bytes(4) + record
    return out


def pack_row(name: Name, row: FileRow, as_of: int) -> PackedEntry:
    at = as_of if row.revision is None else row.revision
    registers = {
        "": (at, 0, 0, 0, 0),
        "active": (at, 0, 0, at if row.revision is not None else 0, 0),
        "suspended": (at, 0, at, 0, 0),
        "removed": (0, at, 0, 0, 0),
    }[row.state]
    flags = WITHOUT_REVISION if row.revision is None else 0
    digest = word(name, row.content)
    return PackedEntry(name.list, hash_of(name), digest, registers, row.content, b"", flags)


def run_machines(examples: int, steps: int, phases: Collection[Phase] = tuple(Phase)) -> None:
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            phases=phases,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_the_roster_equals_a_plain_dict_whatever_happens(
    make_server: Callable[[], Server],
) -> None:
    Machine.server = make_server()
    run_machines(examples=20, steps=30)


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_the_roster_equals_a_plain_dict_for_a_million_steps(
    make_server: Callable[[], Server], soak_s: float
) -> None:
    Machine.server = make_server()
    Machine.taken = 0
    until = time.monotonic() + soak_s
    while time.monotonic() < until and Machine.taken < MILLION:
        # Nothing is replayed: each round has to be of new examples.
        run_machines(20, 100, set(Phase) - {Phase.reuse, Phase.explain})
    print(f"\n{Machine.taken:,} steps")  # noqa: T201 -- the figure is half of what a soak is for
