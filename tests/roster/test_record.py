from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roster.records.bounds import ENTRY_ID_MAX
from roster.records.content import (
    CASE_BYTES,
    court_id,
    pack_case,
    pack_content,
    unpack_case,
    unpack_content,
)
from roster.records.entry import Content, NameToken, Provenance, Registers
from roster.records.record import (
    Dictionaries,
    PackedEntry,
    pack_load,
    pack_provenance,
    pack_record,
    parse_record,
    split_record,
    unpack_provenance,
)

texts = st.text(max_size=40).filter(lambda text: text.isprintable())
cases = st.one_of(
    st.just(""),
    texts,
    st.sampled_from(
        [
            "(2018)京0105执1234号",
            "（2019）京03执446号",
            "(2011)西执字第00545号",
            "(2020)最高法执监1号",
        ]
    ),
)
numbers = st.one_of(st.integers(0, 10**21).map(str), st.sampled_from(["007", "１", "9" * 19]))
times = st.one_of(
    st.none(),
    st.integers(-(2**45), 2**45),
    st.integers(-(2**20), 2**25).map(lambda minutes: minutes * 60_000),
)
registers = st.tuples(*[st.integers(0, 2**47 - 1)] * 5)


@st.composite
def contents(draw: st.DrawFn) -> Content:
    case = draw(cases)
    suffix = draw(st.sampled_from(["/1", "/99", "/01", "/100", "/x", ""]))
    return Content(
        entry_id=draw(st.one_of(st.just(case + suffix), texts, numbers)),
        names=tuple(NameToken(n) for n in draw(st.lists(st.integers(0, 2**32 - 1), max_size=5))),
        from_ms=draw(times),
        until_ms=draw(times),
        case=case,
        court=draw(st.sampled_from(["", "北京市朝阳区人民法院", "C"])),
        modes=draw(st.sampled_from([(), ("air", "rail")])),
        lifts=draw(st.sampled_from([(), ("sx",)])),
        cases=draw(st.sampled_from([(), ("(2018)京0105执1234号",)])),
        kind=draw(st.sampled_from(["", "mistaken_identity"])),
        tokens=draw(st.sampled_from([(), (b"0123456789abcdef",)])),
    )


@given(contents(), st.booleans(), st.booleans())
def test_contents_survive_their_bytes(content: Content, interned: bool, packs_ids: bool) -> None:
    ids = {content.court: court_id(content.court)} if interned and content.court else {}
    packed = pack_content(content, ids, packs_ids=packs_ids)
    assert unpack_content(packed, {v: k for k, v in ids.items()}) == content


@pytest.mark.parametrize(
    ("entry_id", "size"), [("0", 2), ("712345678", 5), ("9" * 19, 9), ("1" * 20, 22), ("07", 4)]
)
def test_an_entry_id_that_is_a_number_is_packed_as_one(entry_id: str, size: int) -> None:
    packed = pack_content(Content(entry_id), {}, packs_ids=True)
    assert len(packed) == size + 2
    assert unpack_content(packed, {}).entry_id == entry_id


def test_a_text_as_long_as_may_be_is_not_taken_for_a_number() -> None:
    packed = pack_content(Content("\U00020000" * ENTRY_ID_MAX), {}, packs_ids=True)
    assert packed[1] < 0x80


@given(contents())
def test_equal_contents_are_equal_bytes(content: Content) -> None:
    again = Content(**{name: getattr(content, name) for name in content.__struct_fields__})
    assert pack_content(again, {}) == pack_content(content, {})


def test_an_unknown_court_is_a_key_error_with_its_id() -> None:
    packed = pack_content(Content("e", court="C"), {"C": court_id("C")})
    with pytest.raises(KeyError) as caught:
        unpack_content(packed, {})
    assert caught.value.args == (court_id("C"),)


def test_an_ordinary_entry_packs_small() -> None:
    content = Content(
        "(2018)京0105执1234号/1",
        names=(NameToken(1),),
        from_ms=1_519_833_600_000,
        until_ms=1_582_992_000_000,
        case="(2018)京0105执1234号",
        court="北京市朝阳区人民法院",
    )
    assert len(pack_content(content, {content.court: court_id(content.court)})) <= 30


@given(
    st.dictionaries(
        st.tuples(st.integers(1, 255), st.binary(min_size=6, max_size=6)),
        st.tuples(registers, st.binary(max_size=300), st.binary(max_size=255)),
        max_size=6,
    )
)
def test_records_survive_their_bytes(
    raw: dict[tuple[int, bytes], tuple[tuple[int, int, int, int, int], bytes, bytes]],
) -> None:
    packed = [
        PackedEntry(code, name, bytes(8), raised, content, provenance)
        for (code, name), (raised, content, provenance) in raw.items()
    ]
    assert split_record(pack_record(packed)) == sorted(packed)


def test_a_record_parses_into_entries_with_their_state() -> None:
    content = Content("e", court="C")
    provenance = Provenance("api", "court feed", "performed", 1, 2, 3)
    packed = PackedEntry(
        1,
        b"123456",
        b"12345678",
        (5, 7, 0, 0, 0),
        pack_content(content, {}),
        pack_provenance(provenance),
    )
    (entry,) = parse_record(pack_record([packed]), Dictionaries({}, {}))
    assert (entry.content, entry.provenance) == (content, provenance)
    assert entry.registers == Registers(listed_at=5, removed_at=7)


def test_a_loaded_entry_takes_its_provenance_from_the_load() -> None:
    load = Provenance("load", "sx.csv.gz", "", None, 10, 20)
    assert unpack_provenance(pack_load(7), {7: load}) == load
    row = pack_provenance(Provenance("load", "", "expired", 5), load=7)
    assert unpack_provenance(row, {7: load}) == Provenance(
        "load", "sx.csv.gz", "expired", 5, 10, 20
    )


@given(
    st.from_regex(
        r"[(（]20[0-2][0-9][)）][京沪粤][0-9]{0,4}(执|执恢|民初)[1-9][0-9]{0,6}号", fullmatch=True
    )
)
def test_a_case_number_is_packed_only_where_it_comes_back_exactly(case: str) -> None:
    packed = pack_case(case)
    if packed is None:
        assert (case[0] == "(") != (case[5] == ")")
    else:
        assert unpack_case(packed) == case
        assert len(packed) == CASE_BYTES
