"""The courts' feeds read record by record, and in no hurry: what reading by column is held to."""

from __future__ import annotations

import json
import re
import unicodedata
from typing import TYPE_CHECKING

from loader.columns.sheets import COLUMNS, UNFIT, Torn
from loader.files.dialects import folded, is_firm_number
from loader.files.fields import spell
from roster.documents.spelling import trimmed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Record = dict[str, object]

WORDS = (
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
CHINESE = "(?:[GEDPS][0-9]|E[A-HJ-NP-Z])[0-9]{7}"
SHAPES = (
    ("", "resident_id", ""),
    ("[HM][0-9]{8}(?:[0-9]{2})?", "hk_macao_permit", ""),
    ("[0-9]{8}(?:[0-9]{2})?", "taiwan_permit", ""),
    ("[A-Z]{3}[0-9]{12}", "permanent_resident_id", ""),
    (CHINESE, "passport", "CHN"),
    (r"[0-9]{9,}.*|.*\*.*", "resident_id", ""),
    (".*", "unknown", ""),
)
REMOVED = (
    ("履行", "performed"), ("执行完毕", "performed"), ("和解", "settled"),
    ("申请执行人", "creditor_request"), ("无财产", "no_assets"), ("破产", "bankruptcy"),
    ("审判监督", "bankruptcy"), ("不予执行", "not_enforceable"), ("终结", "terminated"),
    ("错误", "error"), ("有误", "error"), ("期满", "expired"), ("届满", "expired"), ("", "revoked"),
)  # fmt: skip
SUSPENDED = (("异议", "dispute"), ("复议", "review"), ("审查", "review"), ("", "court_order"))
SEXES = {"男", "女", "男性", "女性"}


def rows_of(dialect: str, value: object) -> Iterator[list[str]]:
    """The rows that one JSON value holds: a record, a page of them, or an array of either."""
    if isinstance(value, list):
        for part in value:
            yield from rows_of(dialect, part)
    elif not isinstance(value, dict):
        yield Torn()
    elif isinstance(page := value.get("result", value.get("data")), list):
        yield from rows_of(dialect, page)
    else:
        yield row_of(dialect, value)


def row_of(dialect: str, given: Mapping[str, object]) -> list[str]:
    """The row that a record is; it is torn where it shows what no text may hold."""
    record = with_inner({**given})
    fit = {name: made_fit(value) for name, value in record.items()}
    row = (xycj if dialect == "xycj" else zxgk)(fit)
    if not row:
        return Torn()
    cells = [row.get(column, "") for column in COLUMNS]
    return Torn(cells) if fit != record and UNFIT in "".join(cells) else cells


def with_inner(record: Record) -> Record:
    """`jsonObject` repeats the record as JSON in a string, with raw control characters."""
    try:
        inner = json.loads(str(record.get("jsonObject", "")).strip(), strict=False)
    except ValueError:
        return record
    return {**inner, **record} if isinstance(inner, dict) else record


def made_fit(value: object) -> object:
    """Without NUL and halves of surrogate pairs."""
    if isinstance(value, dict):
        return {name: made_fit(part) for name, part in value.items()}
    if not isinstance(value, str):
        return value
    octets = value.replace("\0", UNFIT).encode("utf-16", "surrogatepass")
    return octets.decode("utf-16", "replace")


def zxgk(record: Record) -> dict[str, str]:
    """Feed zxgk; nothing where it is neither a defaulter nor a restricted person."""
    told = {
        name: text_of(record[name]) for name in ("iname", "caseCode", "XM", "AH") if name in record
    }
    said = {name for name in told if text(record, name)}
    # Of fields that say nothing those count that are not empty, or all if none is.
    there = said or {name for name, text in told.items() if text} or set(told)
    if there & {"iname", "caseCode"}:
        return defaulter(record)
    return restricted(record) if there else {}


def defaulter(record: Record) -> dict[str, str]:
    """A defaulter of feed zxgk."""
    number, case = text(record, "cardNum"), text(record, "caseCode")
    type_, issuer = shape(number)
    party = text(record, "partyTypeName")
    firm = party == "581" or (
        party != "580" and (bool(text(record, "businessEntity")) or is_firm_number(number))
    )
    return {
        "list": "sx",
        "entry_id": text(record, "id") or entry_id(text(record, "loc"), case),
        "document_type": "organisation" if firm else type_,
        "document_number": number,
        "document_issuer": "" if firm else issuer,
        "name": text(record, "iname"),
        "updated_at": spell(record.get("lastmod")) or spell(record.get("_update_time")),
        "from": spell(record.get("publishDate")) or spell(record.get("publishDateStamp")),
        "case": case,
        "court": text(record, "courtName"),
    }


def restricted(record: Record) -> dict[str, str]:
    """A restricted person of feed zxgk; `QY_MC` is the firm because of which, if any."""
    number, case = text(record, "cardNum", "ZJHM", "sfzhm", "partyCardNum"), text(record, "AH")
    type_, issuer = shape(number)
    stated = text(record, "ZXFYMC")
    if stated in SEXES or stated.startswith("09_00003"):
        stated = ""
    return {
        "list": "xgl",
        "entry_id": text(record, "id", "ID") or entry_id("", case),
        "document_type": type_,
        "document_number": number,
        "document_issuer": issuer,
        "name": text(record, "XM"),
        "case": case,
        "court": stated or text(record, "courtName"),
    }


def xycj(record: Record) -> dict[str, str]:
    """Feed xycj."""
    number = text(record, "ZJHM")
    type_, issuer, kind = document(record, number)
    revoked, suppressed = spell(record.get("CXSJ")), spell(record.get("PBSJ"))
    state = "removed" if revoked else "suspended" if suppressed else "active"
    published = spell(record.get("FBSJ"))
    if not published and state == "active" and type_ != "organisation":
        type_ = "unpublished"
    reasons = {
        "removed": next(said for word, said in REMOVED if word in text(record, "CXYYMC")),
        "suspended": next(said for word, said in SUSPENDED if word in text(record, "PBYYMC")),
    }
    return {
        "list": "sx",
        "entry_id": text(record, "ID"),
        "document_type": type_,
        "document_number": number,
        "document_issuer": issuer,
        "document_kind": kind,
        "name": text(record, "BZXRMC"),
        "updated_at": spell(record.get("LASTUPDATE")),
        "state": state,
        "from": published,
        "until": spell(record.get("JZSJ")),
        "case": text(record, "AH"),
        "court": text(record, "ZXFYMC"),
        "decided_at": revoked or suppressed,
        "reason": reasons.get(state, ""),
    }


def document(record: Record, number: str) -> tuple[str, str, str]:
    """What XYCJ says that it is, or else the shape of its number."""
    party, word = text(record, "BZXRLXMC"), text(record, "ZJLXMC")
    firm = any(each in party for each in ("法人", "组织", "企业", "公司", "单位", "机构"))
    if firm or (not number and text(record, "ZZJGDM")):
        return "organisation", "", ""
    for known, type_, issuer, kind in WORDS:
        if known in word:
            chinese = known == "护照" and "外" not in word and re.fullmatch(CHINESE, folded(number))
            return type_, "CHN" if chinese else issuer, kind
    return *shape(number), ""


def shape(number: str) -> tuple[str, str]:
    """Type and issuer."""
    return next(
        (type_, issuer)
        for pattern, type_, issuer in SHAPES
        if re.fullmatch(pattern, folded(number), re.DOTALL)
    )


def entry_id(address: str, case: str) -> str:
    """The id in an address, or the case."""
    site_id = re.search("[?&]id=([0-9]+)", address)
    return site_id[1] if site_id else unicodedata.normalize("NFKC", case)


def text(record: Mapping[str, object], *fields: str) -> str:
    """The first of the fields that says something."""
    for field in fields:
        said = trimmed(text_of(record.get(field)))
        if said and said.lower() != "null":
            return said
    return ""


def text_of(value: object) -> str:
    """A value as a field has it."""
    return "" if value is None or isinstance(value, (dict, list, bool)) else str(value)
