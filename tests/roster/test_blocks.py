"""Audit blocks: what was packed is read again, and nothing but what a process has sealed."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roster.records import audited, blocks
from roster.records.audited import AuditKind, EntriesRead, court_bytes, court_name, written
from roster.records.blocks import ORIGIN, Chain, claimed, kinds_of, read

KEY, PROCESS = bytes(range(32)), "00ff00ff00ff"
TOKEN = bytes((0, 7)) + bytes(14)
RECORDS: list[audited.AuditRecord] = [
    audited.Decided(
        bytes(17), "k", "air", True, (audited.Grounds("listed", "sx", "e/1", b"abcd"),), "p", TOKEN
    ),
    audited.EntryChanged("k", "put", "sx", "e/1", 2**41, "applied", "p", (TOKEN, TOKEN), "", None),
    EntriesRead("k", "find", TOKEN),
    audited.KeyMade("me@here", "created", "k", "airline", ("check",)),
    audited.ListSwitched("me@here", "disabled", "sx", "why"),
    audited.RewindAccepted("me@here", "why", 3, 64),
    audited.RosterRestored("me@here", 64),
    audited.FilesLoaded(
        "me@here", "load", "begun", 1, ("sx",), 5, (("f", b"h"),), {"sx": {"added": 1}}, None
    ),
    audited.DeniedLate(bytes(17), "k", "sx", "e/1", b"abcd", TOKEN, 1, 2, 3),
    audited.RecordsLost(5, 1, 2),
    audited.ChainClosed((1, 2)),
]


def sealed(count: int = 3) -> tuple[Chain, list[bytes]]:
    chain = Chain(PROCESS, KEY)
    record = written(1_000, EntriesRead("k", "find", TOKEN))
    return chain, [chain.seal(n % 2, [record], 2_000 + n) for n in range(count)]


def test_every_kind_of_record_is_read_as_it_was_written() -> None:
    chain = Chain(PROCESS, KEY)
    packed = [written(at, record) for at, record in enumerate(RECORDS)]
    assert {each.kind for each in packed} == set(AuditKind)
    data = chain.seal(7, packed, 1_000)
    block = read(data, KEY, 7)
    assert block.records() == list(enumerate(RECORDS))
    assert block.closes
    assert kinds_of(data) == block.kinds == sum(kind.bit for kind in AuditKind)
    assert (block.process, block.number, block.seq, block.size) == (PROCESS, 0, 0, len(RECORDS))


def test_each_block_names_the_one_before() -> None:
    chain, data = sealed()
    first, second, third = (read(each, KEY, n % 2) for n, each in enumerate(data))
    assert (first.before, second.before, third.before) == (ORIGIN, first.tag, second.tag)
    assert (third.before_partition, third.before_ms) == (1, 2_001)
    assert [each.seq for each in (first, second, third)] == [0, 0, 1]
    assert [each.number for each in (first, second, third)] == [0, 1, 2]
    assert (chain.head.blocks, chain.head.tag) == (3, third.tag.hex())
    assert chain.seqs[:3] == (2, 1, 0)
    assert not third.closes


def test_a_clock_that_steps_back_makes_no_block_older_than_the_last() -> None:
    chain, _ = sealed()
    assert read(chain.seal(0, [], 5), KEY, 0).at_ms == 2_002


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_no_byte_can_be_changed(at: int, by: int) -> None:
    _, (data,) = sealed(1)
    at %= len(data)
    changed = data[:at] + bytes((data[at] ^ by,)) + data[at + 1 :]
    with pytest.raises(ValueError, match="as it was sealed"):
        read(changed, KEY, 0)


@given(st.binary(max_size=200))
def test_what_is_no_block_is_told_as_none(data: bytes) -> None:
    with pytest.raises(ValueError, match="as it was sealed"):
        read(data, KEY, 0)
    assert kinds_of(data) >= 0
    assert claimed(data) is None or len(claimed(data) or ()) == 2


def test_neither_another_key_nor_another_partition_makes_a_block() -> None:
    _, (data,) = sealed(1)
    with pytest.raises(ValueError, match="as it was sealed"):
        read(data, bytes(32), 0)
    with pytest.raises(ValueError, match="another partition"):
        read(data, KEY, 1)
    assert claimed(data) == (PROCESS, 0)


def test_what_a_later_version_has_sealed_is_told_as_that(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as later_on:
        later_on.setattr(blocks, "VERSION", 2)
        _, (data,) = sealed(1)
    with pytest.raises(ValueError, match="block of another version"):
        read(data, KEY, 0)
    chain = Chain(PROCESS, KEY)
    later = audited.Written(0, AuditKind.READ, msgspec.msgpack.encode([99, "x"]))
    with pytest.raises(ValueError, match="record of another version"):
        read(chain.seal(0, [later], 1), KEY, 0).records()


def test_a_court_is_four_bytes_where_it_is_known_and_else_spelled_out() -> None:
    known = {"北京": b"abcd"}
    assert court_bytes("北京", known) == b"abcd"
    assert court_name(b"abcd", {b"abcd": "北京"}) == "北京"
    assert court_name(court_bytes("上海", known), {}) == "上海"
    assert court_bytes("", known) == b""
    assert court_name(b"", {}) == ""
    assert court_name(b"abcd", {}) == "61626364"
