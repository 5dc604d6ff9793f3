"""The number in a cell that a spreadsheet, a data frame or a hand has put something around.

Something is taken away only where one reading is left: what stands behind an unknown word may
be somebody else's number. `number_fault` tells what is left and can be no document of its type.
"""

from __future__ import annotations

import re
import unicodedata

from roster.documents.identity import DocumentType, Normalised, is_masked
from roster.documents.issuers import STATE_OF
from roster.documents.spelling import trimmed

EXACT_BELOW = 1 << 53
"""From here on a float of 64 bits has lost digits."""

_QUOTES = (
    r"=\"'`\\\u00b4\u0300\u0301\u02bb\u02bc\u02ca\u02cb\u2018-\u201f\u2032-\u2037\u2039\u203a\u00ab"
    r"\u00bb\u300c-\u300f\u301d-\u301f"
)
_STOPS = r".,;:!\u3001\u3002"
_BLANKS = r"\s\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff"
_BEFORE = re.compile(f"[{_QUOTES}{_BLANKS}]+")
_AFTER = re.compile(f"(?:(?<![{_STOPS}])[{_STOPS}])?[{_QUOTES}{_BLANKS}]*$")
_PAIRS = {"(": ")", "[": "]", "{": "}", "<": ">", "【": "】", "〔": "〕", "《": "》", "〈": "〉"}
_FLOAT = re.compile(r"([0-9]+)\.0+")

# Labels: words one after the other, with what may stand between them. A word about somebody
# else (the father's, the agent's) is none of them.
_ANYBODYS = (
    "有效", "本人", "证件", "證件", "证照", "类型", "号码", "號碼", "编号", "號", "号", "码", "证",
    "證", "为", "是", "名称", "id", "card", "number", "num", "no", "nr", "doc", "document", "type",
    "of", "the", "n°",
)  # fmt: skip
_RESIDENTS = (
    "中华人民共和国", "中国", "中國", "居民", "公民", "第二代", "第一代", "二代", "一代", "临时",
    "港澳台", "港澳", "台湾", "身份", "身分", "居住", "户口簿", "户口本", "户口", "identity",
    "identification", "resident", "citizen", "national", "chinese", "china", "prc", "sfzhm",
    "sfzh", "sfz", "zjhm", "zjh", "cn",
)  # fmt: skip
_LABELS: dict[DocumentType, tuple[str, ...]] = {
    "resident_id": _RESIDENTS,
    "permanent_resident_id": (
        *_RESIDENTS, "外国人", "外国", "外籍", "永久", "居留", "永居", "permanent", "residence",
    ),
    "hk_macao_permit": (
        "港澳", "香港", "澳门", "居民", "同胞", "来往", "内地", "大陆", "通行", "回乡", "返乡",
        "permit", "travel", "mainland", "home", "return", "hkmt", "hrp",
    ),
    "taiwan_permit": (
        "台湾", "臺灣", "台灣", "台胞", "臺胞", "居民", "同胞", "来往", "大陆", "内地", "通行",
        "permit", "travel", "mainland", "taiwan", "tbz",
    ),
    "passport": (
        "护照", "護照", "中华人民共和国", "中国", "普通", "因私", "因公", "公务", "外交", "外国",
        "passport", "pass", "ppt", "pp",
    ),
    "other": (
        "军官", "士兵", "文职", "军人", "警官", "警察", "海员", "旅行", "出生", "医学", "证明",
        "certificate", "seaman", "military", "police", "travel", "birth",
    ),
}  # fmt: skip
_BETWEEN = rf"{_BLANKS}:.#_/\-"
_DIGITS_ONLY = frozenset({"resident_id", "taiwan_permit", "hk_macao_permit"})
"""Their numbers begin with no letters but a permit's H and M: a Latin word needs no stop."""
_SERIES_PLACES = len("H12345678")
"""No label is left out of a number that is as short as this."""
# What can be no number of a document.
_BLOTS = (
    r"#?_\u2022\u00b7\u25cb\u25ef\u3007\u25a0-\u25a2\u2588\u2591-\u2593\u25c6\u25c7\u00d7\u2715\u2716"
    r"\u0425\u03a7"
)
_BLOTTED = re.compile(rf"[{_BLOTS}]{{2,}}|\.{{3,}}|X{{4,}}")
_HASH = re.compile(r"[0-9A-F]{32,}")
_SHORT_HASH = re.compile(r"(?=(?:.*[A-F]){3})[0-9A-F]{16}")
_IN_BASE64 = re.compile(r"(?=.*[a-z])(?=.*[A-Z])(?=.*[0-9])[0-9A-Za-z+/_-]{22,}={0,2}")
_NOTHING = re.compile(r"[^0-9]*|[^1-9A-Za-z]*|#.*", re.DOTALL)
"""No digit, nothing but zeros, or an error of a spreadsheet's."""
_NUMERIC = re.compile(r"[0-9]+\.[0-9]*(?:E[0-9+-]+)?|[0-9]+E[+-][0-9]+")
_SHAPES = {
    "R": re.compile(r"[0-9]{15}|[0-9]{17}[0-9X]"),
    "P": re.compile(r"[A-Z]{3}[0-9]{12}|9[0-9]{16}[0-9X]"),
    "H": re.compile(r"[A-Z][0-9]{8}(?:[0-9]{2})?"),
}
_PREFIXES = {"W": 2, "O": 3}
"""How many colons stand before the number, where it is not one."""
_CHINESE = re.compile(r"(?=(?:.*[0-9]){6})[0-9A-Z]{7,10}")


def _label(type_: DocumentType) -> re.Pattern[str]:
    words = sorted((*_ANYBODYS, *_LABELS[type_]), key=len, reverse=True)
    han = "|".join(word for word in words if not word.isascii())
    latin = "|".join(word for word in words if word.isascii())
    if type_ in _DIGITS_ONLY:
        return re.compile(rf"(?:(?:{han}|{latin})[{_BETWEEN}]*)+|:", re.IGNORECASE)
    end = rf":|(?:{han})|(?:{latin})[{_BETWEEN}]|passport"
    if type_ == "other":  # a word may be part of the number
        end = ":"
    words_before = rf"(?:(?:{han}|{latin})[{_BETWEEN}]*)*"
    return re.compile(rf"{words_before}(?:{end})[{_BETWEEN}]*", re.IGNORECASE)


_LABEL = {type_: _label(type_) for type_ in _LABELS}


def unwrapped(text: str, type_: DocumentType) -> str:
    """The number without what is around it, where one reading is left; else as it is."""
    if text.isascii() and text.isalnum() and (text[0].isdigit() or len(text) <= _SERIES_PLACES):
        return text
    text = trimmed(text)
    while text and (less := _less(text, type_)) != text:
        text = less
    return text


def number_fault(text: str, document: Normalised) -> str:
    """Why this is no number of such a document: `masked_number`, `malformed`, or nothing.

    A wrong check digit or birth date is no fault.
    """
    kind = document.number[0]
    number = document.number.split(":", _PREFIXES.get(kind, 1))[-1]
    if is_masked(text) or (_BLOTTED.search(number) and re.search("[0-9]", number)):
        return "masked_number"
    return "" if _possible(kind, number, text, document) else "malformed"


def _less(text: str, type_: DocumentType) -> str:
    """The text without one layer of what is around it."""
    text = unicodedata.normalize("NFKC", text)
    before = _BEFORE.match(text)
    text = _AFTER.sub("", text[before.end() :] if before else text, count=1)
    if _PAIRS.get(text[:1], " ") == text[-1:]:
        return text[1:-1]
    if exact := _FLOAT.fullmatch(text):
        return exact[1] if int(exact[1]) < EXACT_BELOW else text
    label = _LABEL[type_].match(text)
    return text[label.end() :] if label else text


def _possible(kind: str, number: str, text: str, document: Normalised) -> bool:
    """Whether a document of that kind can have the number, but for its check digit."""
    if _NOTHING.fullmatch(text):
        return False
    if kind in _SHAPES:
        return document.valid or _SHAPES[kind].fullmatch(number) is not None
    hashed = _HASH.search(number) or _SHORT_HASH.fullmatch(number) or _IN_BASE64.fullmatch(text)
    if hashed or _NUMERIC.fullmatch(number):
        return False
    chinese = kind == "W" and STATE_OF.get(document.number.split(":")[1]) == "CHN"
    return document.valid or (chinese and _CHINESE.fullmatch(number) is not None)
