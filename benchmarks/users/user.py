"""What every user of a load has: a connection, a pace, and a note of each answer."""

from __future__ import annotations

import time  # locust has made its sleep gevent's
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import msgspec
from locust import User

from benchmarks.users.journeys import Question, name_for
from benchmarks.users.judging import (
    WRONG,
    Answer,
    Moments,
    answer_of,
    batch_of,
    fault,
    faults,
)
from benchmarks.users.tally import CHECKS, EXPECTED, FAILED, REQUESTS, STARTED, UNSENT
from benchmarks.users.wire import Reply, Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from benchmarks.users.journeys import Journey
    from benchmarks.users.scene import Scene

TIMEOUT_S = 10.0
_AT_LEAST, _TOLD = 0.05, 0.005
_T = TypeVar("_T")


class ClearwayUser(User):
    """Asks, judges each answer, and keeps its pace: `pace` tasks a second, times the plan's."""

    abstract = True
    scene: ClassVar[Scene]
    pace: ClassVar[float] = 10.0
    timeout_s: ClassVar[float] = TIMEOUT_S
    waits_for_answers: ClassVar[bool] = True  # else how long one took says nothing

    def __init__(self, environment: Any) -> None:  # noqa: ANN401 -- locust's is untyped
        """A user of the process's scene."""
        super().__init__(environment)
        self.wire = Wire(self.scene.service, self.timeout_s)
        self._step_s = 1 / (self.pace * self.scene.plan.pace)
        self._due_s = 0.0

    def on_start(self) -> None:
        """Begin somewhere in one's own step, so that not all ask at once."""
        time.sleep(self.scene.chance.random() * self._step_s)
        self._due_s = time.monotonic()

    def on_stop(self) -> None:
        """Hang up."""
        self.wire.close()

    def wait_time(self) -> float:
        """The seconds until the next task is due; what no time was left for is counted."""
        counts, now_s = self.scene.tally.counts, time.monotonic()
        counts[STARTED] += 1
        self._due_s += self._step_s
        if now_s > self._due_s + self._step_s:
            missed = int((now_s - self._due_s) / self._step_s)
            counts[UNSENT] += missed
            self._due_s += missed * self._step_s
        return max(0.0, self._due_s - now_s)

    def check(self, name: str, question: Question) -> Answer | None:
        """The judged answer to one check; None where there is none."""
        reply = self.wire.post("/v1/check", question.json())
        answer, wrong = decoded(answer_of, reply)
        if answer is not None:
            moments = Moments(reply.asked_s, reply.answered_s)
            wrong = [found] if (found := fault(question, answer, moments)) else []
            self.learn(question, answer)
        self.note(name, reply, wrong, 1)
        return answer

    def batch(self, name: str, questions: Sequence[Question], journey: Journey | None) -> None:
        """The same of many checks, with one journey for all or each with its own.

        One in twenty has to be as new as the last position that was heard of, under another name:
        about everybody in it the service has to ask Redis.
        """
        at_least = self.scene.position if self.scene.chance.random() < _AT_LEAST else ""
        name = f"{'at_least' if at_least else 'batch'} {name}"
        reply = self.wire.post("/v1/check/batch", _batch_body(questions, journey, at_least))
        answer, wrong = decoded(batch_of, reply)
        if answer is not None:
            moments = Moments(reply.asked_s, reply.answered_s)
            wrong = [*faults(questions, answer, moments)]
            for question, result in zip(questions, answer.results, strict=False):
                self.learn(question, result)
        self.note(name, reply, wrong, len(questions))

    def passenger(self, journey: Journey, reference: str) -> Question:
        """Somebody in a manifest: with a name, and now and then with what the feed has told."""
        somebody, chance = self.scene.somebody(), self.scene.chance
        told = self.scene.position if chance.random() < _TOLD else ""
        return Question(somebody, journey, name_for(somebody, chance, always=True), reference, told)

    def learn(self, question: Question, answer: Answer) -> None:
        """Keep what an answer tells beside its decision."""
        if answer.subject:
            question.traveller.subject = answer.subject
        if answer.position and not self.scene.position:
            self.scene.position = answer.position
        if answer.decision == "refer":
            reason = answer.reasons[0].code if answer.reasons else ""
            self.scene.tally.counts[EXPECTED] += reason == "name_mismatch"

    def note(self, name: str, reply: Reply, wrong: Iterable[str], checks: int = 0) -> None:
        """Count an answer, and tell locust."""
        tally, seconds = self.scene.tally, reply.answered_s - reply.asked_s
        tally.counts[REQUESTS] += 1
        tally.counts[CHECKS] += checks
        if reply.status != 200:
            tally.counts[FAILED] += 1
            wrong = [reply.fault or f"status {reply.status}"]
        else:
            tally.counts.update(wrong)
            if self.waits_for_answers:
                tally.time(name, seconds)
        self.environment.events.request.fire(
            request_type="POST" if self.waits_for_answers else "GET",
            name=name,
            response_time=seconds * 1000 if self.waits_for_answers else None,
            response_length=len(reply.body),
            exception="; ".join(sorted({*wrong})) or None,
            context={},
            response=None,
            start_time=time.time(),
            url=None,
        )


def _batch_body(questions: Sequence[Question], journey: Journey | None, at_least: str) -> bytes:
    items = (each.json(shared=journey is not None) for each in questions)
    parts = [b'{"items":[', b",".join(items)]
    parts.append(b"]" if journey is None else b'],"journey":' + journey.json)
    if at_least:
        parts += b',"at_least":"', at_least.encode(), b'"'
    parts.append(b"}")
    return b"".join(parts)


def decoded(decode: Callable[[bytes], _T], reply: Reply) -> tuple[_T | None, list[str]]:
    """The answer, or None and what is wrong with it."""
    if reply.status != 200:
        return None, []
    try:
        return decode(reply.body), []
    except msgspec.DecodeError:
        return None, [f"{WRONG}: no answer to what was asked"]
