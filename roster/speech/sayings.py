"""What a text of a known form is in Chinese: refusals and faults are made in English."""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from roster.speech.language import language

if TYPE_CHECKING:
    from collections.abc import Mapping

_PLACE = re.compile(r"\{(\w+)\}")
_NUMBERS = {"count", "line"}
"""Values that are numbers: without a word in them, none of them can be another form's beginning."""
_BETWEEN = (("; ", "；"), (", ", "，"))
"""What joins several sayings."""
_OF = (": ", "：")
"""What stands between a place and what is said of it."""


class _Saying(NamedTuple):
    """A form: the English texts between its values, all of it, and the Chinese one."""

    parts: tuple[str, ...]
    whole: re.Pattern[str]
    chinese: str


class Sayings:
    """Forms of English texts, each with the Chinese one; both name the same values in braces.

    Errors stay in English until they are told, as programs read them too: in reports, in JSON,
    from other processes.
    """

    def __init__(self, *tables: Mapping[str, str]) -> None:
        """All these forms; where several fit, the one that says most counts."""
        self._forms = {form: text for table in tables for form, text in table.items()}
        self._known: dict[str, str] = {}
        self._wholes: dict[str, str | None] = {}

    def spoken(self, text: str) -> str:
        """The text in the language that the command speaks; what is of no known form, as it is."""
        self._known.clear()
        self._wholes.clear()
        return self.translated(text) if language() == "zh" else text

    def translated(self, text: str) -> str:
        """The text in Chinese, and so the values in it that are of a known form themselves."""
        if text not in self._known:
            found = self._listed(text) or self._whole(text) or self._about(text)
            self._known[text] = found or self._in_parts(text)
        return self._known[text]

    @cached_property
    def _by_length(self) -> list[_Saying]:
        most = sorted(self._forms, key=lambda form: -len(_PLACE.sub("", form)))
        return [_saying(each, self._forms[each]) for each in most]

    def _whole(self, text: str) -> str | None:
        if text not in self._wholes:
            self._wholes[text] = self._of_form(text)
        return self._wholes[text]

    def _of_form(self, text: str) -> str | None:
        for form in self._by_length:
            if all(part in text for part in form.parts) and (found := form.whole.fullmatch(text)):
                values = {name: self.translated(each) for name, each in found.groupdict().items()}
                return form.chinese.format(**values)
        return None

    def _listed(self, text: str) -> str | None:
        """Several that are known, each for itself."""
        for mark, joint in _BETWEEN:
            told = [self._whole(part) for part in text.split(mark)] if mark in text else []
            known = [part for part in told if part is not None]
            if known and len(known) == len(told):
                return joint.join(known)
        return None

    def _about(self, text: str) -> str | None:
        """One that is known, behind what it is about."""
        for found in re.finditer(_OF[0], text):
            if known := self._whole(text[found.end() :]):
                return f"{text[: found.start()]}{_OF[1]}{known}"
        return None

    def _in_parts(self, text: str) -> str:
        """Where the first part is known, or all that follows it, each for itself."""
        for mark, joint in (*_BETWEEN, _OF):
            for found in re.finditer(re.escape(mark), text):
                first, rest = text[: found.start()], text[found.end() :]
                known, after = self._whole(first), self.translated(rest)
                if known is not None or after != rest:
                    return f"{first if known is None else known}{joint}{after}"
        return text


def _saying(form: str, chinese: str) -> _Saying:
    parts = _PLACE.split(form)
    names = [rf"(?P<{name}>{_value(name)})" for name in parts[1::2]]
    whole = "".join(map("".join, zip(map(re.escape, parts[::2]), [*names, ""], strict=True)))
    return _Saying(tuple(parts[::2]), re.compile(whole, re.DOTALL), chinese)


def _value(name: str) -> str:
    return r"\d[\d,]*" if name in _NUMBERS else ".+?"
