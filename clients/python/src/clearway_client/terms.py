"""What the caller chooses: what a referral and silence amount to, how long to try."""

from __future__ import annotations

import logging
import math
import ssl
from collections.abc import Iterator
from typing import Literal, get_args

import msgspec

from clearway_client.answers import Answer, Reason
from clearway_client.errors import NoAnswer, Referred

OnRefer = Literal["refer", "raise", "allow_if_clear", "allow"]
OnNoAnswer = Literal["refer", "raise", "allow"]
NO_ANSWER = "no_answer"
"""The reason code of an answer that this package gives where nobody else did."""

_log = logging.getLogger("clearway_client")


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """The caller's choices. None of them ever makes a denial: only the service denies.

    Raises ValueError for a value that is none of the choices: a slip must let nobody through.

    on_refer: what to do where the service cannot decide. `refer`: return its answer, for your
        manual procedure; `raise` Referred; `allow_if_clear`: allow whom its filter does not know
        (`last_known` is `clear`), and return the others; `allow` everybody. Of whom positions were
        stated or remembered, a filter that may be behind says nothing: they are returned.
    on_no_answer: where nobody answers in time. `refer`: return a `refer` whose reason is
        `no_answer`; `raise` NoAnswer; `allow`. What is allowed so has a `note`, and is logged.
    check_s: how long a call may take in all, with all tries and pauses: one check, or one manifest
        of whatever length. With 0 there is one try.
    change_s: the same for changes and other questions, and for the feed beyond its long poll.
    try_s: how long one try waits for the connection, and for each part of the answer.
    remember: of how many people positions are remembered, so that what they are answered never
        goes back behind what was told of them already.
    tls: your own certificates; None: those that are trusted here.
    allow_plain_http: `http://` to another machine shows it the key and every number on the way.
    """

    on_refer: OnRefer = "refer"
    on_no_answer: OnNoAnswer = "raise"
    check_s: float = 2.0
    change_s: float = 30.0
    try_s: float = 1.0
    remember: int = 10_000
    tls: ssl.SSLContext | None = None
    allow_plain_http: bool = False

    def __post_init__(self) -> None:
        """Refuse what is none of the choices."""
        if faults := "; ".join(_faults(self)):
            raise ValueError(faults)

    def settled(self, answer: Answer, *, stated: bool) -> Answer:
        """What an answer amounts to, `stated` positions or not; raises Referred."""
        if answer.decision != "refer":
            return answer
        if self.on_refer == "raise":
            raise Referred(answer)
        clear = self.on_refer == "allow_if_clear" and not stated and _is_clear(answer)
        if clear or self.on_refer == "allow":
            return _allowed(answer, f"referred ({', '.join(answer.codes)}), allowed by on_refer")
        return answer

    def unanswered(self, silence: NoAnswer, reference: str | None) -> Answer:
        """What silence amounts to; raises NoAnswer."""
        answer = Answer("refer", (Reason(NO_ANSWER),), reference=reference, note=silence.why)
        if self.on_no_answer == "allow":
            return _allowed(answer, f"{silence.why}, allowed by on_no_answer")
        if self.on_no_answer == "refer":
            return answer
        raise silence


def _faults(terms: Terms) -> Iterator[str]:
    for name, choices in (("on_refer", OnRefer), ("on_no_answer", OnNoAnswer)):
        if getattr(terms, name) not in get_args(choices):
            yield f"{name}: one of {', '.join(get_args(choices))}"
    for name in ("check_s", "change_s"):
        if not _is_number(value := getattr(terms, name)) or value < 0:
            yield f"{name}: seconds, 0 or more"
    if not _is_number(terms.try_s) or terms.try_s <= 0:
        yield "try_s: seconds, more than 0"
    if type(terms.remember) is not int or terms.remember < 0:
        yield "remember: a number of people, 0 or more"
    if not isinstance(terms.tls, ssl.SSLContext | None):
        yield "tls: an ssl.SSLContext"
    if not isinstance(terms.allow_plain_http, bool):
        yield "allow_plain_http: True or False"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_clear(answer: Answer) -> bool:
    return bool(answer.reasons) and all(each.last_known == "clear" for each in answer.reasons)


def _allowed(answer: Answer, note: str) -> Answer:
    _log.warning("%s", note)
    seats = dict.fromkeys(answer.seats, "allow")
    return msgspec.structs.replace(answer, decision="allow", seats=seats, note=note)
