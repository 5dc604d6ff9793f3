"""What the courts' own feeds say, by column: `zxgk` and `xycj` (docs/domain.md, Feeds).

Only unmasked feeds are of use; what is masked ends as `masked_number` in the rejects, and
masks are never filled in. Firms do not travel: they end as `organisation`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import numpy as np

from loader.columns.columns import Bools, Numbers
from loader.columns.digits import NINE, ZERO
from loader.columns.wrappers import unwrapped
from loader.files.fields import Fields, Places, either, where
from roster.documents.check_digits import remainder

# GB 32100 and GB 11714: the alphabets, weights and check characters of firms' codes.
_USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_USCC_WEIGHTS = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)
_USCC = re.compile(rf"[{_USCC_ALPHABET}]{{18}}")
_FIRM_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)
# Without the hyphen a letter in front is a passport's or a permit's.
_FIRM_CODE = re.compile(r"[0-9A-Z]{8}-[0-9X]|[0-9][0-9A-Z]{7}[0-9X]")
_Of = TypeVar("_Of")
# Type, issuer and kind of every document that they may speak of.
_DOCUMENTS = (
    ("unknown", "", ""),
    ("organisation", "", ""),
    ("resident_id", "", ""),
    ("permanent_resident_id", "", ""),
    ("hk_macao_permit", "", ""),
    ("taiwan_permit", "", ""),
    ("passport", "", ""),
    ("passport", "CHN", ""),
    ("other", "CHN", "seaman"),
    ("other", "CHN", "travel_document"),
    ("other", "CHN", "birth_certificate"),
    ("other", "CHN", "police"),
    ("other", "CHN", "military"),
)
_UNKNOWN, FIRM, _RESIDENT, _PERMANENT, _HK_MACAO, _TAIWAN, _PASSPORT, _CHINESE = range(8)
_SEAMAN, _TRAVEL, _BIRTH, _POLICE, _MILITARY = range(8, 13)
# What XYCJ calls a document (ZJLXMC): the first of these that occurs in it counts.
_WORDS = (
    ("信用代码|机构代码|营业执照", FIRM),
    ("永久居留", _PERMANENT),
    ("居住证", _RESIDENT),
    ("台胞证|台湾", _TAIWAN),
    ("回乡证|港澳", _HK_MACAO),
    ("护照", _PASSPORT),
    ("海员证", _SEAMAN),
    ("旅行证", _TRAVEL),
    ("出生", _BIRTH),
    ("警官", _POLICE),
    ("军官|士兵|文职|军人", _MILITARY),
    ("身份证|户口", _RESIDENT),
    ("", _UNKNOWN),
)
# Where no word says it, the number's shape does.
_SHAPES = (
    ("^[HM][0-9]{8}([0-9]{2})?$", _HK_MACAO),
    ("^[0-9]{8}([0-9]{2})?$", _TAIWAN),
    ("^[A-Z]{3}[0-9]{12}$", _PERMANENT),
    ("^([GEDPS][0-9]|E[A-HJ-NP-Z])[0-9]{7}$", _CHINESE),
    # Typing errors in a long number included: what was listed is found as spelled.
    (r"^$|^[0-9]{9}|\*", _RESIDENT),
    ("", _UNKNOWN),
)
_FIRMS = "法人|组织|企业|公司|单位|机构"
_PARTIES = {"580": -1, "581": 1}
"""Persons and firms."""
_LONG, _OLD = 18, 15
_X, _FOREIGN = ord("X") - ZERO, 9
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
LIST_FIELDS = ("iname", "caseCode", "XM", "AH")
"""By these it is known of which list a record of `zxgk` is."""
_SITE_ID = re.compile(r"[?&]id=([0-9]+)")
_SEX = re.compile(r"[男女]性?|09_00003.*", re.DOTALL)
_REMOVAL_REASONS = (
    ("履行|执行完毕", "performed"), ("和解", "settled"), ("申请执行人", "creditor_request"),
    ("无财产", "no_assets"), ("破产|审判监督", "bankruptcy"), ("不予执行", "not_enforceable"),
    ("终结", "terminated"), ("错误|有误", "error"), ("期满|届满", "expired"), ("", "revoked"),
)  # fmt: skip
_SUSPENSION_REASONS = (("异议", "dispute"), ("复议|审查", "review"), ("", "court_order"))


def folded(number: str) -> str:
    """A number without blanks, in half-width capitals."""
    return re.sub(
        r"\s", "", unicodedata.normalize("NFKC", unwrapped(number, "resident_id"))
    ).upper()


def is_firm_number(number: str) -> bool:
    """Whether it is a firm's code, and no person's."""
    number = folded(number)
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


def first_of(words: Sequence[tuple[str, _Of]], text: str) -> _Of:
    """What the first of these says that occurs in the text; one does."""
    return next(said for word, said in words if re.search(word, text))


def zxgk_documents(fields: Fields, number: Places, listed: Bools) -> Numbers:
    """Those of the site's numbers, of which no field says what they are."""
    found, cards = _shaped(fields, number)
    found[listed & _are_firms(fields, number, cards)] = FIRM
    return found


def xycj_documents(fields: Fields, number: Places) -> Numbers:
    """Those of the exchange table, which has words for most."""
    shaped, _ = _shaped(fields, number)
    words = fields.text("ZJLXMC")
    found = fields.sorted_out(words, lambda text: first_of(_WORDS, text))
    foreign = fields.sorted_out(words, lambda text: "外" in text)
    chinese = (found == _PASSPORT) & (shaped == _CHINESE) & ~foreign
    found = np.where((found == _UNKNOWN) | chinese, shaped, found)
    firms = fields.sorted_out(fields.text("BZXRLXMC"), lambda text: bool(re.search(_FIRMS, text)))
    found[firms | (number[1] == 0) & (fields.text("ZZJGDM")[1] > 0)] = FIRM
    return found


def written(fields: Fields, documents: Numbers) -> list[Places]:
    """Types, issuers and kinds."""
    return [fields.write(column)[:, documents] for column in zip(*_DOCUMENTS, strict=True)]


def _shaped(fields: Fields, number: Places) -> tuple[Numbers, Bools]:
    """What the numbers' shapes say, and which are 15 digits, or 17 and a check character."""
    cards = np.zeros(len(fields), np.bool_)
    for size in (_OLD, _LONG):
        rows = np.flatnonzero(number[1] == size)
        digits = np.ascontiguousarray(fields.column(number[:, rows]).windows(0, size).T) - ZERO
        last = (digits[-1] <= NINE) | (digits[-1] == _X) & (size == _LONG)
        cards[rows] = (digits[:-1] <= NINE).all(0) & last
    found = np.full(len(fields), _RESIDENT)
    others = np.flatnonzero(~cards)
    found[others] = [first_of(_SHAPES, folded(text)) for text in fields.texts(number, others)]
    return found, cards


def _are_firms(fields: Fields, number: Places, cards: Bools) -> Bools:
    """581 says so; mirrors write "0" or nothing, then the number or the representative does."""
    party = fields.sorted_out(fields.text("partyTypeName"), lambda text: _PARTIES.get(text, 0))
    firms: Bools = (party > 0) | (party == 0) & (fields.text("businessEntity")[1] > 0)
    # A person's number of digits begins with 9 only if it is a foreigner's.
    person = cards & (fields.column(number).windows(0, 1)[:, 0] != ZERO + _FOREIGN)
    rows = np.flatnonzero((party == 0) & ~firms & ~person)
    firms[rows] = [is_firm_number(text) for text in fields.texts(number, rows)]
    return firms


def _zxgk(fields: Fields) -> tuple[dict[str, Places], Bools]:
    """Defaulters (`sx`) and restricted people (`xgl`): docs/domain.md, Feed zxgk.

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


def _site_ids(fields: Fields, case: Places, listed: Bools) -> Places:
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


def _xycj(fields: Fields) -> tuple[dict[str, Places], Bools]:
    """The exchange table, the one source with a life-cycle: docs/domain.md, Feed xycj."""
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


READERS: dict[str, Callable[[Fields], tuple[dict[str, Places], Bools]]] = {
    "zxgk": _zxgk,
    "xycj": _xycj,
}
"""What each dialect makes of records: columns of ours by name, and which records are unclear."""
