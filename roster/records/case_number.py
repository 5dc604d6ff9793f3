"""Case numbers in nine bytes, wherever their form allows it.

A Chinese case number reads (year)court kind number号, as in (2018)京0105执1234号: the form
that the Supreme People's Court prescribed in 2015 (法〔2015〕137号). Any other form is left
to the caller, who keeps it as text: `pack` only answers where `unpack` gives it back exactly.
"""

from __future__ import annotations

import re
import struct

PROVINCES = "京津冀晋内辽吉黑沪苏浙皖闽赣鲁豫鄂湘粤桂琼渝川贵云藏陕甘青宁新兵港澳台黔"
KINDS = ("执", "执恢", "执保", "执异", "执复", "执监", "执他", "民初", "民终", "刑初", "行初")
SIZE = 9

_FORM = re.compile(
    rf"([(（])([12][0-9]{{3}})[)）]([{PROVINCES}])([0-9]{{0,4}})"
    rf"({'|'.join(sorted(KINDS, reverse=True))})([1-9][0-9]{{0,6}})号"
)
_HEAD = struct.Struct(">BHBH")
_PROVINCE = {name: index for index, name in enumerate(PROVINCES)}
_KIND = {name: index for index, name in enumerate(KINDS)}
_PARENTHESES = {"(": ")", "（": "）"}
_WIDE = 0x80


def pack(case: str) -> bytes | None:
    """The case number in `SIZE` bytes, or None where its form is another."""
    match = _FORM.fullmatch(case)
    if match is None:
        return None
    opening, year, province, digits, kind, number = match.groups()
    if case[5] != _PARENTHESES[opening]:
        return None
    head = (_WIDE if opening == "（" else 0) | len(digits) << 4 | _KIND[kind]
    court = int(digits) if digits else 0
    return _HEAD.pack(head, int(year), _PROVINCE[province], court) + int(number).to_bytes(3)


def unpack(packed: bytes) -> str:
    """The case number that `pack` was given."""
    head, year, province, court = _HEAD.unpack_from(packed)
    digits = head >> 4 & 7
    opening = "（" if head & _WIDE else "("
    text = f"{court:0{digits}d}" if digits else ""
    number = int.from_bytes(packed[6:9])
    return (
        f"{opening}{year}{_PARENTHESES[opening]}{PROVINCES[province]}{text}"
        f"{KINDS[head & 0xF]}{number}号"
    )
