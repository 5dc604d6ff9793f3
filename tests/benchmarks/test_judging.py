from __future__ import annotations

import msgspec
import pytest

from benchmarks.questions.oracle import now
from benchmarks.questions.people import Paper
from benchmarks.users.journeys import A_STRANGER, Journey, Question, timetable
from benchmarks.users.judging import (
    Answer,
    BatchAnswer,
    Moments,
    Standing,
    fault,
    faults,
    standing_fault,
)
from benchmarks.users.travellers import Traveller

CARD = Paper("resident_id", "440524188001010014")
ROW = {
    "list": "sx",
    "entry_id": "(2018)京0105执1号/1",
    "document_type": "resident_id",
    "document_number": CARD.number,
    "document_issuer": "",
    "name": "张某某",
    "state": "",
    "from": "2018-03-01",
    "until": "",
}
SEAT = {"mode": "rail", "train": "K1", "seat": "3"}
AIR, SECOND = (
    Journey(b"", ({"mode": "air"},)),
    Journey(b"", (SEAT,)),
)
DEARER = {"mode": "rail", "train": "D1", "seat": "F"}
OFFER = Journey(b"", (DEARER | {"seat": "O"}, DEARER), several=True)
ENTRY = {"code": "listed", "list": "sx", "entry_id": ROW["entry_id"]}
ALWAYS = Moments(1.0, 2.0)
LISTED, UNLISTED = Traveller(CARD, "张某某", [ROW]), Traveller(CARD, "李某某")


def answer(decision: str = "deny", *reasons: dict[str, str], **more: object) -> Answer:
    return msgspec.convert({"decision": decision, "reasons": reasons, **more}, Answer)


@pytest.mark.parametrize(
    ("question", "said", "wrong"),
    [
        (Question(UNLISTED, AIR), answer("allow"), ""),
        (Question(UNLISTED, AIR), answer("deny", ENTRY), "false denial"),
        (Question(LISTED, AIR), answer("deny", ENTRY), ""),
        (Question(LISTED, AIR), answer("allow"), "false allow"),
        (Question(LISTED, SECOND), answer("allow", subject="s"), ""),
        (Question(LISTED, SECOND), answer("deny", ENTRY), "false denial"),
        (Question(LISTED, AIR, "张某某"), answer("deny", ENTRY, name_check="match"), ""),
        (
            Question(LISTED, AIR, "张某某"),
            answer("deny", ENTRY, name_check="mismatch"),
            "wrong: name_check mismatch",
        ),
        (
            Question(LISTED, AIR),
            answer("deny", {"code": "listed", "list": "xgl", "entry_id": "2"}),
            "wrong: denied for entries that do not forbid it",
        ),
        (
            Question(LISTED, AIR, A_STRANGER),
            answer("refer", {"code": "name_mismatch"}, name_check="mismatch"),
            "",
        ),
        (Question(LISTED, AIR, A_STRANGER), answer("deny", ENTRY), "false denial"),
        (Question(LISTED, AIR), answer("refer", {"code": "name_mismatch"}), "wrong: refer"),
        (Question(LISTED, AIR), answer("refer", {"code": "stale"}), "referred: stale"),
        (Question(UNLISTED, AIR), answer("refer"), "referred: without a reason"),
        (Question(UNLISTED, AIR), msgspec.convert({"error": {}}, Answer), "wrong: error"),
    ],
)  # fmt: skip
def test_an_answer_is_what_the_list_says_or_its_fault_is_named(
    question: Question, said: Answer, wrong: str
) -> None:
    assert fault(question, said, ALWAYS) == wrong


@pytest.mark.parametrize(
    ("seats", "wrong"),
    [
        ({"O": "allow", "F": "deny"}, ""),
        ({"O": "deny", "F": "deny"}, "wrong: other seats"),
        ({"F": "deny"}, "wrong: other seats"),
        (None, "wrong: other seats"),
    ],
)
def test_every_seat_of_an_offer_is_judged(seats: dict[str, str] | None, wrong: str) -> None:
    said = answer("deny", ENTRY, seats=seats)
    assert fault(Question(LISTED, OFFER), said, ALWAYS) == wrong


def test_a_batch_is_judged_by_item_reference_and_count() -> None:
    asked = [Question(UNLISTED, AIR, reference="1A"), Question(LISTED, AIR, reference="1B")]
    results = [answer("allow", reference="1A"), answer("deny", ENTRY, reference="1B")]
    counts = {"allow": 1, "deny": 1, "refer": 0, "error": 0}
    assert [*faults(asked, BatchAnswer(results, counts), ALWAYS)] == []
    swapped = [*faults(asked, BatchAnswer(results[::-1], counts), ALWAYS)]
    assert {"false denial", "false allow", "wrong: an answer has another reference"} == {*swapped}
    counted = [*faults(asked, BatchAnswer(results, counts | {"deny": 0}), ALWAYS)]
    assert counted == ["wrong: a batch counts its answers otherwise"]
    assert [*faults(asked, BatchAnswer(results[:1], counts), ALWAYS)] != []


def test_a_standing_is_restricted_by_an_entry_that_holds_alone() -> None:
    ended = Traveller(CARD, "张某某", [ROW | {"until": "2019-01-01"}])
    assert standing_fault(LISTED, Standing("restricted"), ALWAYS) == ""
    assert standing_fault(LISTED, Standing("clear"), ALWAYS) == "false allow"
    assert standing_fault(ended, Standing("restricted"), ALWAYS) == "false denial"
    assert standing_fault(UNLISTED, Standing("clear"), ALWAYS) == ""


def test_a_request_says_what_was_asked() -> None:
    question = Question(LISTED, timetable(now()).air, "张某某", "1A", "position")
    document = {"type": "resident_id", "number": CARD.number}
    more = {"name": "张某某", "reference": "1A", "at_least": "position"}
    said = {"document": document, "journey": {"mode": "air"}, **more}
    assert msgspec.json.decode(question.json()) == said
    assert msgspec.json.decode(question.json(shared=True)) == {"document": document, **more}


def test_what_is_sold_is_what_the_oracle_knows() -> None:
    sold = timetable(now())
    for journey in (sold.air, *sold.flights, *sold.seats, *sold.offers):
        assert fault(Question(UNLISTED, journey), answer("deny", ENTRY), ALWAYS) == "false denial"
        said = msgspec.json.decode(journey.json)
        seats = [said.pop("seat", None)] if not journey.several else said.pop("seat")
        assert [asked.get("seat") for asked in journey.asked] == seats
        assert all({**asked, "seat": ""} == said | {"seat": ""} for asked in journey.asked)
