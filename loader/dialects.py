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
from loader.layout import COLUMNS, Dialect, Torn, whole
from loader.wrappers import bare
from roster.check_digits import remainder

Record = Mapping[str, object]

_SITE_ID = re.compile(r"[?&]id=([0-9]+)")
_SEXES = frozenset({"男", "女", "男性", "女性"})
_CODED_SEX = "09_00003"
_FIRM_WORDS = ("法人", "组织", "企业", "公司", "单位", "机构")
_PERSON, _FIRM = "580", "581"

# What XYCJ calls a document (ZJLXMC): the first word that occurs in it counts.
_DOCUMENT_WORDS: tuple[tuple[str, str, str, str], ...] = (
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

# GB 32100 and GB 11714: the alphabets, weights and check characters of firms' codes.
_USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_USCC_WEIGHTS = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)
_USCC = re.compile(rf"[{_USCC_ALPHABET}]{{18}}")
_FIRM_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)
# Without the hyphen a letter in front is a passport's or a permit's.
_FIRM_CODE = re.compile(r"[0-9A-Z]{8}-[0-9X]|[0-9][0-9A-Z]{7}[0-9X]")


def rows_of(dialect: Dialect, record: object) -> Iterator[list[str]]:
    """The rows that one JSON value holds: a record, a page of them, or an array of either."""
    if isinstance(record, list):
        for part in record:
            yield from rows_of(dialect, part)
    elif not isinstance(record, dict):
        yield Torn()
    elif isinstance(page := record.get("result", record.get("data")), list):
        yield from rows_of(dialect, page)
    else:
        yield (_xycj if dialect == "xycj" else _zxgk)(record)


def _zxgk(record: Record) -> list[str]:
    record = _with_inner(record)
    # A table of both kinds has the fields of both in every row.
    if _text(record, "XM", "AH") and not _text(record, "iname", "caseCode"):
        return _restricted(record)
    if "iname" in record or "caseCode" in record:
        return _defaulter(record)
    return _restricted(record) if "XM" in record or "AH" in record else Torn()


def _with_inner(record: Record) -> Record:
    """`jsonObject` repeats the record as JSON in a string, with raw control characters."""
    try:
        inner = json.loads(_text(record, "jsonObject") or "{}", strict=False)
    except (ValueError, RecursionError):
        return record
    return {**inner, **record} if isinstance(inner, dict) else record


def _defaulter(record: Record) -> list[str]:
    """3a and 3b: the list of defaulters (`sx`), from the court's site or a mirror."""
    number, case = _text(record, "cardNum"), _text(record, "caseCode")
    type_, issuer = _shape(number)
    site_id = _SITE_ID.search(_text(record, "loc"))
    return _row(
        {
            "list": "sx",
            "entry_id": _text(record, "id") or (site_id[1] if site_id else _case_id(case)),
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
    type_, issuer = _shape(number)
    court = _text(record, "ZXFYMC")
    # Crawlers found the sex in the field whose name says court.
    if court in _SEXES or court.startswith(_CODED_SEX):
        court = ""
    return _row(
        {
            "list": "xgl",
            "entry_id": _text(record, "id", "ID") or _case_id(case),
            "document_type": type_,
            "document_number": number,
            "document_issuer": issuer,
            "name": _text(record, "XM"),
            "case": case,
            "court": court or _text(record, "courtName"),
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
    party, word = _text(record, "BZXRLXMC"), _text(record, "ZJLXMC")
    if any(firm in party for firm in _FIRM_WORDS) or (not number and _text(record, "ZZJGDM")):
        return "organisation", "", ""
    for part, type_, issuer, kind in _DOCUMENT_WORDS:
        if part in word:
            chinese = type_ == "passport" and "外" not in word and _is_chinese_passport(number)
            return type_, "CHN" if chinese else issuer, kind
    return *_shape(number), ""


def _xycj_reason(record: Record, state: str) -> str:
    if state == "removed":
        return _by_word(_REMOVAL_WORDS, _text(record, "CXYYMC"), "revoked")
    if state == "suspended":
        return _by_word(_SUSPENSION_WORDS, _text(record, "PBYYMC"), "court_order")
    return ""


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


def _case_id(case: str) -> str:
    """A case number as an entry's name: both widths of brackets occur for the same case."""
    return unicodedata.normalize("NFKC", case)


def _folded(number: str) -> str:
    return re.sub(r"\s", "", unicodedata.normalize("NFKC", bare(number, "resident_id"))).upper()


def _shape(number: str) -> tuple[str, str]:
    """Document type and issuer of a number of which no field says what it is."""
    folded = _folded(number)
    if not folded:
        return "resident_id", ""
    for shape, type_, issuer in _DOCUMENT_SHAPES:
        if shape.fullmatch(folded):
            return type_, issuer
    return "unknown", ""


def _is_chinese_passport(number: str) -> bool:
    return _CHINESE_PASSPORT.fullmatch(_folded(number)) is not None


def _is_firm(record: Record, number: str) -> bool:
    """581 says so; mirrors write "0" or nothing, then the number or the representative does."""
    party = _text(record, "partyTypeName")
    if party in {_PERSON, _FIRM}:
        return party == _FIRM
    return bool(_text(record, "businessEntity")) or _is_firm_code(_folded(number))


def _is_firm_code(number: str) -> bool:
    if _USCC.fullmatch(number):
        values = map(_USCC_ALPHABET.index, number)
        total = sum(value * weight for value, weight in zip(values, _USCC_WEIGHTS, strict=False))
        return _USCC_ALPHABET[-total % 31] == number[17] and not _is_persons(number)
    if not _FIRM_CODE.fullmatch(number):
        return False
    total = sum(int(c, 36) * w for c, w in zip(number, _FIRM_WEIGHTS, strict=False))
    return number[-1] == "0123456789X0"[11 - total % 11]


def _is_persons(number: str) -> bool:
    """ID numbers have 17 digits too; only a foreigner's begins with 9, as most firms' do."""
    try:
        return remainder(number) == 1 or number[0] != "9"
    except KeyError:
        return False
