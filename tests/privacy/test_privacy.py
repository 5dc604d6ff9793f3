"""After all that a roster goes through, no number and no name is left anywhere, in any form."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import httpx
import msgspec
import pytest

from roster import keys
from roster.documents.identity import Document, normalise
from roster.documents.tokeniser import Tokeniser
from tests.privacy.course import GUARDS, PATIENCE_S, SECOND, Course, as_lines, workers_of
from tests.privacy.needles import FORMS, WINDOW, Hit, Needles
from tests.privacy.people import LEAST_DIGITS, Invented, Person, invent, strangers
from tests.privacy.requests import AIR, Visitor, life
from tests.servers import Server, eventually
from tests.service.apps import ID_KEY

if TYPE_CHECKING:
    from collections.abc import Callable

FEW, MANY = 1_500, 100_000
SCOPES = "check,standing,feed,list:read,list:add,list:remove,list:lift,ops,audit"
PLAIN_RDB = {"rdbcompression": "no"}
"""What is packed nobody would find."""
CHANGED = 20


class Left(NamedTuple):
    """What is there after a course, and every text that was used on the way."""

    course: Course
    texts: list[str]


def gone_through(server: Server, folder: Path, count: int) -> Left:
    """The whole course of so many people."""
    course = Course(server, folder)
    made = course.inputs / "made.csv"
    entries = str(count * 4 // 3)
    course.run("generate", "--people", str(count), "--entries", entries, "--out", str(made))
    invented, others = invent(made, course.inputs), strangers(count // 10 + CHANGED)
    course.load_and_look(invented.today, invented.lists)
    key = course.run("keys", "create", "--name", "all", "--scopes", SCOPES).strip()
    course.env["CLEARWAY_API_KEY"] = key
    with course.serving() as process:
        eventually(lambda: ready(course), PATIENCE_S)
        visitor = Visitor(course, key)
        ask(visitor, invented.people, others)
        maintain(course, invented, others)
        visitor.some(invented.people[-CHANGED:])
        meet_damage(server, visitor, invented.people[0])
        for person in (invented.people[1], others[1]):
            visitor.blunder(person)
        visitor.look()
        course.look_at_processes()
        crash(course, workers_of(process)[0])
        visitor.everybody(invented.people[1_000:2_000])
        visitor.close()
    with server.client() as client:
        client.save()
    people = [*invented.people, *others]
    texts = [text for each in people for text in (each.number, normal(each), each.name)]
    return Left(course, sorted({text for text in (*texts, *invented.bad) if is_telling(text)}))


def ask(visitor: Visitor, people: list[Person], others: list[Person]) -> None:
    """Sellers ask about everybody, some of them in more ways."""
    visitor.everybody(people)
    visitor.everybody(others)
    visitor.some(people)
    visitor.some(others)


def maintain(course: Course, invented: Invented, others: list[Person]) -> None:
    """Courts change, load, compare and undo; the desk looks somebody up."""
    named = [part for name in invented.lists for part in ("--list", name)]
    tomorrow, changes = str(invented.tomorrow), course.inputs / "changes.jsonl"
    changes.write_text(as_lines(list(life(others[:CHANGED]))), encoding="utf-8")
    course.run("push", str(changes), statuses=(1,))
    dry = ["load", tomorrow, *named, "--as-of", SECOND, *GUARDS]
    course.run(*dry, "--dry-run", "--diff", str(course.seen / "diff.txt"))
    course.run(*dry)
    last = json.loads(course.run("loads", "--json"))["loads"][0]
    course.run("verify", str(invented.today), *named, statuses=(1,))
    course.run("undo", str(last["load"]), "--diff", str(course.seen / "undone.txt"))
    course.watch(invented.tomorrow, invented.lists)
    person = invented.people[-1]
    desk = ["--type", person.type, "--number", "-"]
    desk += ["--issuer", person.issuer] if person.issuer else []
    course.run("find", *desk, text=f"{person.number}\n", statuses=(0, 1))
    course.run("check", *desk, "--mode", "air", text=f"{person.number}\n")
    course.run("audit", "--json", statuses=(0, 1))


def meet_damage(server: Server, visitor: Visitor, person: Person) -> None:
    """A check meets a record that the server cannot read, and says so in its own words."""
    document = msgspec.convert(person.document, Document)
    token = Tokeniser(bytes.fromhex(ID_KEY)).token(normalise(document).number)
    partition, bucket, _ = keys.place(token)
    body = {"document": person.document, "name": person.name, "journey": AIR}
    with server.client() as client:
        name = keys.bucket(partition, bucket)
        held = client.dump(name)
        client.delete(name)
        client.set(name, "no hash")
        visitor.ask("POST", "/v1/check", json=body)
        visitor.ask("POST", "/v1/entries/find", json={"document": person.document})
        client.delete(name)
        client.restore(name, 0, held)


def crash(course: Course, worker: int) -> None:
    """A worker dies as a fault in it would have it; another takes its place."""
    os.kill(worker, signal.SIGABRT)
    eventually(lambda: not Path(f"/proc/{worker}").exists() and ready(course), PATIENCE_S)


def ready(course: Course) -> bool:
    try:
        return httpx.get(f"{course.url}/readyz", timeout=2).status_code == 200
    except httpx.TransportError:
        return False


def normal(person: Person) -> str:
    """The one spelling, without what says of which type it is."""
    return normalise(msgspec.convert(person.document, Document)).number.rpartition(":")[2]


def is_telling(text: str) -> bool:
    """Whether a text is found nowhere by chance."""
    return len(text) >= LEAST_DIGITS or not text.isascii()


def found(left: Left) -> dict[str, set[tuple[str, int]]]:
    """Where there is anything: in which forms, and how many; never what."""
    needles, hits = Needles(left.texts), dict[str, set[Hit]]()
    for path in left.course.places():
        if got := needles.in_file(path):
            hits[path.name] = got
    return {
        name: {(form, sum(hit.form == form for hit in got)) for form in {hit.form for hit in got}}
        for name, got in hits.items()
    }


def course_of(make: Callable[..., Server], folder: Path, count: int) -> Left:
    return gone_through(make(PLAIN_RDB), folder, count)


@pytest.mark.timeout(600)
def test_no_number_and_no_name_is_left_anywhere(
    make_server: Callable[..., Server], tmp_path: Path
) -> None:
    left = course_of(make_server, tmp_path, FEW)
    assert found(left) == {}
    looked = {path.name for path in left.course.places()}
    assert {"dump.rdb", "server.log", "rejects.csv", "diff.txt", "undone.txt"} <= looked
    assert any(path.parent.name.startswith("load-") for path in left.course.places())
    assert any(name.endswith(".aof") for name in looked)
    plant(left)


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_no_number_and_no_name_of_100_000_people_is_left_anywhere(
    make_server: Callable[..., Server], tmp_path: Path
) -> None:
    left = course_of(make_server, tmp_path, MANY)
    size = sum(path.stat().st_size for path in left.course.places())
    assert found(left) == {}
    print(f"{len(left.texts):,} texts in {len(FORMS)} forms: in {size / 1e6:,.0f} MB nowhere")  # noqa: T201 -- shown with -s


def plant(left: Left) -> None:
    """The same search finds each of them that is put there, in whatever form, wherever."""
    needles = Needles(left.texts)
    largest = max(left.course.places(), key=lambda path: path.stat().st_size)
    data = bytearray(largest.read_bytes())
    longest = max(range(len(left.texts)), key=lambda text: len(left.texts[text]))
    chosen = {0: "number", len(left.texts) - 1: "name", longest: "name that is too long"}
    expected = {Hit(text, form) for text in chosen for form in FORMS}
    at = 0
    for text in chosen:
        for number, make in enumerate(FORMS.values()):
            form = make(left.texts[text])
            at += 1_000 + number  # at every remainder
            data[at : at + len(form)] = form
            at += len(form) // WINDOW * WINDOW
    assert needles.in_bytes(bytes(data)) >= expected
    assert {hit.text for hit in needles.in_bytes(bytes(data))} == set(chosen)
