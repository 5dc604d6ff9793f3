"""Clients of the soak: they change and check people, and write down what they were told."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Literal

from tests.faults.asked import Asked, document, name_of
from tests.faults.history import BIND, LIFT, LISTS, MS, Answered, Changed, History, Name
from tests.faults.world import Caller

if TYPE_CHECKING:
    from tests.faults.world import World

FAR = "2199-12-31T00:00:00Z"
GIVE_UP_S = 20.0
PAUSE_S = 0.03
BATCH = 20
_OPS: dict[str, tuple[Literal["put", "remove", "suspend", "resume"], ...]] = {
    "sx": ("put", "put", "put", "remove", "remove", "suspend", "resume"),
    "xgl": ("put", "remove", "suspend", "resume"),
    LIFT: ("put", "remove"),
    BIND: ("put", "remove"),
}


class Source:
    """Who publishes the lists: gives every edit a revision of its own, and writes whole files."""

    def __init__(self) -> None:
        self._last = 0
        self.edits: dict[Name, dict[str, int]] = {}

    def now_ms(self) -> int:
        """A revision that nothing has had."""
        self._last = max(self._last + 1, time.time_ns() // MS)
        return self._last

    def note(self, op: str, name: Name, revision: int) -> None:
        kinds = self.edits.setdefault(name, {})
        kinds[op] = max(kinds.get(op, 0), revision)

    def listed(self) -> tuple[tuple[Name, int], ...]:
        """What a whole file has now: entries with their revisions."""
        return tuple(
            (name, kinds["put"])
            for name, kinds in sorted(self.edits.items())
            if name[1] in LISTS and kinds.get("put", 0) > kinds.get("remove", 0)
        )


def rows(listed: tuple[tuple[Name, int], ...]) -> list[dict[str, object]]:
    """A file's rows."""
    return [
        {
            "list": name[1],
            "entry_id": name[2],
            "revision": revision,
            "name": name_of(name[0]),
            **{f"document_{key}": value for key, value in document(name[0]).items()},
        }
        for name, revision in listed
    ]


def shape(op: str, name: Name, revision: int) -> dict[str, Any]:
    """A change as it is sent."""
    number, of, entry_id = name
    change: dict[str, Any] = {"op": op, "list": of, "entry_id": entry_id, "revision": revision}
    if of == BIND:
        change["op"] = "bind" if op == "put" else "unbind"
        change["documents"] = [document(number), document(number ^ 1)]
        return change
    change["document"] = document(number)
    if op == "put":
        published = {"name": name_of(number), "case": f"({number})", "court": of}
        change["entry"] = {"until": FAR} if of == LIFT else published
    return change


class Clients:
    """Everybody who asks, with what they share: the history, the figures, the latest positions."""

    def __init__(self, world: World, people: int, seed: int) -> None:
        self.world = world
        self.people = people
        self.random = random.Random(seed)
        self.history = History()
        self.source = Source()
        self.figures: Counter[str] = Counter()
        self.positions: dict[int, str] = {}
        self.ended = asyncio.Event()

    async def change_for_ever(self) -> None:
        callers = self.callers()
        while not self.ended.is_set():
            await self.change(callers, *self._edit())
        _close(callers)

    async def check_for_ever(self) -> None:
        callers = self.callers()
        while not self.ended.is_set():
            caller = self.random.choice(callers)
            if not await self.check(caller, self.random.randrange(2 * self.people)):
                await asyncio.sleep(PAUSE_S)
        _close(callers)

    async def batch_for_ever(self) -> None:
        callers = self.callers()
        while not self.ended.is_set():
            await self.batch(self.random.choice(callers))
            await asyncio.sleep(PAUSE_S)
        _close(callers)

    async def find_for_ever(self) -> None:
        callers = self.callers()
        while not self.ended.is_set():
            await self.find(self.random.choice(callers), self.random.randrange(2 * self.people))
            await asyncio.sleep(PAUSE_S)
        _close(callers)

    def callers(self) -> list[Caller]:
        return [Caller(process.port, self.world.key) for process in self.world.processes]

    async def change(
        self, callers: list[Caller], op: Literal["put", "remove", "suspend", "resume"],
        name: Name, revision: int,
    ) -> bool:  # fmt: skip
        """Whether a change was acknowledged; it is sent again until it is, or is given up."""
        everywhere = self.random.random() < 0.3
        body = {"changes": [shape(op, name, revision)], "wait": "all" if everywhere else "durable"}
        began = time.monotonic_ns()
        while time.monotonic_ns() - began < GIVE_UP_S * 1e9 and not self.ended.is_set():
            answer = await self._sent(self.random.choice(callers), body)
            if answer is not None:
                self._changed(Changed(op, name, revision, began), answer)
                return True
            self.figures["changes sent again"] += 1
            await asyncio.sleep(PAUSE_S)
        self.figures["changes given up"] += 1
        self.history.add(Changed(op, name, revision, began))
        return False

    async def check(self, caller: Caller, number: int) -> bool:
        """Whether a check was answered with a decision."""
        asked = Asked(number)
        body = asked.body()
        at_least = self.positions.get(number // 2)
        if at_least and self.random.random() < 0.2:
            body["at_least"] = at_least
        began = time.monotonic_ns()
        try:
            status, answer = await caller.post("/v1/check", body)
        except (OSError, TimeoutError):
            self.figures["checks broken off"] += 1
            return False
        if status != 200:
            # Only a process that has just been started may say so, and that it is starting.
            self.figures[f"checks with status {status}"] += 1
            return False
        self._answered(asked, caller, began, answer, looked_up="at_least" in body)
        return bool(answer["decision"] != "refer")

    async def batch(self, caller: Caller) -> None:
        """Some checks in one request, each with a journey and often a name of its own."""
        numbers = (self.random.randrange(2 * self.people) for _ in range(BATCH))
        asked = [Asked.some(number, self.random) for number in numbers]
        began = time.monotonic_ns()
        try:
            status, answer = await caller.post(
                "/v1/check/batch", {"items": [each.body() for each in asked]}
            )
        except (OSError, TimeoutError):
            self.figures["checks broken off"] += 1
            return
        if status != 200:
            self.figures[f"checks with status {status}"] += 1
            return
        assert answer["counts"]["error"] == 0, answer["counts"]
        self.figures["batches"] += 1
        whole = {key: answer[key] for key in ("stale", "fresh_as_of")}
        for each, result in zip(asked, answer["results"], strict=True):
            self._answered(each, caller, began, {"reasons": [], **result, **whole})

    async def find(self, caller: Caller, number: int) -> None:
        """One look at a document's entries."""
        began = time.monotonic_ns()
        try:
            status, answer = await caller.post("/v1/entries/find", {"document": document(number)})
        except (OSError, TimeoutError):
            return
        if status != 200:
            return
        ended = time.monotonic_ns()
        self.figures["finds"] += 1
        stored = {(entry["list"], entry["entry_id"]): entry["state"] for entry in answer["entries"]}
        for name in [name for name in self.source.edits if name[0] == number and name[1] != BIND]:
            state = stored.get(name[1:], "unknown")
            self.history.add(
                Answered(
                    number, str(caller.port), began, ended, "find",
                    looked_up=True, name=name, state=state,
                )
            )  # fmt: skip

    def _edit(self) -> tuple[Literal["put", "remove", "suspend", "resume"], Name, int]:
        """Some edit; now and then one that has been made long ago."""
        number = self.random.randrange(2 * self.people)
        of = self.random.choices(("sx", "xgl", LIFT, BIND), (12, 4, 2, 1))[0]
        entry_id = f"{of}-{self.random.randrange(2)}" if of in LISTS else of
        name = (number & ~1 if of == BIND else number, of, entry_id)
        op = self.random.choice(_OPS[of])
        known = self.source.edits.get(name, {})
        if "put" in known and self.random.random() < 0.05:
            self.figures["old puts"] += 1
            return "put", name, known["put"]
        revision = self.source.now_ms()
        self.source.note(op, name, revision)
        return op, name, revision

    async def _sent(self, caller: Caller, body: object) -> Any:  # noqa: ANN401 -- a JSON answer
        try:
            status, answer = await caller.post("/v1/changes", body)
        except (OSError, TimeoutError):
            return None
        assert status in (200, 503), (status, answer)
        return answer if status == 200 else None

    def _changed(self, change: Changed, answer: dict[str, Any]) -> None:
        (result,) = answer["results"]
        assert result["outcome"] != "rejected", result
        self.figures[f"changes {result['outcome']}"] += 1
        missing = answer.get("processes", {}).get("missing")
        if missing:
            self.figures["changes not everywhere in time"] += 1
        self.positions[change.name[0] // 2] = answer["position"]
        self.history.add(
            Changed(
                change.op, change.name, change.revision, change.began, time.monotonic_ns(),
                everywhere=missing == [], state=result["current"]["state"],
            )
        )  # fmt: skip

    def _answered(
        self, asked: Asked, caller: Caller, began: int, answer: dict[str, Any],
        *, looked_up: bool = False,
    ) -> None:  # fmt: skip
        decision = answer["decision"]
        code = answer["reasons"][0]["code"] if answer["reasons"] else ""
        self.figures[f"checks {decision}"] += 1
        if decision == "refer":
            self.figures[f"refers {code}"] += 1
        if answer["stale"]:
            self.figures["stale answers"] += 1
        if decision == "allow" and asked.free:
            return  # whoever is listed may be sold it, too
        as_of = _ms(answer["fresh_as_of"])
        self.history.add(
            Answered(
                asked.number, str(caller.port), began, time.monotonic_ns(), decision,
                looked_up=looked_up or decision == "deny" or "subject" in answer,
                stale=answer["stale"], fresh_as_of_ms=as_of, code=code,
                never=asked.never if decision == "deny" else "",
            )
        )  # fmt: skip


def _ms(text: str) -> int:
    from roster.times import parse_time

    return parse_time(text)


def _close(callers: list[Caller]) -> None:
    for caller in callers:
        caller.close()
