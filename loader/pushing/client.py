"""Pushes changes over HTTP: in batches, again where they were not acknowledged."""

from __future__ import annotations

import codecs
import random
import re
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx
import msgspec

from roster.address import CONNECT_S, fault_of, silence_of
from roster.errors import PushRefused, Unavailable
from roster.times import boot_s

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


BATCH = 500
TRIES = 10
LONGEST_PAUSE_S = 10.0
TIMEOUT_S = 20.0
"""Until the answer to a batch begins."""
FIRST_S = 7.0
"""So long the first batch is tried: a service that is silent from the start is told soon."""
NOBODY_S = 1.5
"""So long where nobody even takes the connection."""
_AGAIN = frozenset({429, 502, 503, 504})
_ONE_BY_ONE = 413
_CHANGE = re.compile(r"changes\[(\d{1,4})\]")
_NOWHERE = frozenset({404, 405})
HUNG_UP = (httpx.RemoteProtocolError, httpx.ReadError)
NOT_CLEARWAY = "what answers there is not Clearway: look at the URL"


class LineOutcome(NamedTuple):
    """What one line amounted to; `errors` are (field, message) where it was rejected."""

    line: int
    outcome: str
    errors: tuple[tuple[str, str], ...] = ()


class _Line(NamedTuple):
    number: int
    change: dict[str, Any]


class _RejectedLines(dict[int, str]):
    """Changes, by their place in the batch, for which the service refused all of it: and why."""


class Pusher:
    """Sends changes to one service; sending one again does no harm."""

    def __init__(self, client: httpx.Client, pause: Callable[[float], None] = time.sleep) -> None:
        """`client` has the service's address and the key; `pause` waits before a retry."""
        self._client = client
        self._pause = pause
        self._heard = False

    def push(self, lines: Iterable[bytes]) -> Iterator[LineOutcome]:
        """Every line's outcome, a batch at a time; raises PushRefused and Unavailable.

        What was yielded is acknowledged, whatever is raised later.
        """
        batch: list[_Line] = []
        for number, text in enumerate(lines, 1):
            line = text.removeprefix(codecs.BOM_UTF8) if number == 1 else text
            if not line.strip():
                continue
            change = _parse(line)
            if change is None:
                yield LineOutcome(number, "rejected", (("", "not a JSON object"),))
                continue
            batch.append(_Line(number, change))
            if len(batch) == BATCH:
                yield from self._send(batch)
                batch = []
        if batch:
            yield from self._send(batch)

    def _send(self, batch: list[_Line]) -> Iterator[LineOutcome]:
        answer = self._acknowledged([line.change for line in batch])
        if answer is None:  # too long for one body: a line is at most a few KiB
            half = len(batch) // 2
            yield from self._send(batch[:half])
            yield from self._send(batch[half:])
            return
        if isinstance(answer, _RejectedLines):
            yield from _rejected(batch, answer)
            rest = [line for index, line in enumerate(batch) if index not in answer]
            yield from self._send(rest) if rest else ()
            return
        for line, result in zip(batch, answer["results"], strict=True):
            errors = tuple((each["field"], each["message"]) for each in result.get("errors", ()))
            yield LineOutcome(line.number, result["outcome"], errors)

    def _acknowledged(
        self, changes: list[dict[str, Any]]
    ) -> dict[str, Any] | _RejectedLines | None:
        """The answer to these changes, however often it takes; None where they are too many."""
        began_s = boot_s()
        why = ""
        for attempt in range(TRIES):
            retry_after, patience_s = None, FIRST_S
            try:
                response = self._post(changes, began_s)
            except httpx.TransportError as exc:
                root = str(self._client.base_url) if isinstance(exc, HUNG_UP) else ""
                if fault := fault_of(exc, root):
                    raise PushRefused(fault) from exc
                why, patience_s = why or silence_of(exc), _patience_s(exc)
            else:
                if response.status_code not in _AGAIN:
                    self._heard = True
                    return _judged(response, changes)
                self._heard |= response.status_code == HTTPStatus.TOO_MANY_REQUESTS
                why, retry_after = _told(response), response.headers.get("retry-after")
                changes = _with_revisions(changes, response)
            pause_s = _pause_s(attempt, retry_after)
            if not self._heard and boot_s() + pause_s - began_s > patience_s:
                break
            self._pause(pause_s)
        raise Unavailable(
            "the service has not acknowledged a batch; push the same file again",
            f"{self._client.base_url}: {why}",
        )

    def _post(self, changes: list[dict[str, Any]], began_s: float) -> httpx.Response:
        """What the service says to these changes; the first of all must not wait long."""
        left_s = TIMEOUT_S if self._heard else max(1.0, FIRST_S - (boot_s() - began_s))
        limits = httpx.Timeout(left_s, connect=min(CONNECT_S, left_s))
        try:
            return self._client.post("/v1/changes", json={"changes": changes}, timeout=limits)
        except UnicodeEncodeError:
            raise PushRefused("a line holds half of a character: no JSON can") from None


def _patience_s(exc: httpx.TransportError) -> float:
    return NOBODY_S if isinstance(exc, httpx.ConnectError) else FIRST_S


def _judged(
    response: httpx.Response, changes: list[dict[str, Any]]
) -> dict[str, Any] | _RejectedLines | None:
    """What an answer that is not to be asked for again says; raises PushRefused."""
    if response.is_success or response.is_redirect:
        return _answer(response)
    if response.status_code == _ONE_BY_ONE and len(changes) > 1:
        return None
    if unreadable := _unreadable(response, len(changes)):
        return unreadable
    raise PushRefused(_told(response))


def _answer(response: httpx.Response) -> dict[str, Any]:
    content = _content(response)
    if "results" not in content:
        raise PushRefused(f"{response.status_code}: {NOT_CLEARWAY}")
    return content


def _parse(text: bytes) -> dict[str, Any] | None:
    try:
        change = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return change if isinstance(change, dict) else None


def _with_revisions(
    changes: list[dict[str, Any]], response: httpx.Response
) -> list[dict[str, Any]]:
    """The changes as they have to be sent again, where the answer says so."""
    revisions = _content(response).get("revisions")
    if not isinstance(revisions, list) or len(revisions) != len(changes):
        return changes
    return [
        change | {"revision": change.get("revision") or revision}
        for change, revision in zip(changes, revisions, strict=True)
    ]


def _unreadable(response: httpx.Response, sent: int) -> _RejectedLines:
    """Which changes a 400 names; none where it is about the request as a whole."""
    found = _RejectedLines()
    if response.status_code == HTTPStatus.BAD_REQUEST:
        for each in _content(response).get("errors", []):
            place = _CHANGE.match(str(each.get("field")))
            if place and int(place[1]) < sent:
                found[int(place[1])] = str(each.get("message"))
    return found


def _rejected(batch: list[_Line], unreadable: _RejectedLines) -> Iterator[LineOutcome]:
    for index, why in sorted(unreadable.items()):
        yield LineOutcome(batch[index].number, "rejected", (("", why),))


def _told(response: httpx.Response) -> str:
    content = _content(response)
    errors = [f"{each.get('field')}: {each.get('message')}" for each in content.get("errors", [])]
    why = "; ".join(errors) or content.get("detail") or content.get("title") or ""
    if response.status_code in _NOWHERE and not content:
        why = NOT_CLEARWAY
    return f"the service refused: {response.status_code} {why}".strip()


def _content(response: httpx.Response) -> dict[str, Any]:
    try:
        content = response.json()
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _pause_s(attempt: int, retry_after: str | None) -> float:
    """As long as the service says, else twice as long each time, with jitter."""
    if retry_after is not None and retry_after.isdecimal():
        return min(float(retry_after), LONGEST_PAUSE_S)
    return min(0.1 * float(2**attempt), LONGEST_PAUSE_S) * random.uniform(0.5, 1.0)  # noqa: S311 -- jitter
