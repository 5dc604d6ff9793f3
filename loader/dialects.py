"""The courts' own feeds as rows: `zxgk` and `xycj` (DOMAIN.md 3a to 3c and 3f).

Only unmasked feeds are of use; what is masked ends as `masked_number` in the rejects, and
masks are never filled in. Firms do not travel: they end as `organisation`.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping

from loader.dates import spell
from loader.firms import folded, is_firm_number
from loader.layout import COLUMNS, Dialect, Torn, whole

Record = Mapping[str, object]

_SITE_ID = re.compile(r"[?&]id=([0-9]+)")
_SEXES = frozenset({"男", "女", "男性", "女性"})
_CODED_SEX = "09_00003"
_FIRM_WORDS = ("法人", "组织", "企业", "公司", "单位", "机构")
_PERSON, _FIRM = "580", "581"
UNSAID, IS_PERSON, IS_FIRM = range(3)

# What XYCJ calls a document (ZJLXMC): the first word that occurs in it counts.
DOCUMENT_WORDS: tuple[tuple[str, str, str, str], ...] = (
    ("信用代码", "organisation", "", ""),
    ("机构代码", "organisation", "", ""),
    ("营业执照", "organisation", "", ""),
    ("永久居留", "permanent_resident_id", "", ""),
    ("居住证", "resident_id", "", ""),
    ("台胞证", "taiwan_permit", "", ""),
    ("台湾", "taiwan_permit", "", ""),
    ("回乡证", "hk_macao_permit", "", ""),
    ("港澳", "hk_macao_permit", "", ""),
    ("护照", "passport", "", ""),
    ("海员证", "other", "CHN", "seaman"),
    ("旅行证", "other", "CHN", "travel_document"),
    ("出生", "other", "CHN", "birth_certificate"),
    ("警官", "other", "CHN", "police"),
    ("军官", "other", "CHN", "military"),
    ("士兵", "other", "CHN", "military"),
    ("文职", "other", "CHN", "military"),
    ("军人", "other", "CHN", "military"),
    ("身份证", "resident_id", "", ""),
    ("户口", "resident_id", "", ""),
)
# Where no word says it, the number's shape does.
_DOCUMENT_SHAPES = (
    (re.compile(r"[HM][0-9]{8}(?:[0-9]{2})?"), "hk_macao_permit", ""),
    (re.compile(r"[0-9]{8}(?:[0-9]{2})?"), "taiwan_permit", ""),
    (re.compile(r"[A-Z]{3}[0-9]{12}"), "permanent_resident_id", ""),
    (re.compile(r"(?:[GEDPS][0-9]|E[A-HJ-NP-Z])[0-9]{7}"), "passport", "CHN"),
    # Typing errors in a long number included: what was listed is found as spelled.
    (re.compile(r"[0-9]{9,}.*|.*\*.*"), "resident_id", ""),
)
_CHINESE_PASSPORT = _DOCUMENT_SHAPES[3][0]

_REMOVAL_WORDS = (
    ("履行", "performed"), ("执行完毕", "performed"), ("和解", "settled"),
    ("申请执行人", "creditor_request"), ("无财产", "no_assets"), ("破产", "bankruptcy"),
    ("审判监督", "bankruptcy"), ("不予执行", "not_enforceable"), ("终结", "terminated"),
    ("错误", "error"), ("有误", "error"), ("期满", "expired"), ("届满", "expired"),
)  # fmt: skip
_SUSPENSION_WORDS = (("异议", "dispute"), ("复议", "review"), ("审查", "review"))


def rows_of(dialect: Dialect, value: object) -> Iterator[list[str]]:
    """The rows that one JSON value holds: a record, a page of them, or an array of either."""
    return (row_of(dialect, record) for record in records_of(value))


def records_of(value: object) -> Iterator[Record | None]:
    """The records that one JSON value holds; None for what is none."""
    if isinstance(value, list):
        for part in value:
            yield from records_of(part)
    elif not isinstance(value, dict):
        yield None
    elif isinstance(page := value.get("result", value.get("data")), list):
        yield from records_of(page)
    else:
        yield value


def row_of(dialect: Dialect, record: Record | None) -> list[str]:
    """The row that a record is."""
    if record is None:
        return Torn()
    return _xycj(record) if dialect == "xycj" else _zxgk(record)


def _zxgk(record: Record) -> list[str]:
    record = with_inner(record)
    # A table of both kinds has the fields of both in every row.
    if _text(record, "XM", "AH") and not _text(record, "iname", "caseCode"):
        return _restricted(record)
    if "iname" in record or "caseCode" in record:
        return _defaulter(record)
    return _restricted(record) if "XM" in record or "AH" in record else Torn()


def with_inner(record: Record) -> Record:
    """`jsonObject` repeats the record as JSON in a string, with raw control characters."""
    try:
        inner = json.loads(_text(record, "jsonObject") or "{}", strict=False)
    except (ValueError, RecursionError):
        return record
    return {**inner, **record} if isinstance(inner, dict) else record


def _defaulter(record: Record) -> list[str]:
    """3a and 3b: the list of defaulters (`sx`), from the court's site or a mirror."""
    number, case = _text(record, "cardNum"), _text(record, "caseCode")
    type_, issuer = shape(number)
    return _row(
        {
            "list": "sx",
            "entry_id": _text(record, "id") or entry_id(_text(record, "loc"), case),
            "document_type": "organisation" if _is_firm(record, number) else type_,
            "document_number": number,
            "document_issuer": issuer,
            "name": _text(record, "iname"),
            "updated_at": spell(record.get("lastmod") or record.get("_update_time")),
            "from": spell(record.get("publishDate")) or spell(record.get("publishDateStamp")),
            "case": case,
            "court": _text(record, "courtName"),
        }
    )


def _restricted(record: Record) -> list[str]:
    """3c: restricted consumption (`xgl`); `QY_MC` is the firm because of which, if any."""
    number, case = _text(record, "cardNum", "ZJHM", "sfzhm", "partyCardNum"), _text(record, "AH")
    type_, issuer = shape(number)
    stated = court(_text(record, "ZXFYMC"))
    return _row(
        {
            "list": "xgl",
            "entry_id": _text(record, "id", "ID") or entry_id("", case),
            "document_type": type_,
            "document_number": number,
            "document_issuer": issuer,
            "name": _text(record, "XM"),
            "case": case,
            "court": stated or _text(record, "courtName"),
        }
    )


def _xycj(record: Record) -> list[str]:
    """3f: the exchange table, the one source with a life-cycle."""
    number = _text(record, "ZJHM")
    type_, issuer, kind = _xycj_document(record, number)
    revoked, suppressed = spell(record.get("CXSJ")), spell(record.get("PBSJ"))
    state = "removed" if revoked else "suspended" if suppressed else "active"
    published = spell(record.get("FBSJ"))
    if not published and state == "active" and type_ != "organisation":
        type_ = "unpublished"
    return _row(
        {
            "list": "sx",
            "entry_id": _text(record, "ID"),
            "document_type": type_,
            "document_number": number,
            "document_issuer": issuer,
            "document_kind": kind,
            "name": _text(record, "BZXRMC"),
            "updated_at": spell(record.get("LASTUPDATE")),
            "state": state,
            "from": published,
            "until": spell(record.get("JZSJ")),
            "case": _text(record, "AH"),
            "court": _text(record, "ZXFYMC"),
            "decided_at": revoked or suppressed,
            "reason": _xycj_reason(record, state),
        }
    )


def _xycj_document(record: Record, number: str) -> tuple[str, str, str]:
    word = _text(record, "ZJLXMC")
    firm = is_firm_party(_text(record, "BZXRLXMC"))
    if firm or (not number and _text(record, "ZZJGDM")):
        return "organisation", "", ""
    if not (code := word_code(word)):
        return *shape(number), ""
    _, type_, issuer, kind = DOCUMENT_WORDS[code - 1]
    return type_, "CHN" if type_ == "passport" and is_chinese(word, number) else issuer, kind


def is_firm_party(text: str) -> bool:
    """Whether a kind of party is one of firms."""
    return any(firm in text for firm in _FIRM_WORDS)


def word_code(text: str) -> int:
    """Which of `DOCUMENT_WORDS` calls the document so, counted from 1; 0 if none."""
    words = enumerate(DOCUMENT_WORDS, 1)
    return next((code for code, (word, *_) in words if word in text), 0)


def _xycj_reason(record: Record, state: str) -> str:
    if state == "removed":
        return removal_reason(_text(record, "CXYYMC"))
    return suspension_reason(_text(record, "PBYYMC")) if state == "suspended" else ""


def removal_reason(text: str) -> str:
    """Why an entry was revoked."""
    return _by_word(_REMOVAL_WORDS, text, "revoked")


def suspension_reason(text: str) -> str:
    """Why an entry was suppressed."""
    return _by_word(_SUSPENSION_WORDS, text, "court_order")


def _by_word(words: tuple[tuple[str, str], ...], text: str, default: str) -> str:
    return next((reason for word, reason in words if word in text), default)


def _row(cells: dict[str, str]) -> list[str]:
    return whole([cells.get(column, "") for column in COLUMNS])


def _text(record: Record, *fields: str) -> str:
    """The first of the fields that says something."""
    for field in fields:
        value = record.get(field)
        if value is not None and not isinstance(value, (dict, list, bool)):
            text = str(value).strip()
            if text and text.lower() != "null":
                return text
    return ""


def entry_id(address: str, case: str) -> str:
    """Of a row without an id: that in its address, or its case's, with half-width brackets."""
    site_id = _SITE_ID.search(address)
    return site_id[1] if site_id else unicodedata.normalize("NFKC", case)


def court(text: str) -> str:
    """What a field says that may hold the sex instead, as crawlers found it."""
    return "" if text in _SEXES or text.startswith(_CODED_SEX) else text


def shape(number: str) -> tuple[str, str]:
    """Document type and issuer of a number of which no field says what it is."""
    text = folded(number)
    if not text:
        return "resident_id", ""
    for pattern, type_, issuer in _DOCUMENT_SHAPES:
        if pattern.fullmatch(text):
            return type_, issuer
    return "unknown", ""


def is_chinese(word: str, number: str) -> bool:
    """Whether a passport is, which nothing calls foreign."""
    return "外" not in word and _CHINESE_PASSPORT.fullmatch(folded(number)) is not None


def party(text: str) -> int:
    """Whether it says that the party is a firm."""
    return {_PERSON: IS_PERSON, _FIRM: IS_FIRM}.get(text, UNSAID)


def _is_firm(record: Record, number: str) -> bool:
    """581 says so; mirrors write "0" or nothing, then the number or the representative does."""
    said = party(_text(record, "partyTypeName"))
    if said != UNSAID:
        return said == IS_FIRM
    return bool(_text(record, "businessEntity")) or is_firm_number(number)
