"""A partition that has gone back: how long nobody is denied, and who may clear meanwhile."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from roster.documents.check_digits import check_digit
from roster.documents.identity import Document, normalise
from roster.documents.tokeniser import Tokeniser
from roster.errors import LoadRefused
from roster.filter import TokenFilter
from roster.records.entry import Content, Op
from roster.records.position import HighWater
from roster.storage.rewinds import accept
from roster.storage.snapshots import MergeOptions, Snapshot, SnapshotMerge
from roster.storage.store import Store
from tests.service.parts import DAY_MS, KEY, process
from tests.service.test_screening import LISTED, OTHER, check, decide

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from roster.records.position import Position
    from tests.servers import Server
    from tests.service.parts import Parts

SX, XGL = 1, 2


def soon_ms() -> int:
    """Later than whatever was lost so far."""
    return time.time_ns() // 1_000_000 + 1_000


def saved(server: Server, number: int) -> Callable[[], None]:
    """A partition's keys as they are; calling the result puts them back."""
    mark = b"{%02d}" % number
    with server.client() as link:
        names: Any = link.keys("clearway:{*")
        kept = {name: link.dump(name) for name in names if mark in name}

    def restore() -> None:
        with server.client() as link:
            there: Any = link.keys("clearway:{*")
            for name in there:
                if mark in name:
                    link.delete(name)
            for name, data in kept.items():
                link.restore(name, 0, data)

    return restore


def known_to(parts: Parts, *positions: Position) -> None:
    parts.screener.acknowledge(positions)


@asynccontextmanager
async def removed_and_back(valkey: Server, *lists: int) -> AsyncIterator[tuple[Parts, int, int]]:
    """A process, a partition that has forgotten a removal, and when that was applied."""
    async with process(valkey) as parts:
        for code in lists or (SX, XGL):
            await parts.cover(code)
        await parts.change(LISTED, Op.PUT, 10)
        number = parts.token(LISTED)[1]
        restore = saved(valkey, number)
        removed = await parts.change(LISTED, Op.REMOVE, 11)
        await parts.follower.poll()
        known_to(parts, removed.position)
        await parts.follower.poll()
        restore()
        await parts.follower.poll()
        assert await decide(parts, LISTED) == "refer"
        yield parts, number, removed.applied_at_ms


async def load(parts: Parts, number: int, code: int, as_of: int) -> None:
    """A full file that has the listed person on sx, and nobody on another list."""
    merging = SnapshotMerge(parts.store, Snapshot(bytes((code,)), as_of, "n", 30 * DAY_MS))
    (begun,) = await merging.begin([number])
    await merging.finish(begun.position, TokenFilter().to_bytes())
    await parts.follower.poll()


def is_rewound(parts: Parts, number: int) -> bool:
    return parts.screener.partitions[number].rewound


async def test_a_load_of_another_list_leaves_a_rewound_partition_so(valkey: Server) -> None:
    async with removed_and_back(valkey) as (parts, number, _):
        await load(parts, number, XGL, soon_ms())
        assert await decide(parts, LISTED) == "refer"
        await load(parts, number, SX, soon_ms())
        assert not is_rewound(parts, number)


async def test_a_file_cut_before_what_was_lost_leaves_it_so(valkey: Server) -> None:
    async with removed_and_back(valkey, SX) as (parts, number, lost_ms):
        await load(parts, number, SX, lost_ms)
        assert await decide(parts, LISTED) == "refer"
        await load(parts, number, SX, lost_ms + 1)
        assert not is_rewound(parts, number)


async def test_a_list_that_only_the_lost_state_covered_counts_too(valkey: Server) -> None:
    async with process(valkey) as parts:
        await parts.cover(SX)
        added = await parts.change(LISTED, Op.PUT, 10)
        number = added.position.partition
        restore = saved(valkey, number)
        await parts.cover(XGL)
        removed = await parts.change(LISTED, Op.REMOVE, 11)
        await parts.follower.poll()
        known_to(parts, removed.position)
        restore()
        await parts.follower.poll()
        await load(parts, number, SX, soon_ms())
        assert is_rewound(parts, number)
        await load(parts, number, XGL, soon_ms())
        assert not is_rewound(parts, number)


async def test_a_list_first_loaded_meanwhile_from_an_older_file_counts_too(
    valkey: Server,
) -> None:
    async with removed_and_back(valkey, SX) as (parts, number, lost_ms):
        await load(parts, number, XGL, lost_ms - 5)
        await load(parts, number, SX, lost_ms + 5)
        assert is_rewound(parts, number)
        await load(parts, number, XGL, lost_ms + 5)
        assert not is_rewound(parts, number)


@pytest.mark.parametrize("which", ["begun", "end"])
async def test_a_load_that_began_before_the_rewind_does_not_end_it(
    valkey: Server, which: str
) -> None:
    async with process(valkey) as parts:
        await parts.cover(SX)
        await parts.follower.poll()
        added = await parts.change(LISTED, Op.PUT, 10)
        number = added.position.partition
        merging = SnapshotMerge(parts.store, Snapshot(bytes((SX,)), soon_ms(), "n", 30 * DAY_MS))
        (begun,) = await merging.begin([number])
        known_to(parts, added.position._replace(seq=added.position.seq + 5))
        await parts.follower.poll()
        assert is_rewound(parts, number)
        end = parts.screener.partitions[number].position
        included = {"begun": begun.position, "end": end}[which]
        await merging.finish(included, TokenFilter().to_bytes())
        await parts.follower.poll()
        assert is_rewound(parts, number)


async def test_a_repair_of_some_buckets_does_not_end_a_rewind(valkey: Server) -> None:
    async with removed_and_back(valkey, SX) as (parts, number, _):
        merging = SnapshotMerge(parts.store, Snapshot(bytes((SX,)), soon_ms(), "n", 30 * DAY_MS))
        (begun,) = await merging.begin([number])
        await merging.finish(begun.position, TokenFilter().to_bytes(), whole=False)
        await parts.follower.poll()
        assert is_rewound(parts, number)


async def test_a_load_that_lost_what_it_had_merged_covers_nothing(valkey: Server) -> None:
    async with process(valkey) as parts:
        await parts.cover(XGL)
        number = parts.token(LISTED)[1]
        merging = SnapshotMerge(parts.store, Snapshot(bytes((SX,)), soon_ms(), "n", 30 * DAY_MS))
        (begun,) = await merging.begin([number])
        restore = saved(valkey, number)
        await merging.merge(number, [], MergeOptions(upto=512))
        restore()
        await merging.merge(number, [], MergeOptions(upto=1024))
        with pytest.raises(LoadRefused, match="put back"):
            await merging.finish(begun.position, TokenFilter().to_bytes())


async def test_a_load_under_which_an_older_state_comes_back_is_refused(valkey: Server) -> None:
    async with process(valkey) as parts:
        await parts.cover(SX)
        number = parts.token(LISTED)[1]
        merging = SnapshotMerge(parts.store, Snapshot(bytes((SX,)), soon_ms(), "n", 30 * DAY_MS))
        await merging.begin([number])
        restore = saved(valkey, number)
        added = await parts.change(LISTED, Op.PUT, 10)
        restore()
        with pytest.raises(LoadRefused, match="put back"):
            await merging.finish(added.position, TokenFilter().to_bytes())


async def test_changes_go_on_while_it_stands_and_outlive_it(valkey: Server) -> None:
    async with removed_and_back(valkey, SX) as (parts, _, _):
        await parts.change(LISTED, Op.REMOVE, 12)
        await accept(parts.store)
        await parts.follower.poll()
        assert await decide(parts, LISTED) == "allow"


async def test_a_second_rewind_keeps_the_later_time(valkey: Server) -> None:
    async with removed_and_back(valkey, SX) as (parts, number, lost_ms):
        restore = saved(valkey, number)
        later = await parts.change(OTHER_OF[number], Op.PUT, 10)
        await parts.follower.poll()
        known_to(parts, later.position)
        restore()
        await parts.follower.poll()
        assert is_rewound(parts, number)
        assert not parts.screener.partitions[number].position.includes(later.position) or (
            parts.screener.partitions[number].position.history > later.position.history
        )
        await load(parts, number, SX, max(lost_ms, later.applied_at_ms) - 1)
        assert is_rewound(parts, number)
        await load(parts, number, SX, soon_ms())
        assert not is_rewound(parts, number)


async def test_whoever_knows_of_more_that_was_lost_raises_the_mark(valkey: Server) -> None:
    async with process(valkey) as parts, process(valkey, name="late") as late:
        await parts.cover(SX)
        number = parts.token(LISTED)[1]
        restore = saved(valkey, number)
        first = await parts.change(LISTED, Op.PUT, 10)
        await parts.follower.poll()
        second = await parts.change(LISTED, Op.REMOVE, 11)
        await late.follower.poll()
        known_to(parts, first.position)
        known_to(late, second.position)
        restore()
        await parts.follower.poll()
        assert parts.screener.partitions[number].witnessed
        await late.follower.poll()
        await parts.follower.poll()
        assert not parts.screener.partitions[number].witnessed
        assert late.screener.partitions[number].witnessed


async def test_only_a_filter_that_had_read_what_was_lost_clears(valkey: Server) -> None:
    async with process(valkey, name="cut") as cut, process(valkey) as parts:
        await parts.cover(SX)
        await parts.change(LISTED, Op.PUT, 10)
        await parts.follower.poll()
        await cut.follower.poll()
        number = parts.token(OTHER)[1]
        restore = saved(valkey, number)
        added = await parts.change(OTHER, Op.PUT, 20)
        await parts.follower.poll()
        known_to(parts, added.position)
        restore()
        for each in (parts, cut, cut):
            await each.follower.poll()
        assert await decide(parts, OTHER) == "refer"
        screening = await check(cut, OTHER)
        assert screening.verdict.decision == "refer"
        assert screening.verdict.reasons[0].code == "rewound"


async def test_a_filter_on_another_branch_is_no_witness_however_far_it_is(valkey: Server) -> None:
    async with process(valkey, name="branch") as branch, process(valkey) as parts:
        await parts.cover(SX)
        for each in (parts, branch):
            await each.follower.poll()
        number = parts.token(OTHER)[1]
        restore = saved(valkey, number)
        lost = await parts.change(OTHER, Op.PUT, 20)
        await parts.follower.poll()
        restore()  # a fail-over to a replica that had not got it
        for revision in range(30, 34):
            await branch.change(OTHER_OF[number], Op.PUT, revision)
        await branch.follower.poll()
        assert branch.screener.partitions[number].position.seq > lost.position.seq
        known_to(parts, lost.position)
        for each in (parts, branch):
            await each.follower.poll()
        assert parts.screener.partitions[number].witnessed
        assert not branch.screener.partitions[number].witnessed
        assert await decide(branch, OTHER) == "refer"


async def test_a_first_load_of_a_list_leaves_the_witness_one(valkey: Server) -> None:
    async with removed_and_back(valkey, SX) as (parts, number, _):
        assert parts.screener.partitions[number].witnessed
        await load(parts, number, XGL, soon_ms())
        assert is_rewound(parts, number)
        assert parts.screener.partitions[number].witnessed
        assert XGL in parts.screener.partitions[number].covered


async def test_a_process_that_starts_meanwhile_clears_nobody(valkey: Server) -> None:
    async with (
        removed_and_back(valkey, SX) as (_, number, _),
        process(valkey, name="new") as new,
    ):
        await new.follower.poll()
        assert await decide(new, OTHER_OF[number]) == "refer"


async def test_a_filter_scanned_from_what_came_back_is_no_witness(
    valkey: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with process(valkey) as parts, process(valkey, name="new") as new:
        await parts.cover(SX)
        number = parts.token(LISTED)[1]
        with valkey.client() as link:
            link.delete(f"clearway:{{{number:02d}}}:image")
        restore = saved(valkey, number)
        lost = await parts.change(LISTED, Op.PUT, 10)
        known_to(new, lost.position)
        fields, scanned = Store.fields, list[None]()

        async def late(store: Store, partition: int, buckets: Sequence[int]) -> bytes:
            if partition == number and not scanned:
                restore()
                scanned.append(None)
            return await fields(store, partition, buckets)

        monkeypatch.setattr(Store, "fields", late)
        for _ in range(3):
            await new.follower.poll()
        assert scanned
        assert not new.screener.partitions[number].witnessed


async def test_the_time_of_what_was_lost_is_when_it_was_applied(valkey: Server) -> None:
    async with process(valkey) as parts:
        await parts.cover(SX)
        added = await parts.change(LISTED, Op.PUT, 10)
        await parts.follower.poll()
        known_to(parts, added.position)
        known = parts.screener.high_water[added.position.partition]
        assert known == HighWater(
            added.position, added.applied_at_ms, parts.screener.roster, bytes((SX,))
        )


async def test_what_an_older_version_found_has_no_witness_and_ends_with_a_newer_load(
    valkey: Server,
) -> None:
    async with process(valkey) as parts:
        await parts.cover(SX)
        number = parts.token(LISTED)[1]
        await parts.follower.poll()
        meta = f"clearway:{{{number:02d}}}:meta"
        with valkey.client() as link:
            history = link.hincrby(meta, "history", 1)
            link.hset(meta, mapping={"rewound": 1, "history": history, "seq": 0})
            link.hset(meta, "mark", bytes(4))
        await parts.follower.poll()
        assert not parts.screener.partitions[number].witnessed
        await load(parts, number, SX, 5)
        assert is_rewound(parts, number)
        await load(parts, number, SX, soon_ms())
        assert not is_rewound(parts, number)


async def test_a_superseded_put_over_what_no_log_told_is_told(valkey: Server) -> None:
    from tests.service.test_reviewed import merge_one

    async with process(valkey) as parts:
        await parts.cover(XGL)
        await parts.follower.poll()
        parts.screener.required = frozenset({XGL})
        await merge_one(parts, 100)  # a first load of sx that was killed before its end
        applied = await parts.change(LISTED, Op.PUT, 4, Content("e", case="x"))
        await parts.follower.poll()
        assert applied.state.name == "ACTIVE"
        assert await decide(parts, LISTED) == "deny"


@pytest.mark.parametrize(
    ("op", "revision"),
    [(Op.RESUME, 15), (Op.SUSPEND, 15), (Op.REMOVE, 15), (Op.PUT, 12), (Op.SUSPEND, 5)],
)
async def test_a_lost_edit_that_nobody_could_see_is_missed_too(
    valkey: Server, op: Op, revision: int
) -> None:
    async with process(valkey) as parts:
        await parts.cover(SX)
        await parts.change(LISTED, Op.PUT, 10)
        await parts.change(LISTED, Op.REMOVE, 14)
        number = parts.token(LISTED)[1]
        restore = saved(valkey, number)
        edit = await parts.change(LISTED, op, revision, Content("case/1", case="x"))
        assert edit.state.name == "REMOVED"
        known_to(parts, edit.position)
        restore()
        await parts.follower.poll()
        assert is_rewound(parts, number)


async def test_a_lost_load_that_changed_nobody_is_missed_too(valkey: Server) -> None:
    async with process(valkey) as parts:
        await parts.cover(SX)
        number = parts.token(LISTED)[1]
        restore = saved(valkey, number)
        merging = SnapshotMerge(parts.store, Snapshot(bytes((SX,)), soon_ms(), "n", 30 * DAY_MS))
        (begun,) = await merging.begin([number])
        known_to(parts, await merging.finish(begun.position, TokenFilter().to_bytes()))
        restore()
        await parts.follower.poll()
        assert is_rewound(parts, number)


async def test_what_changed_nothing_is_not_told(valkey: Server) -> None:
    async with process(valkey) as parts:
        await parts.cover(SX)
        await parts.change(LISTED, Op.PUT, 10)
        removed = await parts.change(LISTED, Op.REMOVE, 14)
        again = await parts.change(LISTED, Op.REMOVE, 14)
        older = await parts.change(LISTED, Op.SUSPEND, 9)
        assert again.position == removed.position
        assert older.position.seq == removed.position.seq + 1
        assert (await parts.change(LISTED, Op.SUSPEND, 8)).position == older.position


def _others() -> dict[int, str]:
    """A number in each partition that nobody else has, by the partition."""
    tokeniser = Tokeniser(KEY)
    found: dict[int, str] = {}
    for n in range(1, 900):
        digits = f"11010518700102{n:03d}"
        number = digits + check_digit(digits)
        token = tokeniser.token(normalise(Document(type="resident_id", number=number)).number)
        found.setdefault(token[1], number)
    return found


OTHER_OF = _others()
