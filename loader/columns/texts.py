"""Bytes as text: whether they are UTF-8, their blank ends, and the ID numbers in them."""

from __future__ import annotations

import numpy as np

from loader.columns.columns import SHORT_BYTES, Bools, Column, Octets, windows
from loader.columns.digits import CARD_DIGITS, NINE, ZERO, births
from roster.documents.check_digits import holds_id_number
from roster.documents.spelling import trimmed

_CHUNK_BYTES = 1 << 17  # what a core keeps near
_SURROGATES = b"\xed"
"""What begins halves of pairs, which are no UTF-8, and other characters."""
_WIDTH, _FIRST, _LAST = 3, 0xE1, 0xEF
"""What begins characters of three bytes, but those that begin with 0xe0."""
BEHIND_FIRST = -64
"""Below it, as a signed number, is what is not the first byte of a character."""


_ASCII = bytes((*range(128), *b"?" * 128))
_LIKELY = CARD_DIGITS - 1
"""So many digits or gaps have to follow each other (roster/documents/check_digits.py)."""
_LAST_YEAR = "20991231"
_IDEOGRAPHS = range(0xE4, 0xEA)
"""How UTF-8 begins what lies from U+4000 to U+9FFF: all of it is visible, nothing a digit."""
_ASCII_END = 0x80


def utf8_of(data: bytes, encoding: str) -> tuple[bytes, list[int]]:
    """The text in UTF-8, and the lines that are no text, in which all but ASCII is `?`."""
    if encoding == "utf-8":
        if is_utf8(data):
            return data, []
    else:
        try:
            return data.decode(encoding).encode(), []
        except UnicodeError:
            pass
    lines, broken = data.split(b"\n"), []
    for index, line in enumerate(lines):
        try:
            lines[index] = line.decode(encoding).encode()
        except UnicodeError:
            lines[index] = line.translate(_ASCII)
            broken.append(index)
    return b"\n".join(lines), broken


def is_utf8(data: bytes) -> bool:
    """Whether it is."""
    if _is_plain(data):
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _is_plain(data: bytes) -> bool:
    """Whether all is ASCII or of three bytes a character; False where that is not clear."""
    at, end = 0, len(data)
    while at < end:
        last = at + _CHUNK_BYTES >= end
        cut = end if last else data.rfind(b"\n", at, at + _CHUNK_BYTES) + 1
        if not cut or not _are_plain(np.frombuffer(data, np.uint8, cut - at, at)):
            return False
        at = cut
    return _SURROGATES not in data


def _are_plain(octets: Octets) -> bool:
    if len(octets) < _WIDTH:
        return False
    signed = octets.view(np.int8)
    first, behind = octets - np.uint8(_FIRST) <= _LAST - _FIRST, signed < BEHIND_FIRST
    if behind[0] or behind[1] != first[0] or first[-2:].any():
        return False
    if not np.array_equal(first[:-2] | first[1:-1], behind[2:]):
        return False
    # Two are behind each first one, and none elsewhere: is anything else no ASCII?
    return bool(np.count_nonzero(signed < 0) == _WIDTH * np.count_nonzero(first))


def _table(*octets: int) -> Bools:
    table = np.zeros(256, np.bool_)
    table[list(octets)] = True
    return table


_BLANK = _table(ord(" "), ord("\t"))
_PARTING = _table(*b' \t,;"\r\n\0')
"""What stands between cells."""
_WIDE, _VISIBLY_WIDE = 0xEF, _table(0xBC, 0xBD)
_VISIBLE = _table(*range(0x21, 0x7F), *_IDEOGRAPHS)
_GAP = _table(*b"\t\n\v\f\r\x1c\x1d\x1e\x1f -")
_NO_PART = _table(*_IDEOGRAPHS, *range(0x80)) & ~_GAP & ~_table(*b"0123456789")
"""What neither digits nor the gaps between them hold in any of their bytes."""


def may_be_padded(text: bytes) -> bool:
    """Whether cells of this text may begin or end with a blank."""
    if b" " not in text and b"\t" not in text:
        return False
    octets = np.frombuffer(text, np.uint8)
    blanks = np.flatnonzero(_BLANK[octets])
    return bool(_PARTING[octets[blanks - 1]].any() or _PARTING[octets[blanks + 1]].any())


def stripped(column: Column) -> Column:
    """The cells without blanks at their ends, but long ones."""
    octets = np.frombuffer(column.text, np.uint8)
    starts, ends = column.starts.copy(), column.starts + column.sizes
    short = column.sizes <= SHORT_BYTES
    while (blank := short & (starts < ends) & _BLANK[octets[starts]]).any():
        starts += blank
    while (blank := short & (starts < ends) & _BLANK[octets[ends - 1]]).any():
        ends -= blank
    return Column(column.text, starts, ends - starts)


def identifying(column: Column) -> Column:
    """The cells without what `trimmed` takes off their ends."""
    octets = np.frombuffer(column.text, np.uint8)
    starts, sizes = column.starts, column.sizes
    first, last = octets[starts], octets[starts + sizes - 1]
    clear = _VISIBLE[first] & _VISIBLE[last]
    if not clear.all():
        before = octets[starts + sizes - 3]
        wide = _VISIBLE[before] | (before == _WIDE) & _VISIBLY_WIDE[octets[starts + sizes - 2]]
        clear = np.where(last < _ASCII_END, _VISIBLE[last], wide & (before >= _ASCII_END))
        clear &= _VISIBLE[first] | (first == _WIDE) & _VISIBLY_WIDE[octets[starts + 1]]
    unclear = np.flatnonzero(~clear & (sizes > 0)).tolist()
    if unclear:
        starts, sizes = starts.copy(), sizes.copy()
        for index in unclear:
            text = column.at(index)
            kept = trimmed(text)
            starts[index] += len(text[: text.index(kept)].encode())
            sizes[index] = len(kept.encode())
    return Column(column.text, starts, sizes)


def longer_than(column: Column, most: int) -> Bools:
    """Which cells have more characters."""
    longer: Bools = column.sizes > most
    for index in np.flatnonzero(longer).tolist():
        longer[index] = len(column.at(index)) > most
    return longer


class IdNumberFinder:
    """Finds the cells of a block that hold an ID number."""

    def __init__(self, text: bytes) -> None:
        """`text` is what all columns are of."""
        runs = ~_NO_PART[np.frombuffer(text, np.uint8)]
        size = 1
        while size < _LIKELY:
            step = min(size, _LIKELY - size)
            runs = runs[:-step] & runs[step:]
            size += step
        self._likely = np.flatnonzero(runs)

    def holding(self, column: Column) -> Bools:
        """Which cells hold one: what `holds_id_number` says."""
        found = np.zeros(len(column), np.bool_)
        long = np.flatnonzero(column.sizes >= CARD_DIGITS)
        if not len(long):
            return found
        starts, sizes = column.starts[long], column.sizes[long]
        first = np.searchsorted(self._likely, starts)
        last = np.searchsorted(self._likely, starts + sizes - _LIKELY, "right")
        long = long[last > first]
        if len(long):
            long = long[_may_hold(column.chosen(long))]
            found[long] = [holds_id_number(column.at(index)) for index in long.tolist()]
        return found


def _may_hold(column: Column) -> Bools:
    """Which cells hold the digits of an ID number or of a birth at least, or are not clear."""
    most = min(int(column.sizes.max()), SHORT_BYTES)
    octets = column.words(most).view(np.uint8)
    unclear: Bools = (column.sizes > SHORT_BYTES) | (octets >= _ASCII_END).any(1)
    kept = (octets != 0) & ~_GAP[octets]
    closed = np.zeros((len(octets), octets.shape[1] + CARD_DIGITS), np.uint8)
    rows, _ = np.nonzero(kept)
    closed[rows, (kept.cumsum(1) - 1)[kept]] = octets[kept]
    digits = closed - np.uint8(ZERO)
    runs = digits <= NINE
    for step in (1, 2, 4, 8, 1):
        runs = runs[:, :-step] & runs[:, step:]
    rows, places = np.nonzero(runs)
    found = windows(digits.tobytes(), CARD_DIGITS)[rows * digits.shape[1] + places]
    table: Octets = np.ascontiguousarray(found.view(np.uint8).reshape(-1, CARD_DIGITS).T)
    unclear[rows[births(table[6:14], _LAST_YEAR)]] = True
    return unclear
