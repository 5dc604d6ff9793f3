"""Bytes as UTF-8, found out fast for what Chinese lists are made of."""

from __future__ import annotations

import numpy as np

from loader.columns.pieces import Octets

_CHUNK_BYTES = 1 << 17  # what a core keeps near
_SURROGATES = b"\xed"
"""What begins halves of pairs, which are no UTF-8, and other characters."""
_WIDTH, _FIRST, _LAST = 3, 0xE1, 0xEF
"""What begins characters of three bytes, but those that begin with 0xe0."""
BEHIND_FIRST = -64
"""Below it, as a signed number, is what is not the first byte of a character."""


_ASCII = bytes((*range(128), *b"?" * 128))


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
    return _is_plain(data) or _is_decoded(data)


def _is_decoded(data: bytes) -> bool:
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
