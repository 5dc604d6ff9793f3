"""The decision table of decisions.csv, and the laws that every verdict obeys."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from itertools import product as combinations
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roster.records.entry import Content, Entry, NameToken
from roster.rules.rules import decide, warnings
from roster.rules.verdict import Journey, Product, Question, Reason, Verdict
from tests.roster.people import (
    CABINS,
    CODES,
    LISTS,
    NAMES,
    NOW_MS,
    SEATS,
    STATES,
    TIMES,
    TRAINS,
    beijing_ms,
    entry,
    lifts,
    restrictions,
    token,
)

SEVERITY = {"allow": 0, "refer": 1, "deny": 2}
TABLE = Path(__file__).with_name("decisions.csv")
LINES = TABLE.read_text(encoding="utf-8").splitlines()
COMMENTS = sum(line.startswith("#") for line in LINES)
ROWS = list(csv.DictReader(LINES[COMMENTS:]))


@dataclass
class Phrase:
    """One entry as the table writes it."""

    of: str
    state: str = "active"
    disabled: bool = False
    words: dict[str, str] = field(default_factory=dict)


def read_phrase(text: str) -> Phrase:
    of, *rest = text.split(" ")
    phrase = Phrase(of)
    while rest:
        word = rest.pop(0)
        if word in STATES:
            phrase.state = word
        elif word == "disabled":
            phrase.disabled = True
        elif word == "named":
            phrase.words[word], rest = " ".join(rest), []
        else:
            assert word in {"from", "until", "of", "for", "case"}, text
            phrase.words[word] = rest.pop(0)
    return phrase


def read_entry(phrase: Phrase, number: int) -> Entry:
    words = phrase.words
    lift = phrase.of in {"lift", "mistaken"}
    cases = tuple(filter(None, words.get("case", "").split(",")))
    content = Content(
        entry_id=f"entry {number}",
        names=tuple(token(name) for name in words.get("named", "").split("|") if name),
        from_ms=beijing_ms(words["from"]) if "from" in words else None,
        until_ms=beijing_ms(words["until"], end=True) if "until" in words else None,
        case="" if lift else "".join(cases),
        modes=tuple(filter(None, words.get("for", "").split(","))),
        lifts=tuple(filter(None, words.get("of", "").split(","))),
        cases=cases if lift else (),
        kind="mistaken_identity" if phrase.of == "mistaken" else "",
    )
    return entry("lift" if lift else phrase.of, content, phrase.state)


def read_phrases(text: str) -> list[Phrase]:
    return [read_phrase(each) for each in text.split(" + ") if each]


def journey_of(mode: str, train: str, place: str, departs_at_ms: int | None = None) -> Journey:
    if mode == "rail":
        return Journey("rail", train, (place,), departs_at_ms=departs_at_ms)
    if mode == "ship":
        return Journey("ship", cabin=place, departs_at_ms=departs_at_ms)
    assert mode == "air"
    return Journey("air", departs_at_ms=departs_at_ms)


def answer_to(row: dict[str, str]) -> Verdict:
    phrases = read_phrases(row["entries"])
    departs = beijing_ms(row["departs"]) if row["departs"] else None
    question = Question(
        journey=journey_of(row["mode"], row["train"], row["place"], departs),
        now_ms=NOW_MS,
        names=frozenset({token(row["name"])}) if row["name"] else None,
        valid={"ok": True, "impossible": False}[row["number"]],
        disabled=frozenset(CODES[phrase.of] for phrase in phrases if phrase.disabled),
    )
    known = phrases + read_phrases(row["lift"])
    entries = [read_entry(phrase, number) for number, phrase in enumerate(known)]
    return decide(entries, question, LISTS)


@pytest.mark.parametrize("row", ROWS, ids=[f"line {n}" for n, _ in enumerate(ROWS, COMMENTS + 2)])
def test_every_row_of_the_decision_table_is_decided_as_it_says(row: dict[str, str]) -> None:
    verdict = answer_to(row)
    assert (
        verdict.decision,
        " + ".join(dict.fromkeys(reason.code for reason in verdict.reasons)),
        sorted(reason.list for reason in verdict.reasons if reason.list),
    ) == (row["decision"], row["reason"], sorted(filter(None, row["of"].split(" + ")))), row


def test_the_decision_table_has_several_hundred_different_rows() -> None:
    asked = [tuple(row.values())[:8] for row in ROWS]
    assert len(set(asked)) == len(asked) > 500


# -- what a verdict carries ---------------------------------------------------------------

SX = entry(
    "sx", Content("a", (token("张三"),), from_ms=1, case="(2018)京0105执1234号", court="法院")
)
FOREVER_MS = 4_102_444_800_000


def ask(*entries: Entry, journey: Journey, names: frozenset[NameToken] | None = None) -> Verdict:
    return decide(entries, Question(journey, NOW_MS, names), LISTS)


def test_a_denial_says_which_entry_which_case_which_court_and_whom_to_ask() -> None:
    verdict = ask(SX, journey=Journey("rail", "G101", ("O",)))
    contact = "执行法院 (the executing court); 12368 诉讼服务热线 (court service line)"
    assert verdict.reasons == (
        Reason("listed", "sx", "a", "(2018)京0105执1234号", "法院", 1, None, contact),
    )


def test_a_denial_says_what_may_be_ridden_instead() -> None:
    assert ask(SX, journey=Journey("rail", "G101", ("O",))).allowed_instead == (
        Product("rail", trains=("D", "C"), seats=("O", "8", "W")),
        Product("rail", trains=("*",), seats=("1", "2", "3")),
        Product("rail", trains=("D", "C"), seats=("1", "2", "3", "5", "J")),
        Product("rail", trains=("*",), seats=("O", "8", "W", "5", "J")),
        Product("ship", cabins=("third", "fourth", "fifth", "seat")),
    )


def test_only_a_denial_says_what_may_be_ridden_instead() -> None:
    assert ask(SX, journey=Journey("rail", "D1", ("O",))).allowed_instead == ()
    assert ask(SX, journey=Journey("rail", "D1", ("Q",))).allowed_instead == ()


def test_a_lift_for_air_is_among_what_is_allowed_instead() -> None:
    lift = entry("lift", Content("z", until_ms=FOREVER_MS, modes=("air",)))
    verdict = ask(SX, lift, journey=Journey("ship", cabin="first"))
    assert verdict.decision == "deny"
    assert verdict.allowed_instead[0] == Product("air")


def test_the_strictest_seat_decides_and_each_has_its_own_decision() -> None:
    verdict = ask(SX, journey=Journey("rail", "D301", ("O", "Q", "M", "WZ")))
    assert verdict.decision == "deny"
    assert verdict.seats == {"O": "allow", "Q": "refer", "M": "deny", "WZ": "allow"}
    assert [reason.code for reason in verdict.reasons] == ["product_unknown", "listed"]
    verdict = ask(SX, journey=Journey("rail", "D301", ("O", "Q")))
    assert (verdict.decision, verdict.seats) == ("refer", {"O": "allow", "Q": "refer"})


def test_reasons_are_given_once_for_all_seats_and_documents() -> None:
    verdict = ask(SX, SX, journey=Journey("rail", "G1", ("O", "M", "9")))
    assert len(verdict.reasons) == 1


def test_flights_and_ships_have_no_seats() -> None:
    assert ask(SX, journey=Journey("air")).seats is None
    assert ask(SX, journey=Journey("ship", cabin="seat")).seats is None


def test_a_lift_names_itself_as_the_reason_and_the_longest_one_is_told() -> None:
    short = entry("lift", Content("a short one", from_ms=1, until_ms=NOW_MS + 1, case="c"))
    long = entry("lift", Content("the long one", from_ms=2, until_ms=NOW_MS + 2, court="法院"))
    verdict = ask(SX, long, short, journey=Journey("air"))
    contact = "执行法院 (the executing court); 12368 诉讼服务热线 (court service line)"
    assert verdict.reasons == (
        Reason("lifted", "lift", "the long one", "", "法院", 2, NOW_MS + 2, contact),
    )


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (None, None),
        (("张三",), "match"),
        (("李四",), "mismatch"),
        (("LI SI",), "not_compared"),
        ((), "not_compared"),
        (("李四", "张三"), "match"),
    ],
)
def test_a_name_is_reported_as_compared_only_if_one_was_sent(
    sent: tuple[str, ...] | None, expected: str | None
) -> None:
    names = None if sent is None else frozenset(map(token, sent))
    assert ask(SX, journey=Journey("air"), names=names).name_check == expected


def test_a_person_on_no_list_is_not_compared() -> None:
    assert ask(journey=Journey("air"), names=frozenset(NAMES)).name_check == "not_compared"


def test_one_matching_entry_makes_the_name_check_a_match() -> None:
    other = entry("xgl", Content("b", (token("李四"),)))
    names = frozenset({token("张三")})
    assert ask(other, SX, journey=Journey("air"), names=names).name_check == "match"


def test_what_is_sent_in_full_width_or_lower_case_is_the_same_product() -> None:
    assert ask(SX, journey=Journey("rail", "ｇ101", ("o",))).decision == "deny"
    assert ask(SX, journey=Journey("rail", "d301", ("Ｍ",))).decision == "deny"
    assert ask(SX, journey=Journey("rail", "d301", ("wz",))).decision == "allow"


def test_an_entry_of_a_list_that_the_file_does_not_know_is_referred() -> None:
    lost = Entry(77, b"\0" * 6, STATES["active"], Content("a"))
    verdict = ask(lost, journey=Journey("air"))
    assert (verdict.decision, verdict.reasons) == ("refer", (Reason("list_disabled", "#77", "a"),))


def test_reasons_come_in_the_order_of_lists_and_entries() -> None:
    entries = [entry("xgl", Content("b")), entry("sx", Content("z")), entry("sx", Content("y"))]
    verdict = ask(*entries, journey=Journey("air"))
    assert [reason.entry_id for reason in verdict.reasons] == ["y", "z", "b"]


# -- laws ---------------------------------------------------------------------------------

EVERY_PRODUCT = [
    Journey("air"),
    *(Journey("ship", cabin=cabin) for cabin in CABINS),
    *(
        Journey("rail", train, (seat,))
        for trains, seat in combinations(TRAINS.values(), SEATS)
        for train in trains
    ),
]
journeys = st.builds(
    lambda journey, departs: Journey(
        journey.mode, journey.train, journey.seats, journey.cabin, departs
    ),
    st.sampled_from([*EVERY_PRODUCT, Journey("rail", "X1", ("O",)), Journey("rail", "G1", ("X",))]),
    st.none() | st.sampled_from(TIMES),
)
questions = st.builds(
    Question,
    journeys,
    now_ms=st.sampled_from(TIMES),
    names=st.none() | st.frozensets(st.sampled_from(NAMES), max_size=2),
    disabled=st.frozensets(st.sampled_from([1, 2, 3, 4, 5]), max_size=1),
)
people = st.lists(restrictions() | lifts(), max_size=5)


@given(people, restrictions(), questions)
def test_a_further_entry_never_makes_a_verdict_milder(
    entries: list[Entry], further: Entry, question: Question
) -> None:
    before = decide(entries, question, LISTS).decision
    after = decide([*entries, further], question, LISTS).decision
    assert SEVERITY[after] >= SEVERITY[before]


@given(people, lifts(), questions)
def test_a_further_lift_never_makes_a_verdict_harsher(
    entries: list[Entry], further: Entry, question: Question
) -> None:
    before = decide(entries, question, LISTS).decision
    after = decide([*entries, further], question, LISTS).decision
    assert SEVERITY[after] <= SEVERITY[before]


@given(people, questions, st.randoms(use_true_random=False))
def test_the_order_of_entries_changes_no_verdict(
    entries: list[Entry], question: Question, random: Random
) -> None:
    shuffled = list(entries)
    random.shuffle(shuffled)
    assert decide(shuffled, question, LISTS).decision == decide(entries, question, LISTS).decision


@given(people, questions)
def test_a_decision_has_only_reasons_of_its_own_kind(
    entries: list[Entry], question: Question
) -> None:
    verdict = decide(entries, question, LISTS)
    codes = {reason.code for reason in verdict.reasons}
    assert (
        codes
        <= {
            "deny": {"listed"},
            "refer": {"name_mismatch", "product_unknown", "list_disabled"},
            "allow": {"lifted", "cleared"},
        }[verdict.decision]
    )
    assert codes or verdict.decision == "allow"


@given(people, questions)
def test_nobody_is_denied_because_of_a_name_that_differs_from_every_entry(
    entries: list[Entry], question: Question
) -> None:
    mismatching = [
        each
        for each in entries
        if any(name >> 30 == 0 for name in each.content.names) or each.list == CODES["lift"]
    ]
    stranger = Question(question.journey, question.now_ms, frozenset({token("王五")}))
    assert decide(mismatching, stranger, LISTS).decision != "deny"


@given(people, questions, st.sampled_from([1, 2, 3, 4, 5]))
def test_disabling_a_list_never_denies_more(
    entries: list[Entry], question: Question, code: int
) -> None:
    disabled = Question(
        question.journey, question.now_ms, question.names, disabled=frozenset({code})
    )
    enabled = Question(question.journey, question.now_ms, question.names)
    before, after = (decide(entries, each, LISTS).decision for each in (enabled, disabled))
    assert after == before or (before, after) == ("deny", "refer")


def products_hold(products: tuple[Product, ...], journey: Journey) -> bool:
    """Whether one of the products is this journey, as a client would read it."""
    letter = (journey.train or "")[:1]
    name = letter if letter in "GDC" else "*"
    return any(
        product.mode == journey.mode
        and (product.trains is None or name in product.trains)
        and (product.seats is None or journey.seats[0] in product.seats)
        and (product.cabins is None or journey.cabin in product.cabins)
        for product in products
    )


@given(people, questions)
def test_what_is_allowed_instead_is_exactly_what_a_check_allows(
    entries: list[Entry], question: Question
) -> None:
    verdict = decide(entries, question, LISTS)
    if verdict.decision != "deny":
        assert verdict.allowed_instead == ()
        return
    for journey in EVERY_PRODUCT:
        asked = Journey(
            journey.mode,
            journey.train,
            journey.seats,
            journey.cabin,
            question.journey.departs_at_ms,
        )
        check = Question(asked, question.now_ms, question.names, disabled=question.disabled)
        allowed = decide(entries, check, LISTS).decision == "allow"
        assert products_hold(verdict.allowed_instead, asked) == allowed


@pytest.mark.parametrize(
    ("journey", "told"),
    [
        (Journey("air"), ()),
        (Journey("rail", "G101", ("O", "9")), ()),
        (Journey("rail", "1461", ("1",)), ()),
        (Journey("rail", "G101", ("O", "X")), ("product_unknown",)),
        (Journey("rail", "Å101", ("O",)), ("product_unknown",)),
        (Journey("ship", cabin="third"), ()),
        (Journey("ship", cabin="hammock"), ("product_unknown",)),
    ],
)
def test_a_product_that_nobody_knows_is_warned_of(journey: Journey, told: tuple[str, ...]) -> None:
    assert warnings(journey, LISTS) == told
