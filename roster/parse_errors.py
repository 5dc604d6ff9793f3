"""What msgspec and tomllib say is wrong, taken apart: they tell it in words alone.

No other module reads these words. `tests/roster/test_parse_errors.py` holds them, so that a version
that says something else is noticed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import tomllib

FieldPath = tuple[str | int, ...]
"""Where a value stands: `("list", 2, "code")` is the field `code` of the third in `list`."""

_PLACE = re.compile(r" - at (?:`key` in )?`\$((?:\.\w+|\[\d+\]|\[\.\.\.\])*)`\Z")
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]")
_FIELD = re.compile(r"Object (missing required|contains unknown) field `(.*)`", re.DOTALL)
_LINE = re.compile(r"at line (\d+)")


class Complaint(NamedTuple):
    """What msgspec says of a value: `words` may repeat what was sent, `expected` never does.

    `path` leads to the value. `missing` is a field that it lacks, `unknown` the name of one that
    it should not have; `expected` is empty for both, and where the value is none of a few.
    """

    path: FieldPath
    words: str
    expected: str = ""
    missing: str | None = None
    unknown: str | None = None


def complaint_of(said: Exception | str) -> Complaint:
    """A message of msgspec's taken apart; of another only the words are known."""
    message = str(said)
    place = _PLACE.search(message)
    words = message[: place.start()] if place else message
    steps = _STEP.findall(place[1]) if place else []
    path = tuple(int(index) if index else name for name, index in steps)
    if field := _FIELD.fullmatch(words):
        lacks = field[1].startswith("missing")
        return Complaint(path, words, "", *((field[2], None) if lacks else (None, field[2])))
    return Complaint(path, words, f"e{words[1:]}" if words.startswith("Expected") else "")


def toml_line(exc: tomllib.TOMLDecodeError, text: str) -> int:
    """The line of `text`, from 1, at which it is no TOML any more."""
    at = _LINE.search(str(exc))
    return int(at[1]) if at else len(text.splitlines())
