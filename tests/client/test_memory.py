"""What is remembered of a person, so that no answer goes back behind what was told."""

from __future__ import annotations

import pickle

import pytest

from clearway_client import Air, Answer, Change, Check, Document, Event
from clearway_client.core import Core
from clearway_client.memory import Memory
from clearway_client.terms import Terms
from tests.client.people import CLEAR, LISTED, SECRETS, removal
from tests.client.steps import Clock, Driven, ok

DENIED = Answer("deny", subject="s1", position="p1")
SPELLINGS = ["110105187912310024", "１１０１０５１８７９１２３１００２４", " 110105 18791231 0024"]


def stated(core: Core, document: Document, *own: str) -> list[str]:
    """The positions that the next check of this person states."""
    driven = Driven()
    driven.run(core.check(Check(document, Air(), at_least=own)), [ok(decision="allow")])
    told: list[str] = driven.bodies[0].get("at_least", [])
    return told


def test_a_check_is_as_new_as_the_last_denial_change_and_event() -> None:
    core = Core(Terms())
    denied = ok(decision="deny", subject="s1", position="p1")
    Driven().run(core.check(Check(LISTED, Air())), [denied])
    assert stated(core, LISTED) == ["p1"]
    changed = ok(results=[{"outcome": "applied", "position": "p2"}], position="p9")
    Driven().run(core.change([removal()], "durable"), [changed])
    assert stated(core, LISTED) == ["p1", "p2"]
    events = [{"position": "p3", "subject": "s1"}, {"position": "p4", "subject": "s2"}]
    Driven().run(core.page("p0", 10, 0), [ok(changes=events, position="p4")])
    assert stated(core, LISTED) == ["p1", "p2", "p3"]
    assert stated(core, LISTED, "own") == ["own", "p1", "p2", "p3"]
    assert stated(core, CLEAR) == []


def test_of_answers_that_overtake_one_another_none_is_forgotten() -> None:
    core = Core(Terms())
    replies = {name: ok(decision="deny", subject="s1", position=name) for name in ("old", "new")}
    slow, fast = (core.check(Check(LISTED, Air())) for _ in replies)
    next(slow)
    next(fast)
    for steps, name in ((fast, "new"), (slow, "old")):
        with pytest.raises(StopIteration):
            steps.send(replies[name])
    assert stated(core, LISTED) == ["old", "new"]


def test_of_each_kind_the_last_few_are_stated() -> None:
    memory = Memory(10)
    for number in range(6):
        memory.answered(LISTED, Answer("deny", subject="s", position=f"a{number}"))
        memory.changed(LISTED, f"c{number}")
        memory.told(Event(f"e{number}", "s"))
    memory.changed(LISTED, "c3")
    assert memory.at_least(LISTED, ()) == (
        "a5", "c3", "e5", "a4", "c5", "e4", "a3", "c4", "e3", "a2", "c2", "e2",
    )  # fmt: skip
    own = tuple(f"o{number}" for number in range(13))
    assert memory.at_least(LISTED, own) == (*own, "a5", "c3", "e5")


def test_each_position_is_forgotten_by_itself() -> None:
    clock = Clock()
    memory = Memory(10, clock)
    memory.answered(LISTED, DENIED)
    clock.now_s = 3_000
    memory.answered(LISTED, Answer("deny", subject="s1", position="p2"))
    clock.now_s = 4_000
    assert memory.at_least(LISTED, ()) == ("p2",)


def test_the_items_of_a_batch_are_remembered_each_by_itself() -> None:
    core = Core(Terms())
    results = [{"decision": "allow"}, {"decision": "deny", "subject": "s", "position": "p"}]
    asked = [Check(CLEAR, Air()), Check(LISTED, Air())]
    Driven().run(core.check_all(asked, None), [ok(results=results)])
    driven = Driven()
    driven.run(core.check_all(asked, None), [ok(results=results)])
    assert [each.get("at_least") for each in driven.bodies[0]["items"]] == [None, ["p"]]


@pytest.mark.parametrize("number", SPELLINGS)
def test_spellings_of_a_number_are_one_person(number: str) -> None:
    memory = Memory(10)
    memory.answered(LISTED, DENIED)
    assert memory.at_least(Document("resident_id", number), ()) == ("p1",)


def test_other_documents_with_the_same_number_are_others() -> None:
    memory = Memory(10)
    memory.answered(Document("passport", "A1", issuer="FRA"), DENIED)
    assert memory.at_least(Document("passport", "A1", issuer="RUS"), ()) == ()
    assert memory.at_least(Document("other", "A1", issuer="FRA", kind="police"), ()) == ()


def test_no_number_is_held() -> None:
    memory = Memory(10)
    memory.answered(LISTED, DENIED)
    memory.changed(CLEAR, "p2")
    held = pickle.dumps([vars(each) for each in vars(memory).values() if hasattr(each, "put")])
    assert b"p1" in held
    assert not any(secret.encode() in held for secret in SECRETS)


def test_hashes_differ_from_client_to_client() -> None:
    assert Memory(1)._person(LISTED) != Memory(1)._person(LISTED)


def test_memory_is_bounded() -> None:
    memory = Memory(2)
    people = [Document("passport", f"A{number}", issuer="FRA") for number in range(3)]
    for number, each in enumerate(people):
        memory.answered(each, Answer("deny", subject=f"s{number}", position=f"p{number}"))
        memory.told(Event(f"e{number}", f"s{number}"))
        memory.changed(each, f"c{number}")
    assert [memory.at_least(each, ()) for each in people] == [
        (), ("p1", "c1", "e1"), ("p2", "c2", "e2"),
    ]  # fmt: skip
    assert {len(each._values) for each in vars(memory).values() if hasattr(each, "put")} == {2}


def test_nothing_is_remembered_where_nobody_is_to_be() -> None:
    memory = Memory(0)
    memory.answered(LISTED, DENIED)
    memory.changed(LISTED, "p2")
    assert memory.at_least(LISTED, ("own",)) == ("own",)


def test_a_position_is_forgotten_when_no_process_can_be_behind_it() -> None:
    clock = Clock()
    memory = Memory(10, clock)
    memory.answered(LISTED, DENIED)
    clock.now_s = 3_600
    assert memory.at_least(LISTED, ()) == ("p1",)
    clock.now_s = 3_601
    assert memory.at_least(LISTED, ()) == ()
    memory.told(Event("p5", "s1"))  # whoever was refused yesterday is still known
    assert memory.at_least(LISTED, ()) == ("p5",)


def test_no_more_positions_are_stated_than_the_service_takes() -> None:
    memory = Memory(10)
    memory.answered(LISTED, DENIED)
    own = tuple(f"o{number}" for number in range(20))
    assert memory.at_least(LISTED, own) == own[:16]
    assert memory.at_least(LISTED, "one") == ("one", "p1")


def test_a_change_of_several_documents_is_remembered_for_each() -> None:
    core = Core(Terms())
    change = Change("bind", documents=(CLEAR, LISTED), revision=5)
    done = ok(results=[{"outcome": "applied", "position": "p"}], position="p")
    Driven().run(core.change([change], "durable"), [done])
    assert stated(core, CLEAR) == stated(core, LISTED) == ["p"]
