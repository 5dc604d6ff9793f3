from __future__ import annotations

import json
import random
import unicodedata
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from stdnum.exceptions import ValidationError
from stdnum.iso7064 import mod_11_2

from roster.documents.alternatives import alternatives
from roster.documents.check_digits import check_digit, icao_check_digit, remainder
from roster.documents.identity import (
    KINDS,
    LONGEST_NUMBER,
    Document,
    DocumentType,
    is_a_cards_number,
    is_masked,
    missing_check_digit,
    normalise,
)
from roster.documents.issuers import CODES_OF_STATE, ISSUERS
from roster.documents.spelling import fold, trimmed
from roster.documents.tokeniser import Tokeniser
from roster.errors import InvalidInput
from roster.times import beijing_day

GOLDEN = json.loads(Path(__file__).with_name("golden_tokens.json").read_text(encoding="utf-8"))
KEY = bytes.fromhex(GOLDEN["key"])
TOKENISER = Tokeniser(KEY)
PERSON = "11010518491231008X"  # made up, born in 1849


def resident(number: str) -> Document:
    return Document("resident_id", number)


GOLDEN_IDS = [f"{n}-{row['canonical'][:1]}" for n, row in enumerate(GOLDEN["documents"])]


@pytest.mark.parametrize("row", GOLDEN["documents"], ids=GOLDEN_IDS)
def test_every_golden_spelling_keeps_its_number(row: dict[str, Any]) -> None:
    document = Document(row["type"], row["number"], row.get("issuer"), row.get("kind"))
    assert normalise(document) == (row["canonical"], row["valid"])


# Check digits.


def test_our_check_digit_is_that_of_stdnum() -> None:
    numbers = random.Random(1)
    for _ in range(20_000):
        digits = f"{numbers.randrange(10**17):017}"
        assert check_digit(digits) == mod_11_2.calc_check_digit(digits)


@given(st.text("0123456789", min_size=17, max_size=17), st.sampled_from("0123456789X"))
def test_our_remainder_is_that_of_stdnum(digits: str, last: str) -> None:
    assert remainder(digits + last) == mod_11_2.checksum(digits + last)


@given(st.text("0123456789Xx \u0663", min_size=0, max_size=20))
def test_what_is_no_number_of_18_has_no_remainder(text: str) -> None:
    assume(
        not (len(text) == 18 and set(text[:17]) <= set("0123456789") and text[17] in "0123456789X")
    )
    with pytest.raises(KeyError):
        remainder(text)


@pytest.mark.parametrize(
    ("text", "digit"),
    # The specimens of Doc 9303 part 4, appendix B: number, birth, expiry, optional data.
    [("L898902C3", "6"), ("740812", "2"), ("120415", "9"), ("ZE184226B", "1"), ("AB2134", "5")],
)
def test_icaos_own_examples_have_their_check_digits(text: str, digit: str) -> None:
    assert icao_check_digit(text) == digit


def test_the_printed_examples_of_the_standard_are_valid() -> None:
    assert normalise(resident("11010519491231002X")) == ("R:11010519491231002X", True)
    assert normalise(resident("440524188001010014")) == ("R:440524188001010014", True)


@pytest.mark.parametrize(
    ("born", "valid"),
    [
        ("18000101", True),
        ("17991231", False),
        ("18480229", True),
        ("18490229", False),
        ("18000229", False),
        ("18490431", False),
        ("18490430", True),
        ("18491301", False),
        ("18490001", False),
        ("18490100", False),
        ("18490132", False),
        ("18791231", True),
        ("18800101", False),
    ],
)
def test_a_number_needs_a_day_on_which_someone_alive_may_be_born(born: str, valid: bool) -> None:
    digits = f"110105{born}001"
    number = digits + mod_11_2.calc_check_digit(digits)
    assert normalise(resident(number), "18791231") == ("R:" + number, valid)
    assert normalise(resident(" " + number), "18791231") == ("R:" + number, valid)


@given(st.dates(date(1800, 1, 1), date(1879, 12, 31)))
def test_every_day_is_a_birth_until_the_latest(born: date) -> None:
    digits = f"110105{born:%Y%m%d}001"
    document = resident(digits + mod_11_2.calc_check_digit(digits))
    assert normalise(document, f"{born:%Y%m%d}").valid
    assert not normalise(document, f"{born - timedelta(days=1):%Y%m%d}").valid


def test_the_day_of_beijing_begins_at_16_00_utc() -> None:
    noon = 1_514_764_800_000  # 2018-01-01T00:00:00Z
    assert beijing_day(noon) == "20180101"
    assert beijing_day(noon - 8 * 3_600_000) == "20180101"
    assert beijing_day(noon - 8 * 3_600_000 - 1) == "20171231"


@given(st.text("0123456789", min_size=17, max_size=17), st.sampled_from("0123456789X"))
def test_a_wrong_check_digit_changes_validity_and_never_the_number(digits: str, last: str) -> None:
    normalised = normalise(resident(digits + last))
    assert normalised.number[2:] == digits + last
    try:
        mod_11_2.validate(digits + last)
    except ValidationError:
        assert not normalised.valid


# Spellings.

FEW = st.sampled_from
IGNORED = (
    " \t\n\u00a0\u2003\u3000\u1680\u2028\u00ad\u200b\u200c\u200d\u2060\ufeff\u202e\u180e\ufe0f"
    "-\u2010\u2011\u2013\u2014\u2015\u2212\ufe63\uff0d\u2e3a'\u2019\u2018\uff07"
)
LOOKS_LIKE_X = "XxＸｘ\u0425\u0445\u03a7\u03c7\u2169\u2179\u00d7\U0001d54f"


def full_width(text: str) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)


@st.composite
def spellings(draw: st.DrawFn, text: str) -> str:
    """Ways to write a number: width, case and invisible or separating characters anywhere."""
    spelled = ""
    for character in text:
        same = [character, character.lower(), full_width(character), full_width(character.lower())]
        spelled += draw(st.sampled_from(same))
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, len(spelled)))
        spelled = spelled[:at] + draw(st.sampled_from(IGNORED)) + spelled[at:]
    return spelled


@st.composite
def id_digits(draw: st.DrawFn, area: str = "[1-8][0-9]{5}") -> str:
    """17 digits of somebody born from 1800 to 1879."""
    born = draw(st.dates(date(1800, 1, 1), date(1879, 12, 31)))
    return (
        draw(st.from_regex(area, fullmatch=True)) + f"{born:%Y%m%d}{draw(st.integers(0, 999)):03}"
    )


def whole(digits: str) -> str:
    return digits + mod_11_2.calc_check_digit(digits)


@given(st.data())
def test_every_spelling_of_a_resident_id_meets_in_one_token(data: st.DataObject) -> None:
    number = whole(data.draw(id_digits()))
    spelled = data.draw(spellings(number))
    assert normalise(resident(spelled)) == ("R:" + number, True)


@pytest.mark.parametrize("x", list(LOOKS_LIKE_X), ids=ascii)
@pytest.mark.parametrize("around", IGNORED, ids=ascii)
def test_every_look_alike_of_the_last_x_is_an_x(x: str, around: str) -> None:
    spelled = around + PERSON[:17] + around + x + around
    assert normalise(resident(spelled)) == ("R:" + PERSON, True)


@pytest.mark.parametrize("at", range(17))
def test_a_look_alike_anywhere_else_is_left_as_spelled(at: int) -> None:
    spelled = PERSON[:at] + "\u0425" + PERSON[at + 1 :]
    assert normalise(resident(spelled)) == ("R:" + spelled, False)


def test_a_look_alike_in_a_passport_is_left_as_spelled() -> None:
    cyrillic = normalise(Document("passport", "1234567\u0425", "RUS"))
    latin = normalise(Document("passport", "1234567X", "RUS"))
    assert cyrillic.number != latin.number
    assert (cyrillic.valid, latin.valid) == (False, True)


@given(st.data())
def test_15_digits_of_a_centenarian_are_the_18_of_the_nineteenth_century(
    data: st.DataObject,
) -> None:
    digits = data.draw(id_digits())
    digits = digits[:14] + data.draw(st.sampled_from(["996", "997", "998", "999"]))
    short = digits[:6] + digits[8:]
    spelled = data.draw(spellings(short))
    assert normalise(resident(spelled)) == ("R:" + whole(digits), True)


# Months from 13 on, so that nobody has these numbers.
@given(st.from_regex(r"[1-8][0-9]{7}(1[3-9]|[2-9][0-9])[0-9]{2}[0-8][0-9]{2}", fullmatch=True))
def test_15_digits_are_the_18_of_the_twentieth_century(short: str) -> None:
    long = whole(short[:6] + "19" + short[6:])
    assert normalise(resident(short)) == ("R:" + long, False)
    assert normalise(resident(long)) == ("R:" + long, False)


def test_the_first_sequence_of_the_centenarians_is_996() -> None:
    assert normalise(resident("110105491331995")).number.startswith("R:11010519491331995")
    assert normalise(resident("110105491331996")).number.startswith("R:11010518491331996")


def test_15_digits_never_become_a_foreigners_card() -> None:
    assert normalise(resident("911250491231001")) == ("R:911250491231001", False)


@given(st.data())
def test_the_card_of_2023_is_one_document_under_both_types(data: st.DataObject) -> None:
    number = whole(data.draw(id_digits("9[0-9]{5}")))
    one = normalise(Document("resident_id", data.draw(spellings(number))))
    two = normalise(Document("permanent_resident_id", data.draw(spellings(number))))
    assert one == two == ("P:" + number, True)


@pytest.mark.parametrize(
    ("number", "valid"),
    [
        ("FRA310049123117", True),
        ("FRA310049123118", False),
        ("FRA310049133111", False),  # a thirteenth month, with its check digit
        ("FRA3100480229" + "1" + icao_check_digit("FRA31004802291"), True),
        ("FRA3100490229" + "1" + icao_check_digit("FRA31004902291"), False),
        ("FR1310049123117", False),
        ("FRA31004912311", False),
    ],
)
def test_the_card_of_2017_needs_its_shape_birth_and_check_digit(number: str, valid: bool) -> None:
    assert normalise(Document("permanent_resident_id", number)) == ("P:" + number, valid)


@given(st.from_regex(r"[HM][0-9]{8}", fullmatch=True), st.from_regex("([0-9]{2})?", fullmatch=True))
def test_re_issues_of_a_home_return_permit_are_one_document(number: str, counter: str) -> None:
    assert normalise(Document("hk_macao_permit", number + counter)) == ("H:" + number, True)


@given(
    st.from_regex(r"[0-9]{8}", fullmatch=True),
    st.from_regex(r"([0-9]{2})?([A-Z]|\([A-Z]\)|（[a-z]）)?", fullmatch=True),
)
def test_re_issues_of_a_taiwan_permit_are_one_document(number: str, rest: str) -> None:
    assert normalise(Document("taiwan_permit", number + rest)) == ("T:" + number, True)


@pytest.mark.parametrize(
    ("kind", "number", "valid"),
    [
        ("hk_macao_permit", "H1234567", False),
        ("hk_macao_permit", "H123456789", False),
        ("hk_macao_permit", "H123456789012", False),
        ("hk_macao_permit", "X12345678", False),
        ("hk_macao_permit", "123456789", False),
        ("taiwan_permit", "1234567", False),
        ("taiwan_permit", "123456789", False),
        ("taiwan_permit", "1234567801BC", True),
        ("taiwan_permit", "12345678901", True),
        ("taiwan_permit", "1234567801(B", False),
        ("taiwan_permit", "1234567801()", False),
        ("taiwan_permit", "1" * 21, False),
    ],
)
def test_another_shape_of_a_permit_is_taken_as_spelled(
    kind: DocumentType, number: str, valid: bool
) -> None:
    assert normalise(Document(kind, number)) == (kind[0].upper() + ":" + number, valid)


@pytest.mark.parametrize(
    ("issuer", "number", "valid"),
    [
        ("CHN", "G12345678", True),
        ("CHN", "EA1234567", True),
        ("CHN", "141234567", True),
        ("CHN", "161234567", False),
        ("CHN", "EAB123456", False),
        ("CHN", "E123456789", False),
        ("CHN", "EO1234567", False),
        ("CHN", "EI1234567", False),
        ("CHN", "OE1234567", False),
        ("CHN", "I41234567", False),
        ("CHN", "O12345678", False),
        ("CHN", "GO1234567", False),
        ("CHN", "EJ1234567", True),
        ("CHN", "EP1234567", True),
        ("CHN", "DE1234567", True),
        ("CHN", "K12345678", True),
        ("GBR", "123456789", True),
        ("GBR", "1" * 20, True),
        ("GBR", "1" * 21, False),
        ("GBR", "12/34", False),
        ("GBR", "12*34", False),
        ("GBR", "٣٤٥", False),
    ],
)
def test_a_passport_is_as_spelled_with_its_issuer(issuer: str, number: str, valid: bool) -> None:
    assert normalise(Document("passport", number, issuer)) == (f"W:{issuer}:{number}", valid)


@pytest.mark.parametrize("issuer", ["D", "d<<", "DEU", " deu", "ＤＥＵ"])
def test_a_german_passport_is_one_document_under_both_codes(issuer: str) -> None:
    assert normalise(Document("passport", "C01X00T47", issuer)).number == "W:DEU:C01X00T47"


@pytest.mark.parametrize("letter", "IO")
@pytest.mark.parametrize("issuer", ["CHN", "HKG", "mac"])
def test_a_letter_that_the_document_excludes_makes_it_invalid_under_every_code(
    letter: str, issuer: str
) -> None:
    for number in (f"E{letter}1234567", f"e{letter.lower()}1234567", f"{letter}12345678"):
        assert not normalise(Document("passport", number, issuer)).valid
        assert not normalise(Document("passport", full_width(number), issuer)).valid


FAMILIES = {
    "CHN": ["CHN", "HKG", "MAC", "hkg ", "ＭＡＣ"],
    "GBR": ["GBR", "GBN", "GBD", "GBO", "GBP", "GBS", "BMU", "GIB", "JEY", "IMN", "GGY", "CYM"],
    "DEU": ["DEU", "D", "d<<"],
    "USA": ["USA", "PRI", "GUM"],
    "FRA": ["FRA", "REU", "NCL"],
    "NLD": ["NLD", "CUW"],
    "DNK": ["DNK", "GRL"],
}


def numbers_of(document: Document) -> set[str]:
    """All numbers that a document may be stored under."""
    number = normalise(document).number
    return {number, *alternatives(document, number)}


@pytest.mark.parametrize("state", FAMILIES)
def test_the_documents_of_one_state_are_looked_for_under_all_its_codes(state: str) -> None:
    for kind in (None, "seaman", "travel_document"):
        documents = [
            Document("other" if kind else "passport", "K12345678", code, kind)
            for code in FAMILIES[state]
        ]
        stored = {normalise(document).number for document in documents}
        for document in documents:
            assert stored <= numbers_of(document)
            assert len(numbers_of(document)) == 1 + len(
                alternatives(document, normalise(document).number)
            )


def test_a_number_with_filler_is_looked_for_as_it_was_stored_before() -> None:
    document = Document("passport", "k9876543＜", "IND")
    assert numbers_of(document) == {"W:IND:K9876543", "W:IND:K9876543<"}
    kept = Document("other", "K9876543<", "D", "seaman")
    assert numbers_of(kept) == {"O:DEU:seaman:K9876543", "O:DEU:seaman:K9876543<"}


@pytest.mark.parametrize("kind", ["resident_id", "hk_macao_permit", "taiwan_permit"])
def test_ordinary_documents_have_one_number_only(kind: DocumentType) -> None:
    assert len(numbers_of(Document(kind, PERSON))) == 1


APART = ["CHN", "TWN", "GBR", "IRL", "DEU", "AUT", "XXA", "XXB", "XXC", "XXX", "UNO", "UNA", "UNK",
         "RKS", "SRB", "EUE", "XOM", "VAT", "ITA", "PSE", "PRK", "KOR", "ESH", "XPO"]  # fmt: skip


def test_documents_of_different_issuers_stay_apart() -> None:
    numbers = [numbers_of(Document("passport", "123456789", code)) for code in APART]
    assert sum(map(len, numbers)) == len(set().union(*numbers))


def test_every_code_of_a_state_is_one_that_bookings_may_send() -> None:
    codes = [code for family in CODES_OF_STATE.values() for code in family]
    assert len(codes) == len(set(codes))
    assert set(codes) <= ISSUERS
    assert all(family[0] == state for state, family in CODES_OF_STATE.items())


@pytest.mark.parametrize(
    ("spelled", "number"),
    [
        ("K9876543<", "K9876543"),
        ("<K9876543<<", "K9876543"),
        ("K98765432<<", "K98765432"),
        ("k9876543＜", "K9876543"),
        ("K9876543 <", "K9876543"),
        ("K9876543<" + icao_check_digit("K9876543"), "K9876543"),
        ("K9876543<" + icao_check_digit("K9876543") + "<<", "K9876543"),
        ("AB<123456", "AB123456"),  # printed AB-123456 or AB 123456
        ("AB-123456", "AB123456"),
        # A number of 11 places, as the zone of three lines has it (ICAO 9303 part 5).
        ("D23145890<73" + "4" + icao_check_digit("D23145890734"), "D23145890734"),
        ("D23145890<73" + icao_check_digit("D2314589073") + "<<", "D2314589073"),
    ],
)
def test_filler_of_a_machine_readable_zone_is_no_part_of_a_number(
    spelled: str, number: str
) -> None:
    assert normalise(Document("passport", spelled, "IND")) == (f"W:IND:{number}", True)
    kept = normalise(Document("other", spelled, "IND", "travel_document"))
    assert kept == (f"O:IND:travel_document:{number}", True)


@pytest.mark.parametrize("number", ["K9876543", "K987654", "AB1234567", "7", "12345678"])
def test_a_wrong_check_digit_behind_filler_makes_nobody_elses_number(number: str) -> None:
    for digit in set("0123456789") - {icao_check_digit(number)}:
        for spelled in (f"{number}<{digit}", f"{number}<<{digit}<", f" {number} < {digit}"):
            kept = f"{number}<{digit}"
            passport = normalise(Document("passport", spelled, "IND"))
            assert passport == (f"W:IND:{kept}", False)
            other = normalise(Document("other", spelled, "IND", "seaman"))
            assert other == (f"O:IND:seaman:{kept}", False)
            assert not normalise(Document("hk_macao_permit", spelled)).valid
            assert not normalise(Document("taiwan_permit", spelled)).valid


def test_filler_is_no_part_of_permits_and_cards_either() -> None:
    assert normalise(Document("hk_macao_permit", "H12345678<<")) == ("H:H12345678", True)
    assert normalise(Document("taiwan_permit", "12345678<")) == ("T:12345678", True)
    assert normalise(resident(PERSON + "<<<")) == ("R:" + PERSON, True)
    with pytest.raises(InvalidInput, match="empty"):
        normalise(Document("passport", "<<<", "IND"))


@given(st.text("0123456789ABCDEFGHKMNP", min_size=1, max_size=9), st.data())
def test_filler_and_check_digit_change_no_number(number: str, data: st.DataObject) -> None:
    padded = number.ljust(9, "<") + data.draw(FEW(["", "<", "<<<"]))
    assert normalise(Document("passport", padded, "IND")).number == f"W:IND:{number}"
    if len(number) < 9:
        checked = number.ljust(9, "<") + icao_check_digit(number)
        assert normalise(Document("passport", checked, "IND")).number == f"W:IND:{number}"


def test_issuers_are_iso_3166_and_icao_9303() -> None:
    icao = "D GBD GBN GBO GBP GBS XXA XXB XXC XXX XOM XPO XBA XIM XCC XCO XEC XCE XMP XES XDC XSP"
    assert {*icao.split(), "EUE", "UNO", "UNA", "UNK", "RKS"} <= ISSUERS
    assert {"CHN", "HKG", "MAC", "TWN", "DEU", "GBR", "USA", "PRK"} <= ISSUERS
    assert len(ISSUERS) == 249 + 27
    assert not {"UTO", "CN", "ZZZ", ""} & ISSUERS


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_other_documents_are_told_apart_by_issuer_kind_and_number(kind: str) -> None:
    number = normalise(Document("other", "军字第 00-12号", "chn", kind))
    assert number == (f"O:CHN:{kind}:军字第0012号", True)


# No two documents meet.

NUMBERS = {
    "hk_macao_permit": (FEW(["H12345678", "M12345678"]), FEW(["", "00", "01"])),
    "taiwan_permit": (FEW(["12345678", "12345679"]), FEW(["", "00", "01(B)", "01B"])),
    "permanent_resident_id": (FEW(["FRA310049123117", "DEU310049123117"]), FEW([""])),
    "passport": (FEW(["12345678", "H12345678", "FRA310049123117", PERSON, "1X"]), FEW([""])),
    "other": (FEW(["12345678", "H12345678", "MILITARY:1", PERSON]), FEW([""])),
}


@st.composite
def documents(draw: st.DrawFn) -> tuple[tuple[str, ...], Document]:
    """A document in some spelling, and what it really is."""
    kind: Any = draw(FEW([*NUMBERS, "resident_id"]))
    if kind == "resident_id":
        digits = draw(FEW(["1", "9"])) + "1010518491231" + draw(FEW(["001", "002", "996"]))
        is_foreign = digits[0] == "9"
        number = whole(digits)
        short = number[:6] + number[8:17]
        forms = [number, short] if number[14:17] == "996" and not is_foreign else [number]
        spelled = draw(spellings(draw(FEW(forms))))
        typed: Any = draw(FEW(["resident_id", "permanent_resident_id"])) if is_foreign else kind
        return ("id", number), Document(typed, spelled)
    lasting, counter = NUMBERS[kind]
    number = draw(lasting)
    spelled = draw(spellings(number + draw(counter)))
    if kind not in {"passport", "other"}:
        return (kind, number), Document(kind, spelled)
    issuer = draw(FEW(["D", "DEU", "CHN", "GBR", "GBD"]))
    state = "DEU" if issuer == "D" else issuer
    if kind == "passport":
        return (kind, state, number), Document(kind, spelled, issuer)
    sort = draw(FEW(sorted(KINDS)))
    return (kind, state, sort, number), Document(kind, spelled, issuer, sort)


@given(documents(), documents())
@example(
    (("passport", "CHN", "H12345678"), Document("passport", "H12345678", "CHN")),
    (("hk_macao_permit", "H12345678"), Document("hk_macao_permit", "H12345678")),
)
def test_two_spellings_meet_exactly_if_they_are_one_document(
    one: tuple[tuple[str, ...], Document], two: tuple[tuple[str, ...], Document]
) -> None:
    numbers = normalise(one[1]).number, normalise(two[1]).number
    assert (numbers[0] == numbers[1]) == (one[0] == two[0])
    tokens = TOKENISER.token(numbers[0]), TOKENISER.token(numbers[1])
    assert (tokens[0] == tokens[1]) == (one[0] == two[0])


ANY_TEXT = st.text(max_size=64) | st.text(
    PERSON + IGNORED + LOOKS_LIKE_X + "*HM()Ａ９", max_size=64
)


@given(ANY_TEXT)
@example("\u0345\u1fb3-\ufdfa")
def test_folding_is_idempotent(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@given(st.text(st.characters(max_codepoint=127), max_size=64))
def test_the_short_way_for_ascii_folds_like_the_long_one(text: str) -> None:
    dropped = set(map(chr, [*range(33), 127, ord("-"), ord("'")]))
    assert fold(text) == "".join(c.upper() for c in text if c not in dropped)
    assert fold(text + "\u200b") == fold(text)


@given(
    FEW(["resident_id", "permanent_resident_id", "hk_macao_permit", "taiwan_permit", "passport"]),
    ANY_TEXT,
)
def test_normalising_is_idempotent(kind: DocumentType, text: str) -> None:
    issuer = "GBR" if kind == "passport" else None
    assume(fold(text).strip("<"))
    once = normalise(Document(kind, text, issuer))
    spelled = once.number.split(":", 2 if kind == "passport" else 1)[-1]
    assume(len(spelled) <= 64)
    assert normalise(Document(kind, spelled, issuer)) == once


@given(ANY_TEXT, st.binary(max_size=20))
def test_whatever_is_sent_gets_a_token_or_a_refusal(text: str, junk: bytes) -> None:
    for spelled in (text[:64], junk.decode("utf-8", "surrogateescape")):
        if fold(spelled).strip("<"):
            assert len(TOKENISER.token(normalise(resident(spelled)).number)) == 16
        else:
            with pytest.raises(InvalidInput, match="empty"):
                normalise(resident(spelled))


@given(st.text(min_size=1, max_size=30))
def test_width_and_invisible_characters_make_no_difference(text: str) -> None:
    compatible = unicodedata.normalize("NFKC", text)
    assert fold(compatible) == fold(text)


# Masks and refusals.


@pytest.mark.parametrize(
    "number", ["1101051849****008X", "1101051849＊＊＊＊008X", "11010518491231008*"]
)
def test_a_masked_number_is_known_as_such_and_nobodys(number: str) -> None:
    normalised = normalise(resident(number))
    assert is_masked(number)
    assert is_masked(normalised.number)
    assert not normalised.valid
    assert not normalise(Document("other", number, "CHN", "military")).valid


def test_a_whole_number_is_not_masked() -> None:
    assert not is_masked(PERSON)


@pytest.mark.parametrize(
    ("document", "field"),
    [
        (Document("resident_id", ""), "document.number"),
        (Document("resident_id", " \u3000-\ufeff'"), "document.number"),
        (Document("resident_id", "1" * 65), "document.number"),
        (Document("resident_id", PERSON, "CHN"), "document.issuer"),
        (Document("resident_id", PERSON, None, "military"), "document.kind"),
        (Document("taiwan_permit", "12345678", "TWN"), "document.issuer"),
        (Document("passport", "E12345678"), "document.issuer"),
        (Document("passport", "E12345678", ""), "document.issuer"),
        (Document("passport", "E12345678", "CN"), "document.issuer"),
        (Document("passport", "E12345678", "UTO"), "document.issuer"),
        (Document("passport", "E12345678", "CHN", "other"), "document.kind"),
        (Document("other", "1", None, "military"), "document.issuer"),
        (Document("other", "1", "CHN"), "document.kind"),
        (Document("other", "1", "CHN", "passport"), "document.kind"),
        (Document("visa", "1"), "document.type"),  # type: ignore[arg-type]
    ],
)
def test_a_document_that_cannot_be_named_is_refused_by_field(
    document: Document, field: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        normalise(document)
    assert refused.value.field == field
    assert PERSON not in str(refused.value)
    assert "12345678" not in str(refused.value)


def test_64_characters_are_the_longest_number() -> None:
    assert normalise(resident("1" * 64)).number == "R:" + "1" * 64


def test_an_empty_issuer_is_no_issuer() -> None:
    assert normalise(Document("resident_id", PERSON, "", "")) == ("R:" + PERSON, True)


@pytest.mark.parametrize(
    "text",
    [
        '{"type": "visa", "number": "1"}',
        '{"type": "passport", "number": ""}',
        '{"type": "passport", "number": "1", "isuer": "CHN"}',
        '{"type": "passport", "number": 1}',
        '{"type": "passport"}',
    ],
)
def test_a_document_of_another_form_is_not_read(text: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(text, type=Document)


@pytest.mark.parametrize("around", ["", " \t", "\u3000", "\u200b\ufeff", "\u00a0\u3000 "])
@pytest.mark.parametrize("text", ["", "E 1", "张\u3000三"])
def test_a_text_is_trimmed_of_blanks_and_of_what_nobody_sees(text: str, around: str) -> None:
    assert trimmed(f"{around}{text}{around}") == text


@pytest.mark.parametrize(
    ("kind", "number", "digit"),
    [
        ("resident_id", "110105180001010010", None),
        ("resident_id", "110105180001010017", "0"),
        ("resident_id", "11010518000101001X", "0"),
        ("resident_id", "１１０１０５ 1800 0101 001-7", "0"),
        ("resident_id", "110105180013010017", None),
        ("resident_id", "110105300001010017", None),
        ("resident_id", "11010518000101001", None),
        ("permanent_resident_id", "911344180101014327", "1"),
        ("hk_macao_permit", "H1", None),
    ],
)
def test_a_number_with_one_wrong_digit_is_told_its_check_digit(
    kind: DocumentType, number: str, digit: str | None
) -> None:
    document = Document(kind, number)
    assert missing_check_digit(document, "20261130") == digit
    if digit is not None:
        right = "".join(c for c in fold(number) if c.isascii())[:17] + digit
        assert normalise(Document(kind, right)).valid


@pytest.mark.parametrize(
    ("document", "told"),
    [
        (Document("other", "110105187912310024", "CHN", "military"), True),
        (Document("other", " 110105-18791231-0024 ", "USA", "other"), True),
        (Document("passport", "１１０１０５１８７９１２３１００２４", "USA"), True),
        (Document("passport", "11010518010105001×", "USA"), True),
        (Document("taiwan_permit", "110105187912310024"), True),
        (Document("other", "110105187912310025", "CHN", "military"), False),
        (Document("other", "110105791231002   ", "CHN", "military"), False),
        (Document("other", "                  ", "CHN", "military"), False),
        (Document("other", "军" * 18, "CHN", "military"), False),
        (Document("other", "9" * (LONGEST_NUMBER + 1), "CHN", "military"), False),
        (Document("passport", "E12345678", "CHN"), False),
        (Document("resident_id", "110105187912310024"), False),
        (Document("permanent_resident_id", "110105187912310024"), False),
    ],
)
def test_a_cards_number_is_seen_under_another_type(document: Document, *, told: bool) -> None:
    assert is_a_cards_number(document) == told
