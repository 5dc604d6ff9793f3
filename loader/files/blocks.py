"""Text files cut into blocks of whole rows: lines between which no quotes are open.

Cutting is for one process that reads, parsing for many. A quoted CSV cell may hold line breaks,
so both must agree where a row ends: both ask here. A stray quote costs its own row only, never
the rest of the file.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator

import msgspec
import numpy as np

from loader.columns.columns import Bools, Numbers, Octets
from loader.columns.sheets import LINE_MAX_BYTES, Block

QUOTE, COMMA, FEED, RETURN = b'",\n\r'
BLOCK_BYTES = 1 << 20
"""Packing by column costs 3 ms a block whatever its size: half of this takes 15 % more CPU."""


class Marks(msgspec.Struct, frozen=True):
    """Where the quotes, commas and line feeds of whole lines are.

    A line feed is before the first octet of the text, and any octet behind its last. `open` is
    whether a quote is open behind each mark, were the first quote to open one; `feeds` are the
    marks that end a line.
    """

    octets: Octets
    at: Numbers
    kinds: Octets
    open: Octets
    feeds: Numbers

    @property
    def lines(self) -> int:
        """How many there are."""
        return len(self.feeds)

    def firsts(self, lines: Numbers) -> Numbers:
        """The first mark in each line."""
        found: Numbers = np.where(lines > 0, self.feeds[lines - 1] + 1, 0)
        return found

    def bases(self, lines: Numbers) -> Octets:
        """What `open` is where each line begins."""
        found: Octets = np.where(lines > 0, self.open[self.feeds[lines - 1]], np.uint8(0))
        return found

    def begins(self, lines: Numbers) -> Numbers:
        """Where each line begins."""
        found: Numbers = np.where(lines > 0, self.at[self.feeds[lines - 1]] + 1, 1)
        return found

    def ends(self, lines: Numbers) -> Numbers:
        """Where each line's feed is."""
        found: Numbers = self.at[self.feeds[lines]]
        return found


class Spans(msgspec.Struct, frozen=True):
    """The rows of more than one line: their first lines and their last.

    `torn` are lines with an open quote that nothing closes; `decided` is how many lines of the
    text are clear, whatever follows.
    """

    firsts: Numbers
    lasts: Numbers
    torn: Numbers
    decided: int


def marks_of(octets: Octets) -> Marks:
    """The marks of a text, which begins with the second octet and ends before the last."""
    mask = (octets == QUOTE) | (octets == COMMA)
    mask |= octets == FEED
    mask[0] = mask[-1] = False
    at = np.flatnonzero(mask)
    kinds = octets[at]
    opened: Octets = np.cumsum(kinds == QUOTE, dtype=np.uint8) & np.uint8(1)
    return Marks(octets, at, kinds, opened, np.flatnonzero(kinds == FEED))


def spans_of(marks: Marks, width: int, *, last: bool) -> Spans:
    """The rows of more than one line; without `last`, more lines may follow."""
    behind = marks.open[marks.feeds]
    before = np.concatenate([np.zeros(1, np.uint8), behind[:-1]])
    odd = np.flatnonzero(behind != before)
    pairs, torn = np.arange(0, len(odd), 2), [0] * 0
    decided = marks.lines
    if len(odd) % 2 or not _are_rows(marks, odd[pairs], odd[pairs + 1], width).all():
        pairs, torn, undecided = _scanned(marks, odd, width)
        if undecided is not None:
            torn, decided = [*torn, undecided], int(odd[undecided])
    return Spans(odd[pairs], odd[pairs + 1], odd[torn], marks.lines if last else decided)


def judged(marks: Marks, bases: int | Octets) -> tuple[Bools, Numbers]:
    """Which marks are strays, and where the first is of two quotes that stand for one.

    A stray quote neither begins nor ends a cell, nor is one of two. `bases` is what `open` is
    where the row of each mark begins.
    """
    stray = marks.kinds == QUOTE
    which = np.flatnonzero(stray)
    at = marks.at[which]
    opens = marks.open[which] != (bases if isinstance(bases, int) else bases[which])
    behind = marks.octets[at + 1]
    beside = np.where(opens, marks.octets[at - 1], behind)
    fits = (beside == COMMA) | (beside == QUOTE) | (beside == FEED)
    returns = np.flatnonzero(~opens & (behind == RETURN))
    fits[returns] = marks.octets[at[returns] + 2] == FEED  # what returns is not the last octet
    stray[which] = ~fits
    return stray, at[~opens & (behind == QUOTE)]


def _are_rows(marks: Marks, firsts: Numbers, lasts: Numbers, width: int) -> Bools:
    """Which of these lines, up to those, are plainly rows with quotes as they should be."""
    begins, ends = marks.begins(firsts), marks.ends(lasts)
    good = (ends - begins <= LINE_MAX_BYTES) & ~_hold(unfit(marks.octets), begins, ends)
    at, end = marks.firsts(firsts), marks.feeds[lasts]
    bases = marks.bases(firsts)
    for base in np.unique(bases).tolist():
        bad = _sums(judged(marks, base)[0])
        commas = _sums((marks.kinds == COMMA) & (marks.open == base))
        fits = (bad[end] == bad[at]) & (commas[end] - commas[at] == width - 1)
        good &= fits | (bases != base)
    return good


def unfit(octets: Octets) -> Numbers:
    """Where NUL is, or what ends a line elsewhere than csv does."""
    nuls, returns = np.flatnonzero(octets[1:-1] == 0) + 1, np.flatnonzero(octets[:-1] == RETURN)
    return np.sort(np.concatenate([nuls, returns[octets[returns + 1] != FEED]]))


def _sums(marked: Bools) -> Numbers:
    """How many are marked before each place."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(marked)])


def _scanned(marks: Marks, odd: Numbers, width: int) -> tuple[Numbers, list[int], int | None]:
    """By index in `odd`: what begins a row, what is torn, and what is still open at the end."""
    plain = _are_rows(marks, odd[:-1], odd[1:], width).tolist()
    begins, ends = marks.begins(odd), marks.ends(odd)
    nuls = _hold(np.flatnonzero(marks.octets == 0), begins, ends)
    pairs, torn, index = [], [], 0
    while index < len(plain):
        record = marks.octets[begins[index] : ends[index + 1]]
        if plain[index] or (not nuls[index] and _is_row(record, width)):
            pairs.append(index)
            index += 2
        else:
            torn.append(index)
            index += 1
    found = np.array(pairs, np.int64)
    if index == len(odd):
        return found, torn, None
    if nuls[index] or len(marks.octets) - begins[index] > LINE_MAX_BYTES:
        return found, [*torn, index], None
    return found, torn, index


def _is_row(record: Octets, width: int) -> bool:
    """As csv has it, which takes quotes in the middle of a cell."""
    if len(record) > LINE_MAX_BYTES:
        return False
    # Quotes and commas are single bytes in both encodings, never part of another character.
    try:
        rows = list(csv.reader([record.tobytes().decode("latin-1")], strict=True))
    except csv.Error:
        return False
    return len(rows) == 1 and len(rows[0]) == width


def _hold(places: Numbers, begins: Numbers, ends: Numbers) -> Bools:
    """Which of these pieces hold one of the places."""
    found: Bools = np.searchsorted(places, begins) < np.searchsorted(places, ends)
    return found


def cut(
    chunks: Iterable[bytes], first_line: int, width: int | None, block_bytes: int = BLOCK_BYTES
) -> Iterator[Block]:
    """Blocks of whole rows; `width` is the number of cells of a CSV row, None if it is none.

    A line longer than `LINE_MAX_BYTES` comes out as one that no parser accepts, so that
    memory stays bounded whatever the file is.
    """
    pending: list[bytes] = []
    size = 0
    for chunk in chunks:
        pending.append(chunk)
        size += len(chunk)
        if size >= block_bytes:
            data = b"".join(pending)
            end = _end(data, width)
            if end:
                yield Block(first_line, data[:end])
                first_line += data.count(b"\n", 0, end)
            rest = data[end:]
            # NUL makes a line malformed; what follows of this one is added to it.
            pending = [b"\0" if len(rest) > LINE_MAX_BYTES and b"\n" not in rest else rest]
            size = len(pending[0])
    if data := b"".join(pending):
        yield Block(first_line, data)


def _end(data: bytes, width: int | None) -> int:
    """Where the last whole row of the data ends."""
    end = data.rfind(b"\n") + 1
    if width is None or data.find(b'"', 0, end) < 0:
        return end
    marks = marks_of(np.frombuffer(b"".join((b"\n", data[:end], b"\n")), np.uint8))
    decided = spans_of(marks, width, last=False).decided
    return int(marks.at[marks.feeds[decided - 1]]) if decided else 0
