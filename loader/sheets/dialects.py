"""What the courts' own feeds say, by column: `zxgk` and `xycj` (docs/domain.md, Feeds).

Only unmasked feeds are of use; what is masked ends as `masked_number` in the rejects, and
masks are never filled in. Firms do not travel: they end as `organisation`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import partial

import numpy as np

from loader.columns.pieces import Bools
from loader.sheets.dialect_documents import FIRM, first_of, written, xycj_documents, zxgk_documents
from loader.sheets.fields import Cells, Fields, either, where

TEXTS = {
    "zxgk": (
        "iname", "caseCode", "cardNum", "id", "loc", "partyTypeName", "businessEntity",
        "courtName", "XM", "AH", "ZJHM", "sfzhm", "partyCardNum", "ZXFYMC", "ID",
    ),
    "xycj": (
        "ID", "AH", "BZXRMC", "BZXRLXMC", "ZJLXMC", "ZJHM", "ZZJGDM", "ZXFYMC", "PBYYMC", "CXYYMC",
    ),
}  # fmt: skip
DATES = {
    "zxgk": ("lastmod", "_update_time", "publishDate", "publishDateStamp"),
    "xycj": ("FBSJ", "JZSJ", "PBSJ", "CXSJ", "LASTUPDATE"),
}
"""The other fields that count; a date may be an object."""
TELLING = ("iname", "caseCode", "XM", "AH")
"""By these it is known of which list a record of `zxgk` is."""

_SITE_ID = re.compile(r"[?&]id=([0-9]+)")
_SEX = re.compile(r"[男女]性?|09_00003.*", re.DOTALL)
_REMOVAL_REASONS = (
    ("履行|执行完毕", "performed"), ("和解", "settled"), ("申请执行人", "creditor_request"),
    ("无财产", "no_assets"), ("破产|审判监督", "bankruptcy"), ("不予执行", "not_enforceable"),
    ("终结", "terminated"), ("错误|有误", "error"), ("期满|届满", "expired"), ("", "revoked"),
)  # fmt: skip
_SUSPENSION_REASONS = (("异议", "dispute"), ("复议|审查", "review"), ("", "court_order"))


def _zxgk(fields: Fields) -> tuple[dict[str, Cells], Bools]:
    """3a and 3b: defaulters (`sx`), from the court's site or a mirror; 3c: restricted people.

    A table of both kinds has the fields of both in every row. What has those of neither is unclear.
    """
    name, case = fields.text("iname"), fields.text("caseCode")
    other_name, other_case = fields.text("XM"), fields.text("AH")
    restricted = (either(name, case)[1] == 0) & (either(other_name, other_case)[1] > 0)
    listed = (fields.raw("iname")[1] + fields.raw("caseCode")[1] > 0) & ~restricted
    unclear = ~listed & (fields.raw("XM")[1] + fields.raw("AH")[1] == 0)
    name, case = np.where(listed, name, other_name), np.where(listed, case, other_case)
    others = where(~listed, fields.text("ZJHM", "sfzhm", "partyCardNum"))
    number = either(fields.text("cardNum"), others)
    types, issuers, _ = written(fields, zxgk_documents(fields, number, listed))
    courts, stated = fields.text("courtName"), fields.mapped(fields.text("ZXFYMC"), _court)
    found = {
        "list": fields.write(["xgl", "sx"])[:, listed.astype(np.int64)],
        "entry_id": _site_ids(fields, case, listed),
        "document_type": types,
        "document_number": number,
        "document_issuer": issuers,
        "name": name,
        "updated_at": where(listed, fields.day("lastmod", "_update_time")),
        "from": where(listed, fields.day("publishDate", "publishDateStamp")),
        "case": case,
        "court": either(where(~listed, stated), courts),
    }
    return found, unclear


def _site_ids(fields: Fields, case: Cells, listed: Bools) -> Cells:
    """The ids of the site's rows; where there is none, the id in its address, or the case."""
    ids = either(fields.text("id"), where(~listed, fields.text("ID")))
    rows = np.flatnonzero(ids[1] == 0)
    places = fields.texts(where(listed, fields.text("loc")), rows)
    return fields.replaced(ids, rows, list(map(_entry_id, places, fields.texts(case, rows))))


def _entry_id(address: str, case: str) -> str:
    """With half-width brackets, if it is the case."""
    site_id = _SITE_ID.search(address)
    return site_id[1] if site_id else unicodedata.normalize("NFKC", case)


def _court(text: str) -> str:
    """Of restricted people crawlers found the sex in the field whose name says court."""
    return "" if _SEX.fullmatch(text) else text


def _xycj(fields: Fields) -> tuple[dict[str, Cells], Bools]:
    """3f: the exchange table, the one source with a life-cycle; each record is clear."""
    number = fields.text("ZJHM")
    revoked, suppressed, published = (fields.day(name) for name in ("CXSJ", "PBSJ", "FBSJ"))
    removed = revoked[1] > 0
    suspended = ~removed & (suppressed[1] > 0)
    documents = xycj_documents(fields, number)
    types, issuers, kinds = written(fields, documents)
    hidden = (published[1] == 0) & ~removed & ~suspended & (documents != FIRM)
    removal = fields.mapped(fields.text("CXYYMC"), partial(first_of, _REMOVAL_REASONS))
    suspension = fields.mapped(fields.text("PBYYMC"), partial(first_of, _SUSPENSION_REASONS))
    found = {
        "list": fields.write(["sx"])[:, np.zeros(len(fields), np.int64)],
        "entry_id": fields.text("ID"),
        "document_type": np.where(hidden, fields.write(["unpublished"]), types),
        "document_number": number,
        "document_issuer": issuers,
        "document_kind": kinds,
        "name": fields.text("BZXRMC"),
        "updated_at": fields.day("LASTUPDATE"),
        "state": fields.write(["active", "suspended", "removed"])[:, removed * 2 + suspended],
        "from": published,
        "until": fields.day("JZSJ"),
        "case": fields.text("AH"),
        "court": fields.text("ZXFYMC"),
        "decided_at": either(revoked, suppressed),
        "reason": either(where(removed, removal), where(suspended, suspension)),
    }
    return found, np.zeros(len(fields), np.bool_)


LAWS: dict[str, Callable[[Fields], tuple[dict[str, Cells], Bools]]] = {
    "zxgk": _zxgk,
    "xycj": _xycj,
}
"""What each dialect makes of records: columns of ours by name, and which records are unclear."""
