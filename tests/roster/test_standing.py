from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from roster.records.entry import Content, Entry
from roster.rules.restrictions import Lists
from roster.rules.rules import decide
from roster.rules.standing import denied, standing
from roster.rules.verdict import Asked, Journey, Product, Question, Reason, Remaining, Standing
from tests.roster.people import (
    CODES,
    LISTS,
    NAMES,
    NOW_MS,
    TIMES,
    entry,
    lifts,
    restrictions,
    token,
)
from tests.roster.test_rules import EVERY_PRODUCT, products_hold

CONTACT = "执行法院 (the executing court); 12368 诉讼服务热线 (court service line)"
EVERY_SEAT = tuple("O8W1235J9PDM7EFAI46HGL0BCKQS")
EVERYTHING = (
    Product("air"),
    Product("rail", trains=("G", "D", "C", "*"), seats=EVERY_SEAT),
    Product("ship", cabins=("special", "first", "second", "third", "fourth", "fifth", "seat")),
)
SX = entry("sx", Content("a", case="c", court="法院", until_ms=NOW_MS + 10))


def stands(*entries: Entry, departs_at_ms: int | None = None, lists: Lists = LISTS) -> Standing:
    return standing(entries, Asked(NOW_MS, departs_at_ms), lists)


def test_a_person_on_no_list_is_clear_and_may_ride_everything() -> None:
    assert stands() == Standing("clear", (), EVERYTHING, (), ())


def test_a_defaulter_is_restricted_to_second_class_and_slow_trains() -> None:
    found = stands(SX)
    assert found.standing == "restricted"
    assert found.forbidden == (
        Product("air"),
        Product("rail", trains=("G",), seats=EVERY_SEAT),
        Product("rail", trains=("D", "C"), seats=tuple("9PDM7EFAI46HGL")),
        Product("rail", trains=("*",), seats=tuple("EFAI46HGL")),
        Product("ship", cabins=("special", "first", "second")),
    )
    assert found.permitted == (
        Product("rail", trains=("D", "C"), seats=("O", "8", "W")),
        Product("rail", trains=("*",), seats=("1", "2", "3")),
        Product("rail", trains=("D", "C"), seats=("1", "2", "3", "5", "J")),
        Product("rail", trains=("*",), seats=("O", "8", "W", "5", "J")),
        Product("ship", cabins=("third", "fourth", "fifth", "seat")),
    )
    assert [reason.code for reason in found.reasons] == ["listed"]
    assert found.remaining == (Remaining("sx", "a", "c", "法院", NOW_MS + 10, CONTACT),)


def test_a_list_of_rail_conduct_forbids_every_train_and_nothing_else() -> None:
    found = stands(entry("ndrc-rail-conduct", Content("a")))
    assert found.forbidden == (EVERYTHING[1],)
    assert found.permitted == (EVERYTHING[0], EVERYTHING[2])


def test_what_remains_are_all_entries_whose_end_is_to_come() -> None:
    entries = [
        entry("xgl", Content("later", from_ms=NOW_MS + 1)),
        SX,
        entry("sx", Content("over", until_ms=NOW_MS)),
        entry("sx", Content("gone"), "removed"),
        entry("sx", Content("disputed"), "suspended"),
        entry("bind", Content("bound")),
        entry("lift", Content("lift", until_ms=NOW_MS + 1)),
    ]
    found = stands(*entries)
    assert [each.entry_id for each in found.remaining] == ["a", "later"]


def test_an_entry_on_two_documents_remains_once() -> None:
    assert len(stands(SX, SX).remaining) == 1


def test_an_entry_that_bound_a_past_departure_still_remains_for_it() -> None:
    over = entry("sx", Content("over", until_ms=NOW_MS - 5))
    assert stands(over).standing == "clear"
    found = stands(over, departs_at_ms=NOW_MS - 10)
    assert (found.standing, len(found.remaining)) == ("restricted", 1)


def test_a_lift_for_air_only_leaves_a_person_restricted_and_gives_both_reasons() -> None:
    lift = entry("lift", Content("z", until_ms=NOW_MS + 1, modes=("air",)))
    found = stands(SX, lift)
    assert found.standing == "restricted"
    assert found.permitted[0] == Product("air")
    assert {reason.code for reason in found.reasons} == {"lifted", "listed"}


def test_a_whole_lift_makes_a_person_clear_until_it_ends() -> None:
    lift = entry("lift", Content("z", until_ms=NOW_MS + 1))
    found = stands(SX, lift)
    assert (found.standing, found.permitted) == ("clear", EVERYTHING)
    assert [reason.code for reason in found.reasons] == ["lifted"]
    assert [each.entry_id for each in found.remaining] == ["a"]


def test_a_mistaken_identity_leaves_nothing_to_wait_for() -> None:
    mistaken = Content("z", (token("李四"),), until_ms=NOW_MS + 1, kind="mistaken_identity")
    asked = Asked(NOW_MS, names=frozenset({token("李四")}))
    found = standing([SX, entry("lift", mistaken)], asked, LISTS)
    assert (found.standing, found.remaining) == ("clear", ())
    assert [reason.code for reason in found.reasons] == ["cleared"]


def test_another_name_and_a_disabled_list_refer() -> None:
    named = entry("sx", Content("a", (token("张三"),)))
    found = standing([named], Asked(NOW_MS, names=frozenset({token("李四")})), LISTS)
    assert (found.standing, found.forbidden) == ("refer", ())
    assert "name_mismatch" in {reason.code for reason in found.reasons}
    found = standing([named], Asked(NOW_MS, disabled=frozenset({1})), LISTS)
    assert (found.standing, found.forbidden) == ("refer", ())
    assert {reason.code for reason in found.reasons} == {"list_disabled"}


def test_an_impossible_and_unlisted_number_is_referred() -> None:
    found = standing([], Asked(NOW_MS, valid=False), LISTS)
    assert found == Standing("refer", reasons=(Reason("document_invalid"),))
    assert standing([SX], Asked(NOW_MS, valid=False), LISTS).standing == "restricted"


@given(
    st.lists(restrictions() | lifts(), max_size=5),
    st.builds(
        Asked,
        st.sampled_from(TIMES),
        st.none() | st.sampled_from(TIMES),
        st.none() | st.frozensets(st.sampled_from(NAMES), max_size=2),
        st.booleans(),
        st.frozensets(st.sampled_from([1, 2, 3, 4, 5]), max_size=1),
    ),
)
def test_standing_never_contradicts_a_check(entries: list[Entry], asked: Asked) -> None:
    found = standing(entries, asked, LISTS)
    given = set()
    for each in EVERY_PRODUCT:
        journey = Journey(each.mode, each.train, each.seats, each.cabin, asked.departs_at_ms)
        question = Question(journey, asked.now_ms, asked.names, asked.valid, asked.disabled)
        decision = decide(entries, question, LISTS).decision
        given.add(decision)
        assert products_hold(found.forbidden, journey) == (decision == "deny")
        assert products_hold(found.permitted, journey) == (decision == "allow")
    word = "restricted" if "deny" in given else "refer" if "refer" in given else "clear"
    assert found.standing == word
    if word == "restricted":
        assert found.remaining
    assert all(CODES[each.list] < 200 for each in found.remaining)


def test_denied_is_whoever_is_denied_anything_now() -> None:
    assert denied([SX], NOW_MS, LISTS)
    assert not denied([], NOW_MS, LISTS)
    assert not denied([SX], NOW_MS + 10, LISTS)
    assert not denied([entry("sx", Content("gone"), "removed")], NOW_MS, LISTS)
    assert not denied([entry("bind", Content("bound"))], NOW_MS, LISTS)
    unknown = msgspec.structs.replace(SX, list=199)
    assert not denied([unknown], NOW_MS, LISTS)


@given(entries=st.lists(restrictions() | lifts(), max_size=4))
def test_denied_is_whose_standing_is_restricted(entries: list[Entry]) -> None:
    assert denied(entries, NOW_MS, LISTS) == (stands(*entries).standing == "restricted")
