"""How the entries of a synthetic list are written: its columns, and how each cell is spelled."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

from loader.synthetic.fictions import DISTRICTS
from loader.synthetic.people import Ints
from loader.synthetic.world import COURTS_UP_TO, FIRST_YEAR, LISTS, STATES, FileShape, World
from roster.times import BEIJING_OFFSET_MS, DAY_MS

Cells = dict[str, list[str]]
"""Whole columns by their names."""

COLUMNS = (
    "list",
    "entry_id",
    "document_type",
    "document_number",
    "document_issuer",
    "name",
    "revision",
    "state",
    "from",
    "until",
    "case",
    "court",
)
"""Those of the shape `party`."""

_UPDATED = tuple("updated_at" if name == "revision" else name for name in COLUMNS)
COLUMNS_OF: Mapping[FileShape, tuple[str, ...]] = {
    "party": COLUMNS,
    "numeric": _UPDATED,
    "uuid": _UPDATED,
    "times": _UPDATED,
    "decided": (*COLUMNS, "decided_at", "reason"),
    "quoted": COLUMNS,
    "documents": COLUMNS,
    "zxgk": tuple(name for name in _UPDATED if name not in {"state", "until"}),
}
"""The columns of each shape (docs/lists.md, Columns); `zxgk` has its own names for them."""

_ZXGK = (
    "id", "iname", "caseCode", "age", "sexy", "cardNum", "courtName", "areaName",
    "partyTypeName", "regDate", "duty", "performance", "publishDate", "lastmod",
    "XM", "ZXFYMC", "AH", "LASJStr",
)  # fmt: skip
_NUMBERS = frozenset({"revision", "id", "age"})
_DAY_S = DAY_MS // 1000
_FIRST_ID, _IDS, _ID_STEP = 10**9, 9 * 10**9, 2_654_435_761
_REASONS = {"": "", "suspended": "dispute", "removed": "performed"}


def cells_of(world: World, which: Ints, shape: FileShape) -> Cells:
    """The cells of these entries, column by column."""
    cases, courts, parties = _named_cases(world, which)
    types, numbers, issuers = world.people.document(world.who[which])
    states = [STATES[state] for state in world.states[which].tolist()]
    days = (world.from_days[which], world.until_days[which])
    revisions = world.revisions[which]
    clock = revisions // 1000 % _DAY_S if shape == "times" else None
    starts, ends = (_moments(each, clock) for each in days)
    cells = {
        "list": [LISTS[code] for code in world.lists[which].tolist()],
        "entry_id": _IDS_OF[shape](which, parties) if shape in _IDS_OF else parties,
        "document_type": types,
        "document_number": numbers,
        "document_issuer": issuers,
        "name": world.people.named(world.who[which]),
        "revision": list(map(str, revisions.tolist())),
        "updated_at": _utc(revisions) if shape == "uuid" else _beijing(revisions),
        "state": states,
        "from": starts,
        "until": ends,
        "case": cases,
        "court": courts,
        "decided_at": _beijing(revisions - DAY_MS),
        "reason": [_REASONS[state] for state in states],
    }
    if shape == "zxgk":  # what is left of a revision is a whole second
        cells["entry_id"] = _site_ids(cells, world.parties[which])
    return {name: cells[name] for name in COLUMNS_OF[shape]}


def header_of(shape: FileShape) -> tuple[str, ...]:
    """The names in the first line of a CSV file."""
    return _ZXGK if shape == "zxgk" else COLUMNS_OF[shape]


def csv_lines(cells: Cells, shape: FileShape) -> bytes:
    """Rows of CSV, each with its end of line."""
    if shape == "zxgk":
        text = io.StringIO()
        csv.DictWriter(text, _ZXGK, lineterminator="\n").writerows(_records(cells))
        return text.getvalue().encode()
    return joined(zip(*cells.values(), strict=True), shape)


def joined(rows: Iterable[Iterable[str]], shape: FileShape) -> bytes:
    """Rows of CSV whose cells need no quotes, and have them in the shape `quoted`."""
    between, beside = ('","', '"') if shape == "quoted" else (",", "")
    return "".join(f"{beside}{between.join(row)}{beside}\n" for row in rows).encode()


def json_lines(cells: Cells, shape: FileShape) -> bytes:
    """Rows of JSON Lines, without what is empty."""
    rows = zip(*cells.values(), strict=True)
    records: Iterable[dict[str, str]] = (dict(zip(cells, row, strict=True)) for row in rows)
    typed = map(_typed, _records(cells) if shape == "zxgk" else records)
    return b"".join(msgspec.json.encode(record) + b"\n" for record in typed)


def _typed(record: Mapping[str, str]) -> dict[str, str | int]:
    return {
        name: int(text) if name in _NUMBERS and text.isdecimal() else text
        for name, text in record.items()
        if text
    }


def _records(cells: Cells) -> Iterable[dict[str, str]]:
    """As the courts' site has them (docs/domain.md, Feed zxgk)."""
    for row in zip(*cells.values(), strict=True):
        named = dict(zip(cells, row, strict=True))
        yield (_defaulter if named["list"] == LISTS[0] else _restricted)(named)


def _defaulter(row: dict[str, str]) -> dict[str, str]:
    age = str(20 + int(row["entry_id"]) % 50)
    return {
        "id": row["entry_id"],
        "iname": row["name"],
        "caseCode": row["case"],
        "age": age,
        "sexy": "男",
        "cardNum": row["document_number"],
        "courtName": row["court"],
        "areaName": row["court"][:2],
        "partyTypeName": "580",
        "regDate": _in_chinese(row["from"]),
        "duty": f'一、支付{age}万元,及利息;\n二、承担"本案"诉讼费。',
        "performance": "全部未履行",
        "publishDate": _in_chinese(row["from"]),
        "lastmod": row["updated_at"].partition("+")[0],
    }


def _restricted(row: dict[str, str]) -> dict[str, str]:
    return {
        "id": row["entry_id"] if row["entry_id"] != row["case"] else "",
        "XM": row["name"],
        "ZXFYMC": "男性",
        "AH": row["case"].replace("(", "（").replace(")", "）"),
        "LASJStr": _in_chinese(row["from"]),
        "cardNum": row["document_number"],
        "courtName": row["court"],
    }


def _in_chinese(day: str) -> str:
    year, month, of_month = day.split("-")
    return f"{year}年{month}月{of_month}日"


def _named_cases(world: World, which: Ints) -> tuple[list[str], list[str], list[str]]:
    """Case number, court, and case with party of each."""
    cases, courts, parties = [], [], []
    for code, district, year, serial, party in zip(
        world.lists[which].tolist(),
        world.districts[which].tolist(),
        world.years[which].tolist(),
        world.serials[which].tolist(),
        world.parties[which].tolist(),
        strict=True,
    ):
        court_code, _, court = DISTRICTS[district]
        case = f"({FIRST_YEAR + year}){court_code}执{serial}号"
        from_court = code < COURTS_UP_TO
        cases.append(case if from_court else "")
        courts.append(court if from_court else "")
        parties.append(
            f"{case}/{party}"
            if from_court
            else f"{FIRST_YEAR + year}-{court_code}-{serial}-{party}"
        )
    return cases, courts, parties


def _numeric_ids(which: Ints, _: list[str]) -> list[str]:
    """Ten digits, as the courts' site numbers its rows; no two alike."""
    return list(map(str, (_FIRST_ID + which * _ID_STEP % _IDS).tolist()))


def _site_ids(cells: Cells, parties: Ints) -> list[str]:
    """What the dialect makes of its rows: the first restricted party of a case has no id."""
    rows = zip(cells["list"], cells["entry_id"], cells["case"], parties.tolist(), strict=True)
    return [case if of != LISTS[0] and party == 1 else id_ for of, id_, case, party in rows]


def _uuids(which: Ints, _: list[str]) -> list[str]:
    """Of version 4, no two alike."""
    version, variant = np.uint64(0x4000), np.uint64(1 << 63)
    first = _mixed(which.astype(np.uint64) + np.uint64(1))
    halves = np.stack(
        [
            first & ~np.uint64(0xF000) | version,
            _mixed(first) & ~np.uint64(3 << 62) | variant,
        ],
        1,
    )
    return [
        f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
        for text in (row.tobytes().hex() for row in halves.astype(">u8"))
    ]


def _mixed(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64: each word another one, no two the same (doi 10.1145/2714064.2660195)."""
    words = words * np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        words = (words ^ words >> np.uint64(shift)) * np.uint64(factor)
    return words ^ words >> np.uint64(31)


_IDS_OF: Mapping[FileShape, Callable[[Ints, list[str]], list[str]]] = {
    "numeric": _numeric_ids,
    "uuid": _uuids,
    "zxgk": _numeric_ids,
}


def _moments(days: NDArray[np.datetime64], clock: Ints | None) -> list[str]:
    """Days, or instants of them; nothing where there is none."""
    if clock is None:
        spelled = np.datetime_as_string(days).tolist()
        return ["" if day == "NaT" else day for day in spelled]
    seconds: NDArray[np.datetime64] = days.astype("M8[s]") + clock.astype("m8[s]")
    return ["" if at == "NaT" else f"{at}+08:00" for at in np.datetime_as_string(seconds).tolist()]


def _beijing(moments_ms: Ints) -> list[str]:
    seconds = (moments_ms + BEIJING_OFFSET_MS).astype("M8[ms]").astype("M8[s]")
    return [f"{at}+08:00" for at in np.datetime_as_string(seconds).tolist()]


def _utc(moments_ms: Ints) -> list[str]:
    moments: NDArray[np.datetime64] = moments_ms.astype("M8[ms]")
    return [f"{at}Z" for at in np.datetime_as_string(moments).tolist()]
