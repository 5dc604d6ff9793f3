"""Everything that can be asked, as steps without I/O: both clients drive the same ones."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import msgspec

from clearway_client.answers import Acknowledged, Answer, Batch, Page, Problem, Standing
from clearway_client.errors import NoAnswer, Refused
from clearway_client.exchange import (
    NOT_CLEARWAY,
    OK,
    TOO_LARGE,
    TOO_MANY,
    Asking,
    Reply,
    Request,
    Steps,
    read,
)
from clearway_client.faults import JOURNEYS, fault_in, problem_of, told
from clearway_client.memory import Memory
from clearway_client.questions import Change, Check, Journey, Person
from clearway_client.terms import Terms

BATCH = 1_000
"""What the service takes at once."""
CHANGE_TRY_S = 10.0
"""One try of changes: they wait for disks and replicas, and with `all` for every process."""
NOW = "now"
"""Is no position: whoever saved it would go on from another moment each time."""
Wait = Literal["durable", "all"]
Answers = list[Answer | Problem]
_Batch = Sequence[Check | Problem]


class _Manifest(msgspec.Struct, frozen=True, omit_defaults=True):
    items: Sequence[Check]
    journey: Journey | None = None


class _Changes(msgspec.Struct, frozen=True):
    changes: Sequence[Change]
    wait: Wait


class Core:
    """One client's questions; what the service says of people is remembered between them."""

    def __init__(self, terms: Terms, asking: Asking | None = None) -> None:
        self._terms = terms
        self._memory = Memory(terms.remember)
        self._asking = asking or Asking(terms.try_s)

    def check(self, question: Check) -> Steps[Answer]:
        """The answer to one check; raises NoAnswer, Referred, Refused and ValueError."""
        if fault := fault_in(question, Check):
            del question  # what is no Check may show a number where a traceback is sent
            raise ValueError(told(fault))
        sent = self._remembered(question)
        request = self._post("/v1/check", sent)
        try:
            reply = yield from self._asking.ask(request, self._terms.check_s)
        except NoAnswer as exc:
            return self._terms.unanswered(exc, question.reference)
        answer = read(reply, Answer)
        self._memory.answered(question.document, answer)
        return self._terms.settled(answer, stated=bool(sent.at_least))

    def check_all(self, questions: Iterable[Check], journey: Journey | None) -> Steps[Answers]:
        """The answers in the questions' order, or why an item could not be read.

        Each batch is tried at least once, if only for a moment; one that is too large, in halves.
        """
        until = self._asking.clock() + self._terms.check_s
        fault = _fault_in_manifest(questions, journey)
        batches = _batched(() if fault else questions)
        del questions
        if fault:
            del journey
            raise ValueError(fault)
        answers: Answers = []
        halves: list[_Batch] = []
        while batch := halves.pop() if halves else next(batches, ()):
            try:
                answers += yield from self._batch(batch, journey, until)
            except NoAnswer as exc:
                exc.answered = answers
                raise
            except Refused as exc:
                if exc.problem.status != TOO_LARGE or len(batch) == 1:
                    raise
                half = len(batch) // 2
                halves += [batch[half:], batch[:half]]
        return answers

    def _batch(self, batch: _Batch, journey: Journey | None, until: float) -> Steps[Answers]:
        """What was not sent has its problem in its place already."""
        sent = [self._remembered(each) for each in batch if isinstance(each, Check)]
        found = iter((yield from self._sent(sent, journey, until)) if sent else ())
        return [each if isinstance(each, Problem) else next(found) for each in batch]

    def _sent(
        self, items: Sequence[Check], journey: Journey | None, until: float
    ) -> Steps[Answers]:
        request = self._post("/v1/check/batch", _Manifest(items, journey))
        try:
            reply = yield from self._asking.ask(request, until - self._asking.clock())
        except NoAnswer as exc:
            return [self._terms.unanswered(exc, each.reference) for each in items]
        answers = _answers(reply, len(items))
        return [self._item(*pair) for pair in zip(items, answers, strict=True)]

    def _item(self, sent: Check, answer: Answer | Problem) -> Answer | Problem:
        """One of many: a referral of one must not hide what the others were answered."""
        if isinstance(answer, Problem):
            return msgspec.structs.replace(answer, reference=sent.reference)
        self._memory.answered(sent.document, answer)
        if self._terms.on_refer == "raise":
            return answer
        return self._terms.settled(answer, stated=bool(sent.at_least))

    def standing(self, person: Person) -> Steps[Standing]:
        """What a person may and may not be sold; raises NoAnswer, Refused and ValueError."""
        if fault := fault_in(person, Person):
            del person
            raise ValueError(told(fault))
        request = self._post("/v1/standing", person)
        return read((yield from self._asking.ask(request, self._terms.check_s)), Standing)

    def change(self, changes: Sequence[Change], wait: Wait) -> Steps[Acknowledged]:
        """What became of at most 1,000 changes, all safe; raises NoAnswer, Refused, ValueError."""
        if fault := _fault_in_changes(changes):
            del changes
            raise ValueError(fault)
        request = self._post_changes(changes, wait)
        stated = all(change.revision is not None for change in changes)

        def again(request: Request, reply: Reply) -> Request | None:
            nonlocal stated
            revisions = reply.problem.revisions
            if not stated and len(revisions) == len(changes):
                stated = True
                return self._post_changes(_stated(changes, revisions), wait)
            is_safe = stated or not reply.sent or reply.status == TOO_MANY
            return request if is_safe else None

        reply = yield from self._asking.ask(request, self._terms.change_s, again)
        done = read(reply, Acknowledged)
        for change, result in zip(changes, done.results, strict=True):
            for document in change.about:
                self._memory.changed(document, result.position)
        return done

    def page(self, after: str | None, limit: int, wait_s: float) -> Steps[Page]:
        """The events behind a position, waited for so long; raises FeedTrimmed, too."""
        query: dict[str, str | int] = {"limit": limit}
        if after is not None:
            query["after"] = after
        if after != NOW and wait_s:
            query["wait_ms"] = round(wait_s * 1000)
        timeout_s = wait_s + self._terms.try_s
        request = Request("GET", "/v1/changes", query=query, timeout_s=timeout_s)
        reply = yield from self._asking.ask(request, wait_s + self._terms.change_s)
        page = read(reply, Page)
        for event in page.changes:
            self._memory.told(event)
        return page

    def _remembered(self, question: Check) -> Check:
        positions = self._memory.at_least(question.document, question.at_least)
        return msgspec.structs.replace(question, at_least=positions)

    def _post(self, path: str, content: msgspec.Struct) -> Request:
        return Request("POST", path, msgspec.json.encode(content), timeout_s=self._terms.try_s)

    def _post_changes(self, changes: Sequence[Change], wait: Wait) -> Request:
        timeout_s = max(self._terms.try_s, CHANGE_TRY_S)
        return Request(
            "POST", "/v1/changes", msgspec.json.encode(_Changes(changes, wait)), timeout_s=timeout_s
        )


def _fault_in_manifest(questions: object, journey: object) -> str:
    if not isinstance(questions, Iterable):
        return "must be several Checks"
    fault = None if journey is None else fault_in(journey, *JOURNEYS)
    return f"journey: {told(fault)}" if fault else ""


def _fault_in_changes(changes: object) -> str:
    if not isinstance(changes, Sequence) or not 1 <= len(changes) <= BATCH:
        return f"1 to {BATCH} changes at once"
    found = ((index, fault_in(each, Change)) for index, each in enumerate(changes))
    return "; ".join(f"changes[{index}]: {told(fault)}" for index, fault in found if fault)


def _answers(reply: Reply, count: int) -> Answers:
    """What a batch was answered; raises Refused where that is none of Clearway's."""
    try:
        answers = read(reply, Batch).answers
    except msgspec.ValidationError:
        answers = []
    if len(answers) != count:
        raise Refused(msgspec.structs.replace(NOT_CLEARWAY, status=OK))
    return answers


def _batched(questions: Iterable[Check]) -> Iterator[_Batch]:
    """As many as go at once; a problem in the place of what cannot be sent."""
    left = map(_checked, questions)
    while batch := tuple(itertools.islice(left, BATCH)):
        yield batch


def _checked(question: Check) -> Check | Problem:
    fault = fault_in(question, Check)
    return problem_of(question, fault) if fault else question


def _stated(changes: Sequence[Change], revisions: Sequence[int]) -> list[Change]:
    """The changes with the revisions to send them again with; 0 is of one that was invalid."""
    return [
        msgspec.structs.replace(change, revision=change.revision or revision or None)
        for change, revision in zip(changes, revisions, strict=True)
    ]
