"""The dates of the courts' and mirrors' feeds, in the spelling of docs/lists.md, Columns.

The forms that occur are listed in docs/domain.md, Traps. What names no zone is Beijing time.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone

BEIJING = timezone(timedelta(hours=8))

_NOTHING = frozenset({"", "0", "-", "--", "无", "暂无", "null", "none", "nan"})
_MONTHS = {name: index for index, name in enumerate(
    ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), 1
)}  # fmt: skip
_YMD = re.compile(
    r"(\d{4})\s*[-年/.]\s*(\d{1,2})\s*[-月/.]\s*(\d{1,2})\s*日?"
    r"(?:[T\s]*(\d{1,2})[:时](\d{1,2})(?:[:分](\d{1,2})(?:\.\d+)?秒?)?)?\s*(Z|[+-]\d{2}:?\d{2})?"
)
_COMPACT = re.compile(r"(\d{4})(\d{2})(\d{2})(?:(\d{2})(\d{2})(\d{2}))?")
# java.util.Date.toString, and JavaScript's.
_ENGLISH = re.compile(
    r"\w{3} (\w{3}) (\d{1,2})(?: (\d{4}))? (\d{2}):(\d{2}):(\d{2}) (\w*(?:[+-]\d{2}:?\d{2})?)"
    r"(?: (\d{4})| ?\(.*)?"
)
_ONES = "一二三四五六七八九"
_UP_TO_39 = f"(?:[{_ONES}]|[{_ONES}]?[十廿卅][{_ONES}]?)"
_CHINESE = re.compile(f"[〇○零Oo0{_ONES}]{{4}}年{_UP_TO_39}月{_UP_TO_39}日")
_DIGITS = str.maketrans(
    {"廿": "2十", "卅": "3十"} | dict(zip("〇○零Oo" + _ONES, "00000123456789", strict=True))
)
# CST is China's standard time here, not Chicago's.
_ZONES = {"CST": BEIJING, "UTC": UTC, "GMT": UTC, "Z": UTC}
_SECONDS_DIGITS, _MS_DIGITS = 10, 13


def spell(value: object) -> str:
    """A bare date, a time with its offset, nothing, or (where it is no date) what was there.

    Midnight in Beijing is a bare date: such fields hold days, and a term includes its last.
    """
    if isinstance(value, Mapping):  # a date as Java's JSON-lib writes it
        value = value.get("time")
    text = unicodedata.normalize("NFKC", str(value or "")).strip()
    if text.lower() in _NOTHING or text.startswith("0000"):
        return ""
    try:
        moment = _read(text)
    except (ValueError, OverflowError, KeyError):
        moment = None
    return _spelled(moment) if moment else text


def _spelled(moment: datetime) -> str:
    local = moment.astimezone(BEIJING)
    midnight = local == local.replace(hour=0, minute=0, second=0, microsecond=0)
    return local.date().isoformat() if midnight else local.isoformat()


def _read(text: str) -> datetime | None:
    if text.isdecimal() and len(text) in {_SECONDS_DIGITS, _MS_DIGITS}:
        ms = int(text) * (1000 if len(text) == _SECONDS_DIGITS else 1)
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
    if _CHINESE.fullmatch(text):
        text = re.sub(r"(\d?)十(\d?)", _number, text.translate(_DIGITS))
    if found := _YMD.fullmatch(text) or _COMPACT.fullmatch(text):
        numbers = [int(number or 0) for number in found.groups()[:6]]
        zone = found[7] if found.re is _YMD else None
        return datetime(*numbers, tzinfo=_zone(zone or "CST"))  # type: ignore[arg-type, misc]
    if not (found := _ENGLISH.fullmatch(text)):
        return None
    month, day, early, hour, minute, second, zone, late = found.groups()
    numbers = [int(early or late or 0), _MONTHS[month], *map(int, (day, hour, minute, second))]
    return datetime(*numbers, tzinfo=_zone(zone))  # type: ignore[arg-type, misc]


def _zone(name: str) -> timezone:
    """Of a name or an offset; raises KeyError for a name that is neither."""
    if name in _ZONES:
        return _ZONES[name]
    offset = re.fullmatch(r"(?:GMT|UTC)?([+-])(\d{2}):?(\d{2})", name)
    if not offset:
        raise KeyError("zone")
    minutes = timedelta(hours=int(offset[2]), minutes=int(offset[3]))
    return timezone(-minutes if offset[1] == "-" else minutes)


def _number(found: re.Match[str]) -> str:
    """Up to 39, of what is before 十 and behind it."""
    return f"{found[1] or 1}{found[2] or 0}"
