"""What the clients ask and make of the answers: the core, which does no I/O."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from clearway_client import Air, Check, Document, Problem, Rail, Refused
from clearway_client.core import Core
from clearway_client.errors import NoAnswer, Referred
from clearway_client.exchange import Asking, Reply
from clearway_client.terms import Terms
from tests.client.people import CLEAR, LISTED, put, removal
from tests.client.steps import LOST, UNSENT, Clock, Driven, ok, problem

FLIGHT = Air()
ASKED = Check(CLEAR, FLIGHT, reference="PNR-7")
SURE = Terms(check_s=0.0, change_s=60.0)
REFERRED = {"decision": "refer", "reasons": [{"code": "stale", "last_known": "clear"}]}
POSSIBLE = {"decision": "refer", "reasons": [{"code": "stale", "last_known": "possible"}]}
NAMED = {"decision": "refer", "reasons": [{"code": "name_mismatch"}]}
RESULT = {"outcome": "applied", "position": "p1"}
DONE = ok(results=[RESULT], position="p1")


def item(number: int) -> dict[str, object]:
    return {"decision": "allow", "reference": str(number)}


def test_a_manifest_is_split_and_its_order_kept() -> None:
    asked = [Check(CLEAR, reference=str(number)) for number in range(2_500)]
    replies = [
        ok(results=[item(number) for number in range(start, min(start + 1_000, 2_500))])
        for start in (0, 1_000, 2_000)
    ]
    driven = Driven()
    answers = driven.run(Core(SURE).check_all(asked, FLIGHT), replies)
    assert [each.reference for each in answers if not isinstance(each, Problem)] == [
        str(number) for number in range(2_500)
    ]
    assert [len(body["items"]) for body in driven.bodies] == [1_000, 1_000, 500]
    assert {str(body["journey"]) for body in driven.bodies} == {"{'mode': 'air'}"}


def test_a_batch_that_is_too_long_for_one_body_goes_in_halves() -> None:
    asked = [Check(CLEAR, FLIGHT, reference=str(number)) for number in range(3)]
    replies = [problem(413), ok(results=[item(0)]), ok(results=[item(1), item(2)])]
    answers = Driven().run(Core(SURE).check_all(asked, None), replies)
    assert [getattr(each, "reference", None) for each in answers] == ["0", "1", "2"]


def test_an_item_that_cannot_be_read_has_its_problem_in_its_place() -> None:
    told = {
        "type": "urn:clearway:problem:invalid",
        "title": "The request is invalid",
        "status": 400,
    }
    reply = ok(results=[{"error": told}, item(1)], fresh_as_of="2026-11-30T00:00:00Z", stale=True)
    wrong, right = Driven().run(Core(SURE).check_all([ASKED, ASKED], None), [reply])
    assert isinstance(wrong, Problem)
    assert (wrong.status, wrong.reference) == (400, "PNR-7")
    assert not isinstance(right, Problem)
    assert right.stale
    assert right.fresh_as_of is not None


def test_who_cannot_be_sent_has_a_problem_in_their_place_and_stops_nobody() -> None:
    unsent: list[Any] = [
        Check(Document("resident_id", None), reference="1"),  # type: ignore[arg-type]
        Check(Document("resident_id", 42), reference="2"),  # type: ignore[arg-type]
        Check(Document("passport", "X\ud800"), reference="3"),
        Check(CLEAR, name="\ud800", reference="4"),
        Check(CLEAR, Rail("G1", ("O", "\ud800")), reference="5"),
        Check(CLEAR, at_least=7, reference="6"),  # type: ignore[arg-type]
        {"document": CLEAR},
        None,
    ]
    asked = [each for wrong in unsent for each in (wrong, ASKED)]
    driven = Driven()
    replies = [ok(results=[item(index) for index in range(len(unsent))])]
    answers = driven.run(Core(SURE).check_all(asked, FLIGHT), replies)
    assert len(driven.bodies[0]["items"]) == len(unsent)
    assert [getattr(each, "reference", None) for each in answers[1::2]] == [
        str(index) for index in range(len(unsent))
    ]
    problems = [each for each in answers[::2] if isinstance(each, Problem)]
    assert [each.told for each in problems] == [
        f"The request is invalid; {told}"
        for told in (
            "document.number: must be text",
            "document.number: must be text",
            "document.number: holds half of a character: no JSON can",
            "name: holds half of a character: no JSON can",
            "journey.seat[1]: holds half of a character: no JSON can",
            "at_least: must be text or a tuple of texts",
            "must be Check",
            "must be Check",
        )
    ]
    assert [each.reference for each in problems] == [*"123456", None, None]
    assert {each.status for each in problems} == {400}


def test_a_manifest_of_nobody_who_can_be_sent_asks_nobody() -> None:
    (answer,) = Driven().run(Core(SURE).check_all([None], FLIGHT), [])  # type: ignore[list-item]
    assert isinstance(answer, Problem)


def test_which_values_there_are_is_the_services_to_say() -> None:
    asked = Check(Document("visa", "X1"), Air("soon"))  # type: ignore[arg-type]
    driven = Driven()
    with pytest.raises(Refused):
        driven.run(Core(SURE).check(asked), [problem(400)])
    assert driven.bodies[0]["document"]["type"] == "visa"


def test_a_refusal_tells_each_thing_once() -> None:
    told = {"type": "t", "title": "The request is invalid", "status": 400}
    blamed = [
        {"field": "document.issuer", "message": "required"},
        {"field": "", "message": "a field is given twice in one object"},
    ]
    detail = "document.issuer: required; a field is given twice in one object"
    problem = msgspec.convert(told | {"errors": blamed, "detail": detail}, Problem)
    assert problem.told == f"The request is invalid; {detail}"
    assert msgspec.structs.replace(problem, detail="").told == problem.told
    forbidden = Problem(title="The API key may not do this", detail="scope check is missing")
    assert forbidden.told == "The API key may not do this; scope check is missing"


def test_an_empty_manifest_asks_nobody() -> None:
    assert Driven().run(Core(SURE).check_all([], FLIGHT), []) == []


def test_what_was_answered_before_the_silence_is_not_lost() -> None:
    asked = [Check(CLEAR, FLIGHT)] * 1_001
    replies = [ok(results=[item(0)] * 1_000), LOST]
    with pytest.raises(NoAnswer) as caught:
        Driven().run(Core(SURE).check_all(asked, None), replies)
    assert len(caught.value.answered) == 1_000


def test_what_a_half_was_answered_before_the_silence_is_not_lost() -> None:
    asked = [Check(CLEAR, FLIGHT)] * 1_004
    replies = [ok(results=[item(0)] * 1_000), problem(413), ok(results=[item(1)] * 2), LOST]
    with pytest.raises(NoAnswer) as caught:
        Driven().run(Core(SURE).check_all(asked, None), replies)
    assert len(caught.value.answered) == 1_002


def test_a_manifest_has_one_deadline_however_many_parts_it_has() -> None:
    driven = Driven(Clock(a_try_s=0.5))
    core = Core(Terms(check_s=2.25), Asking(1.0, driven.clock, lambda: 0.0))
    thousand = ok(results=[item(0)] * 1_000)
    half = ok(results=[item(0)] * 500)
    replies = [thousand, problem(413), half, half, LOST]
    with pytest.raises(NoAnswer) as caught:
        driven.run(core.check_all([Check(CLEAR, FLIGHT)] * 4_000, None), replies)
    assert [request.timeout_s for request in driven.requests] == [1.0, 1.0, 1.0, 0.75, 0.25]
    assert len(caught.value.answered) == 2_000


@pytest.mark.parametrize(
    "reply",
    [ok(hello="world"), Reply(200, b"<html>"), ok(decision="perhaps"), Reply(200, b'"\xff"')],
)
def test_an_answer_that_is_none_of_clearways_is_no_allow(reply: Reply) -> None:
    with pytest.raises(Refused, match="not Clearway"):
        Driven().run(Core(SURE).check(ASKED), [reply])


@pytest.mark.parametrize("results", [[], [item(0), item(1)], [{"decision": "perhaps"}]])
def test_a_batch_that_does_not_fit_what_was_asked_is_no_allow(results: list[object]) -> None:
    with pytest.raises(Refused, match="not Clearway"):
        Driven().run(Core(SURE).check_all([ASKED], None), [ok(results=results)])


@pytest.mark.parametrize("on_refer", ["refer", "allow_if_clear"])
@pytest.mark.parametrize("told", [POSSIBLE, NAMED])
def test_a_referral_is_returned_as_it_is(on_refer: str, told: dict[str, object]) -> None:
    core = Core(Terms(on_refer=on_refer))  # type: ignore[arg-type]
    answer = Driven().run(core.check(ASKED), [ok(**told)])
    assert (answer.decision, answer.note) == ("refer", "")


def test_a_referral_can_be_raised() -> None:
    with pytest.raises(Referred, match="name_mismatch") as caught:
        Driven().run(Core(Terms(on_refer="raise")).check(ASKED), [ok(**NAMED)])
    assert caught.value.answer.codes == ("name_mismatch",)
    answers = Driven().run(
        Core(Terms(on_refer="raise")).check_all([ASKED], None), [ok(results=[NAMED])]
    )
    assert [getattr(each, "decision", None) for each in answers] == ["refer"]


@pytest.mark.parametrize(
    ("terms", "told"),
    [
        (Terms(on_refer="allow"), NAMED | {"seats": {"O": "refer", "9": "refer"}}),
        (Terms(on_refer="allow"), POSSIBLE),
        (Terms(on_refer="allow_if_clear"), REFERRED),
    ],
)
def test_what_the_callers_policy_allows_says_so(
    terms: Terms, told: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    answer = Driven().run(Core(terms).check(ASKED), [ok(**told)])
    assert answer.decision == "allow"
    assert "allowed by on_refer" in answer.note
    assert set(answer.seats.values()) <= {"allow"}
    assert "allowed by on_refer" in caplog.text


def test_a_filter_that_is_behind_clears_nobody_who_was_denied() -> None:
    core = Core(Terms(on_refer="allow_if_clear"))
    denied = {"decision": "deny", "reasons": [{"code": "listed"}], "subject": "s", "position": "p"}
    Driven().run(core.check(Check(LISTED, FLIGHT)), [ok(**denied)])
    again = Driven().run(core.check(Check(LISTED, FLIGHT)), [ok(**REFERRED)])
    assert (again.decision, again.note) == ("refer", "")
    listed, clear, told = Driven().run(
        core.check_all([Check(LISTED), Check(CLEAR), Check(CLEAR, at_least="own")], FLIGHT),
        [ok(results=[REFERRED] * 3)],
    )
    assert [getattr(each, "decision", None) for each in (listed, clear, told)] == [
        "refer", "allow", "refer",
    ]  # fmt: skip


@pytest.mark.parametrize("on_refer", ["refer", "raise", "allow_if_clear", "allow"])
def test_no_policy_allows_whom_the_service_denies(on_refer: str) -> None:
    core = Core(Terms(on_refer=on_refer, on_no_answer="allow"))  # type: ignore[arg-type]
    told = {"decision": "deny", "reasons": [{"code": "listed", "last_known": "clear"}]}
    assert Driven().run(core.check(ASKED), [ok(**told)]).decision == "deny"


def test_silence_is_what_the_caller_says() -> None:
    with pytest.raises(NoAnswer, match="broke off"):
        Driven().run(Core(Terms(check_s=0.0)).check(ASKED), [LOST])
    referred = Driven().run(Core(Terms(check_s=0.0, on_no_answer="refer")).check(ASKED), [LOST])
    assert (referred.decision, referred.codes) == ("refer", ("no_answer",))
    allowed = Driven().run(Core(Terms(check_s=0.0, on_no_answer="allow")).check(ASKED), [LOST])
    assert (allowed.decision, allowed.reference) == ("allow", "PNR-7")
    assert allowed.note == "the connection broke off, allowed by on_no_answer"
    many = Driven().run(
        Core(Terms(check_s=0.0, on_no_answer="refer")).check_all([ASKED] * 2, None), [LOST]
    )
    assert [getattr(each, "decision", None) for each in many] == ["refer", "refer"]


def test_a_refusal_is_no_silence() -> None:
    """A wrong key must never let everybody through."""
    core = Core(Terms(on_no_answer="allow", on_refer="allow"))
    with pytest.raises(Refused):
        Driven().run(core.check(ASKED), [problem(401)])


@pytest.mark.parametrize("reply", [LOST, UNSENT, problem(503), problem(429), problem(502)])
def test_changes_that_state_their_revisions_are_sent_again(reply: Reply) -> None:
    driven = Driven()
    done = driven.run(Core(SURE).change([put()], "durable"), [reply, DONE])
    assert done.results[0].outcome == "applied"
    assert driven.bodies[0] == driven.bodies[1]


@pytest.mark.parametrize("reply", [LOST, problem(503), problem(502)])
def test_a_change_that_may_have_been_made_is_not_made_twice(reply: Reply) -> None:
    driven = Driven()
    with pytest.raises(NoAnswer):
        driven.run(Core(SURE).change([removal(revision=None)], "durable"), [reply])
    assert len(driven.requests) == 1


@pytest.mark.parametrize("reply", [UNSENT, problem(429)])
def test_a_change_that_surely_was_not_made_is_sent_again(reply: Reply) -> None:
    driven = Driven()
    driven.run(Core(SURE).change([removal(revision=None)], "durable"), [reply, DONE])
    assert len(driven.requests) == 2


def test_changes_are_sent_again_with_the_revisions_that_the_service_gave_them() -> None:
    driven = Driven()
    changes = [removal(revision=None), removal(revision=None), removal(revision=7)]
    told = problem(503, revisions=[21, 0, 7])
    done = ok(results=[RESULT] * 3, position="p")
    driven.run(Core(SURE).change(changes, "all"), [told, LOST, done])
    assert [[each.get("revision") for each in body["changes"]] for body in driven.bodies] == [
        [None, None, 7],
        [21, None, 7],
        [21, None, 7],
    ]
    assert {body["wait"] for body in driven.bodies} == {"all"}


def test_the_revisions_of_changes_are_told_whatever_came_last() -> None:
    driven = Driven()
    core = Core(Terms(change_s=0.2), Asking(1.0, driven.clock, lambda: 0.0))
    with pytest.raises(NoAnswer, match="broke off") as caught:
        driven.run(
            core.change([removal(revision=None)], "all"),
            [problem(503, revisions=[21]), LOST, LOST],
        )
    assert caught.value.revisions == (21,)


@pytest.mark.parametrize("count", [0, 1_001])
def test_changes_are_acknowledged_together_or_not_at_all(count: int) -> None:
    with pytest.raises(ValueError, match="1 to 1000"):
        Driven().run(Core(SURE).change([put()] * count, "durable"), [])


def test_half_a_character_is_told_without_the_text() -> None:
    with pytest.raises(ValueError, match="half of a character") as caught:
        Driven().run(Core(SURE).check(Check(LISTED, FLIGHT, name="\ud800")), [])
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
