"""What sellers, courts and operators ask of a running service, and what it answers to mistakes."""

from __future__ import annotations

import json
from itertools import cycle, pairwise
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx

from tests.privacy.course import PATIENCE_S
from tests.servers import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.privacy.course import Course
    from tests.privacy.people import Person

AIR = {"mode": "air"}
JOURNEYS = [
    AIR,
    {"mode": "rail", "train": "G101", "seat": "O"},
    {"mode": "ship", "cabin": "second"},
]
SINGLE = 60
LATEST = 1_700_000_000_000
REASONS = {"remove": "performed", "suspend": "dispute"}


class Visitor:
    """Somebody who asks; whatever is answered is kept, with its head."""

    def __init__(self, course: Course, key: str) -> None:
        self._course = course
        self._client = httpx.Client(base_url=course.url, timeout=60)
        self._client.headers["authorization"] = f"Bearer {key}"

    def close(self) -> None:
        self._client.close()

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:  # noqa: ANN401 -- httpx's
        answer = self._client.request(method, path, **more)
        head = "".join(f"{name}: {value}\n" for name, value in answer.headers.items())
        self._course.keep("answer", f"{answer.status_code}\n{head}\n".encode() + answer.content)
        return answer

    def post(self, path: str, body: Any) -> None:  # noqa: ANN401 -- JSON
        self.answered("POST", path, json=body)

    def answered(self, method: str, path: str, **more: Any) -> None:  # noqa: ANN401 -- httpx's
        """Ask until there is an answer: on a busy machine reads of a slow Redis are 503."""
        eventually(lambda: self.ask(method, path, **more).status_code == 200, PATIENCE_S)

    def everybody(self, people: Sequence[Person]) -> None:
        """Ask about all of them, a thousand at a time, with their own names."""
        for first in range(0, len(people), 1_000):
            some = people[first : first + 1_000]
            items = [
                {"document": each.document, "name": each.name, "journey": journey}
                for each, journey in zip(some, cycle(JOURNEYS), strict=False)
            ]
            self.post("/v1/check/batch", {"items": items})

    def some(self, people: Sequence[Person]) -> None:
        """Ask about some of them in every way that there is, as somebody else, too."""
        for person, other in pairwise(people[:SINGLE]):
            document = {"document": person.document}
            for name in (person.name, other.name):
                self.post("/v1/check", {**document, "name": name, "journey": AIR})
            self.post("/v1/standing", {**document, "name": person.name})
            self.post("/v1/entries/find", {**document, "name": person.name})
            self.post("/v1/entries/history", document)

    def look(self) -> None:
        """Read all that is told of the roster as a whole."""
        for path in ("/v1/roster", "/metrics", "/readyz", "/healthz", "/", "/schema/openapi.json"):
            self.answered("GET", path)
        self._pages("/v1/audit", "next")
        self._pages("/v1/changes", "position")

    def _pages(self, path: str, further: str) -> None:
        query: dict[str, Any] = {"limit": 1_000}
        while True:
            answer = self.ask("GET", path, params=query)
            if answer.status_code == 503:
                continue
            assert answer.status_code == 200, path
            told = answer.json()
            if not told.get("records") and not told.get("changes"):
                return
            if not told[further]:
                return
            query["after"] = told[further]

    def blunder(self, person: Person) -> None:
        """Ask in every wrong way, with the person's number and name where they do not belong."""
        number, name = person.number, person.name
        for text in (number, name):
            for path in (
                f"/v1/{quote(text)}",
                f"/v1/audit?entry={quote(text)}",
                f"/?{quote(text)}",
            ):
                self.ask("GET", path)
                self.ask("PUT", path)
            for path in ("/v1/check", "/v1/check/batch", "/v1/standing", "/v1/changes"):
                for body in _wrong(person, text):
                    self.ask("POST", path, content=body)
            self.ask("GET", "/v1/changes", params={"after": text, text: "1"})
        self.ask("GET", "/v1/roster", headers={"authorization": f"Bearer {number}"})
        self.ask("POST", "/v1/check", content=number.encode() * 300_000)


def _wrong(person: Person, text: str) -> Iterator[bytes]:
    """Bodies that are no requests, or odd ones.

    A name that is sent as a court's is one: nobody can tell it from others.
    """
    document = person.document
    yield text.encode()
    yield text.encode("gb18030")
    yield b'{"document": "' + text.encode("utf-16")
    yield json.dumps({text: text}).encode()
    for wrong in (
        {"document": document | {"type": text}, "journey": AIR},
        {"document": document | {"issuer": text}, "journey": AIR},
        {"document": document | {text: text}, "journey": AIR},
        {"document": {"type": "resident_id", "number": f"{text}!"}, "journey": {"mode": text}},
        {"document": document, "journey": {"mode": "rail", "train": text, "seat": text}},
        {"document": document, "journey": AIR, "at_least": text},
        {"document": document, "journey": AIR | {"departs_at": text}},
        {"document": document, "journey": AIR, "name": [text]},
        {"document": [document], "journey": AIR},
        {"items": [{"document": document, "journey": text}, text]},
        {"changes": [{"op": text, "list": text, "document": document}]},
        {"changes": [change(person, "put", entry={"name": text})]},
        {"changes": [change(person, "put", entry={"name": text * 20, "from": text})]},
        {"changes": [change(person, "remove", reason=text, revision=text)]},
    ):
        yield json.dumps(wrong, ensure_ascii=False).encode()


def change(person: Person, op: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 -- JSON
    """A change to an entry of the person's own."""
    told: dict[str, Any] = {
        "op": op,
        "list": "sx",
        "entry_id": "(2019)京0105执77号",
        "revision": LATEST,
        "document": person.document,
    }
    if op == "put":
        told["entry"] = {"name": person.name, "from": "2019-01-01"}
    return told | more


def life(people: Sequence[Person]) -> Iterator[dict[str, Any]]:
    """Every kind of change, one after the other, to each of these people."""
    for at, person in enumerate(people):
        for step, op in enumerate(("put", "suspend", "resume", "remove")):
            told = {"reason": REASONS[op]} if op in REASONS else {}
            yield change(person, op, revision=LATEST + at * 10 + step, **told)
        yield change(person, "put", entry_id="n", entry={"case": person.number})
