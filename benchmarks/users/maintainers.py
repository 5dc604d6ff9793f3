"""Users who keep the lists, and those who hear of it through the feed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec
from gevent.pool import Group  # type: ignore[import-untyped]
from locust import task

from benchmarks.questions.people import paper_of
from benchmarks.users.journeys import Question
from benchmarks.users.judging import WRONG
from benchmarks.users.scene import Edit, Told
from benchmarks.users.user import ClearwayUser, decoded

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.questions.people import Row
    from benchmarks.users.travellers import Rows, Traveller
    from benchmarks.users.wire import Reply

TRIES = 5
WAIT_MS = 10_000
_PAUSE_S = 0.2
_LOOKS = 3
_PARTLY = 0.3
_KNOWN = ("applied", "duplicate")


class Outcome(msgspec.Struct):
    """What became of one change."""

    outcome: str


class Edited(msgspec.Struct):
    """What became of a request's changes."""

    results: list[Outcome]
    position: str


class News(msgspec.Struct):
    """One change of the feed."""

    subject: str = ""


class Page(msgspec.Struct):
    """A page of the feed."""

    changes: list[News]
    position: str


_edited_of = msgspec.json.Decoder(Edited).decode
_page_of = msgspec.json.Decoder(Page).decode


class Maintainer(ClearwayUser):
    """Takes people off the lists, sees that they may fly, and puts them back as they were."""

    fixed_count = 1
    pace = 1.0

    def __init__(self, environment: Any) -> None:  # noqa: ANN401 -- locust's is untyped
        """A maintainer who has changed nobody yet."""
        super().__init__(environment)
        self._away: list[Traveller] = []
        self._revision = 0
        self._hearing = FeedConsumer(environment)

    def on_start(self) -> None:
        """Hear of one's own changes, whichever worker has the other consumers."""
        self._hearing.start(Group())
        super().on_start()

    @task(9)
    def correct(self) -> None:
        """One person: all of their entries, or at times one of several."""
        self._correct("change single", 1)

    @task(1)
    def correct_many(self) -> None:
        """Many people in one request."""
        self._correct("change bulk", self.scene.plan.bulk)

    def on_stop(self) -> None:
        """Put back whoever is away, also where a change was under way."""
        self._put_back()
        self._hearing.stop(force=True)
        super().on_stop()

    def _correct(self, name: str, count: int) -> None:
        mine, plan = self.scene.mine, self.scene.plan
        if not self._put_back():
            return
        self._away = [mine.pop() for _ in range(min(count, len(mine)))]
        self._look()
        removals = [Edit(each, each.rows, self._left(each, count)) for each in self._away]
        if self._change(name, removals):
            self._look()
            time.sleep(self.scene.chance.random() * plan.held_s)
            additions = [Edit(each, after, before) for each, before, after in removals]
            if position := self._change(name, additions):
                self._look(position)
                self._give_back()

    def _put_back(self) -> bool:
        """Whether all who were away are as they were; what they are now may be in doubt."""
        edits = [Edit(each, (), each.rows) for each in self._away]
        if edits and not self._change("change bulk", edits):
            return False
        self._give_back()
        return True

    def _give_back(self) -> None:
        self.scene.mine[:0] = self._away
        self._away = []

    def _left(self, traveller: Traveller, count: int) -> Rows:
        """What is left of somebody's entries: of several at times all but one."""
        chance, rows = self.scene.chance, [*traveller.rows]
        if count > 1 or not traveller.certain or len(rows) == 1 or chance.random() > _PARTLY:
            return ()
        rows.pop(chance.randrange(len(rows)))
        return tuple(rows)

    def _look(self, at_least: str = "") -> None:
        """Some of those who are changed are asked about."""
        for each in self._away[:_LOOKS]:
            question = Question(each, self.scene.timetable.air, at_least=at_least)
            self.check("check changed", question)

    def _change(self, name: str, edits: Sequence[Edit]) -> str:
        """The position once the edits are acknowledged; empty where they are not."""
        self._revision = max(time.time_ns() // 1_000_000, self._revision + 1)
        changes = [(edit, each) for edit in edits for each in changes_of(edit, self._revision)]
        if not changes:
            return ""
        body = msgspec.json.encode({"changes": [change for _, change in changes]})
        self.scene.sent(edits)
        for attempt in range(TRIES):
            reply = self.wire.post("/v1/changes", body)
            if position := self._applied(name, reply, [edit for edit, _ in changes]):
                self.scene.acknowledged(edits, position, reply.answered_s)
                return position
            if reply.status == 200:
                break
            time.sleep(_PAUSE_S * attempt)
        self.scene.refused(edits)
        return ""

    def _applied(self, name: str, reply: Reply, edits: Sequence[Edit]) -> str:
        """The position of applied changes, one of each edit beside it."""
        answer, wrong = decoded(_edited_of, reply)
        if answer is not None:
            outcomes = [each.outcome for each in answer.results]
            wrong = [f"{WRONG}: a change is {other}" for other in {*outcomes} - {*_KNOWN}]
            never = {
                edit.traveller
                for edit, said in zip(edits, outcomes, strict=False)
                if said == "unseen"
            }
            self._away = [each for each in self._away if each not in never]  # nor put back
        self.note(name, reply, wrong)
        return answer.position if answer is not None and not wrong else ""


class FeedConsumer(ClearwayUser):
    """A carrier's link to the feed: it hears of every change of this process, and in time."""

    fixed_count = 1
    timeout_s = WAIT_MS / 1000 + 10
    waits_for_answers = False

    def on_start(self) -> None:
        """From the first poll's answer on."""
        self._position, self._told = "", Told(self.scene.tally)

    def on_stop(self) -> None:
        """Hang up."""
        self._go_on("")
        super().on_stop()

    def wait_time(self) -> float:
        """The next poll follows at once, but for a service that refuses."""
        return 0.0 if self._position else 1.0

    @task
    def poll(self) -> None:
        """One page."""
        after = quote(self._position or "now")
        wait = f"&wait_ms={WAIT_MS}" if self._position else ""
        reply = self.wire.get(f"/v1/changes?after={after}{wait}")
        page, wrong = decoded(_page_of, reply)
        self._go_on("" if page is None else page.position)
        if page is not None:
            self._told.heard((change.subject for change in page.changes), reply.answered_s)
            late = self._told.overdue(reply.asked_s - self.scene.plan.told_s)
            wrong = [f"{WRONG}: the feed has not told of a change"] * late
        self.note("feed poll", reply, wrong)

    def _go_on(self, position: str) -> None:
        """From this position; without one nothing is heard."""
        self._position = position
        if position:
            self.scene.consumers.add(self._told)
        else:
            self.scene.consumers.discard(self._told)


def changes_of(edit: Edit, revision: int) -> Iterator[dict[str, Any]]:
    """The changes that make of somebody's rows before the rows after."""
    for row in edit.before:
        if row not in edit.after:
            yield _change(row, revision, {"reason": "performed"})
    for row in edit.after:
        if row not in edit.before:
            yield _change(row, revision, _put(row))


def _change(row: Row, revision: int, more: dict[str, Any]) -> dict[str, Any]:
    return {
        "op": "remove" if "reason" in more else "put",
        "list": row["list"],
        "entry_id": row["entry_id"],
        "revision": revision,
        "document": paper_of(row).json(),
        **more,
    }


def _put(row: Row) -> dict[str, Any]:
    entry: dict[str, Any] = {
        name: row[name] for name in ("from", "until", "case", "court") if row[name]
    }
    return {"entry": entry | {"names": row["name"].split("|")}}
