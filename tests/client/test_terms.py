"""What a caller may choose, and that a slip is told before anybody is let through."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from clearway_client import Check, Client, NoAnswer, Terms
from clearway_client.answers import Answer
from clearway_client.core import Core
from tests.client.people import CLEAR
from tests.client.steps import LOST, Driven

REFERRALS = "on_refer: one of refer, raise, allow_if_clear, allow"
SILENCES = "on_no_answer: one of refer, raise, allow"
SLIPS: list[tuple[str, Any, str]] = [
    *(("on_refer", word, REFERRALS) for word in ("return", "manual", "REFER", "deny", "", None, 1)),
    *(("on_refer", word, REFERRALS) for word in (True, ["allow"], b"allow", "allow ")),
    *(("on_no_answer", word, SILENCES) for word in ("deny", "return", "REFER", "allow_if_clear")),
    *(("on_no_answer", word, SILENCES) for word in ("", None, False, ["allow"])),
    *(("check_s", value, "check_s: seconds") for value in (-1, "2", None, True, float("nan"))),
    *(("change_s", value, "change_s: seconds") for value in (-0.1, "2", float("inf"))),
    *(("try_s", value, "try_s: seconds, more than 0") for value in (0, -1, "1", None)),
    *(("remember", value, "remember: ") for value in (-1, "many", 1.5, True, None)),
    *(("tls", value, "tls: an ssl") for value in (True, False, "ca.pem")),
    *(("allow_plain_http", value, "allow_plain_http: ") for value in ("false", 1, None)),
]


@pytest.mark.parametrize(("name", "value", "told"), SLIPS)
def test_a_slip_is_told_with_the_choices(name: str, value: object, told: str) -> None:
    with pytest.raises(ValueError, match=told) as caught:
        Terms(**{name: value})  # type: ignore[arg-type]
    assert str(caught.value).startswith(told)
    with pytest.raises(ValueError, match=told):
        msgspec.structs.replace(Terms(), **{name: value})


def test_all_slips_are_told_together() -> None:
    with pytest.raises(ValueError, match=f"{REFERRALS}; {SILENCES}; try_s"):
        Terms(on_refer="return", on_no_answer="deny", try_s=0)  # type: ignore[arg-type]


def test_only_what_says_allow_allows_where_nobody_answers() -> None:
    for on_no_answer, decision in (("refer", "refer"), ("allow", "allow")):
        terms = Terms(on_no_answer=on_no_answer, check_s=0)  # type: ignore[arg-type]
        answer = Driven().run(Core(terms).check(Check(CLEAR)), [LOST])
        assert isinstance(answer, Answer)
        assert answer.decision == decision
    with pytest.raises(NoAnswer):
        Driven().run(Core(Terms(check_s=0)).check(Check(CLEAR)), [LOST])


def test_a_test_key_is_told_of_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    for kind, warnings in (("", 0), ("test_", 1)):
        caplog.clear()
        Client("http://127.0.0.1:1", f"cw_{kind}{'k' * 56}").close()
        assert len(caplog.records) == warnings
        assert "kkkk" not in caplog.text


def test_what_is_no_terms_is_refused() -> None:
    wrong: Any = "refer"
    with pytest.raises(ValueError, match="Terms"):
        Client("http://127.0.0.1:1", "cw_" + "k" * 56, wrong)
