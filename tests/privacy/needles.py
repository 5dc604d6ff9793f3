"""Texts in every form in which they might have been written down, and a search for all of them.

A form is found by its last eight bytes, which are looked up for each place of the haystack at
once; what may be one is then compared as a whole. So the search takes about as long for a
million forms as for one, and finds nothing that is not there.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

WINDOW = 8
CHUNK = 8 << 20
_MIX = np.uint64(0x9E37_79B9_7F4A_7C15)
_LOAD = 16
"""So many places of the table for each window: few that are none pass it."""


class Hit(NamedTuple):
    """Which text was found, in which form; the text itself is not told."""

    text: int
    form: str


def _aligned(lead: int, *, for_urls: bool = False) -> Callable[[str], bytes]:
    """What base64 makes of a text that begins so many bytes behind a group's start.

    Characters that depend on what stands before or behind are left out.
    """
    encode = base64.urlsafe_b64encode if for_urls else base64.b64encode

    def make(text: str) -> bytes:
        data = text.encode()
        return encode(bytes(lead) + data)[-(-lead * 8 // 6) : (lead + len(data)) * 8 // 6]

    return make


def _digest(name: str) -> Callable[[str], bytes]:
    return lambda text: hashlib.new(name, text.encode(), usedforsecurity=False).digest()


def _hex(name: str, case: Callable[[str], str]) -> Callable[[str], bytes]:
    digest = _digest(name)
    return lambda text: case(digest(text).hex()).encode()


FORMS: dict[str, Callable[[str], bytes]] = {
    "UTF-8": str.encode,
    "UTF-16 LE": lambda text: text.encode("utf-16-le"),
    "UTF-16 BE": lambda text: text.encode("utf-16-be"),
    "GB18030": lambda text: text.encode("gb18030"),
    "percent-encoding": lambda text: quote(text, safe="").encode(),
    "percent-encoding, small": lambda text: quote(text, safe="").lower().encode(),
    "percent-encoding of GB18030": lambda text: quote(text.encode("gb18030"), safe="").encode(),
    "JSON escapes": lambda text: text.encode("ascii", "backslashreplace"),
    **{f"base64, {lead}": _aligned(lead) for lead in range(3)},
    **{f"base64 for URLs, {lead}": _aligned(lead, for_urls=True) for lead in range(3)},
    **{name: _digest(name) for name in ("md5", "sha1", "sha256")},
    **{f"{name}, hex": _hex(name, str.lower) for name in ("md5", "sha1", "sha256")},
    **{f"{name}, HEX": _hex(name, str.upper) for name in ("md5", "sha1", "sha256")},
}


class Needles:
    """What to search for: these texts, in every form of at least eight bytes."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = texts
        self._forms = list(FORMS.items())
        self.longest = 0
        parts = [self._windows(number) for number in range(len(self._forms))]
        windows = np.concatenate([part for part, _ in parts])
        order = np.argsort(windows, kind="stable")
        self._sorted = windows[order]
        self._of = np.concatenate([of for _, of in parts])[order]
        self._form = np.repeat(np.arange(len(parts)), [len(part) for part, _ in parts])[order]
        bits = max(16, (len(windows) * _LOAD).bit_length())
        self._shift = np.uint64(64 - bits)
        self._table = np.zeros(1 << bits, np.bool_)
        self._table[self._places(windows)] = True

    def _windows(self, form: int) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        """The last eight bytes of every text in this form, and whose they are."""
        make = self._forms[form][1]
        made = [(number, make(text)) for number, text in enumerate(self._texts)]
        self.longest = max(self.longest, *(len(data) for _, data in made))
        kept = [(number, data[-WINDOW:]) for number, data in made if len(data) >= WINDOW]
        joined = b"".join(data for _, data in kept)
        return np.frombuffer(joined, "<u8"), np.array([number for number, _ in kept], np.int64)

    def _places(self, windows: NDArray[np.uint64]) -> NDArray[np.uint64]:
        return (windows * _MIX) >> self._shift

    def in_bytes(self, data: bytes) -> set[Hit]:
        """Every text that stands there, in any form."""
        found: set[Hit] = set()
        for shift in range(WINDOW):
            size = (len(data) - shift) // WINDOW
            if size <= 0:
                break
            windows = np.frombuffer(data, "<u8", size, shift)
            for at in np.flatnonzero(self._table[self._places(windows)]).tolist():
                end = shift + (at + 1) * WINDOW
                found.update(self._ending(windows[at], data[max(0, end - self.longest) : end]))
        return found

    def _ending(self, window: np.uint64, before: bytes) -> Iterator[Hit]:
        """What ends where this window does, `before` being all up to there."""
        first = int(np.searchsorted(self._sorted, window, "left"))
        last = int(np.searchsorted(self._sorted, window, "right"))
        for at in range(first, last):
            name, make = self._forms[int(self._form[at])]
            if before.endswith(make(self._texts[int(self._of[at])])):
                yield Hit(int(self._of[at]), name)

    def in_file(self, path: Path) -> set[Hit]:
        """The same of a file, of any size."""
        found: set[Hit] = set()
        kept = b""
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                found |= self.in_bytes(kept + chunk)
                kept = (kept + chunk)[-self.longest :]
        return found
