"""Rows that are rejected, skipped or warned of: told, kept, and cheap."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from loader.columns.sheets import COLUMNS, Block, Layout
from loader.files.sources import sheet_of
from loader.rows.packed_rows import Context
from loader.rows.scatter import Piece, Scatter, reject_rows
from roster.times import parse_time
from tests.loader.loads import ID_KEY, number

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CONTEXT = Context(bytes.fromhex(ID_KEY), {"sx": 1, "lift": 200}, 0, 3, parse_time("2026-11-24"), {})
LAYOUT = Layout("csv", header=COLUMNS)
MOST_US = 60
"""Three times what a row may cost, for machines that are slower and busy."""
ROWS = 3_000


def line(n: int, **cells: str) -> str:
    """A row of the nth person's; it is good but for what is said otherwise."""
    case = f"(2018)京0105执{n + 1}号"
    usual = {
        "list": "sx", "entry_id": f"{case}/1", "document_type": "resident_id",
        "document_number": number(n), "name": "张某某", "revision": "1500000000000",
        "from": "2018-03-01", "case": case, "court": "北京市朝阳区人民法院",
    } | cells  # fmt: skip
    return ",".join(usual.get(column, "") for column in COLUMNS)


REFUSED: dict[tuple[str, str], list[Callable[[int], str]]] = {
    ("", "malformed"): [
        lambda n: line(n) + ",more",
        lambda n: line(n)[:-1],
        lambda n: '"' + line(n),
        lambda n: line(n, court="a\0b"),
    ],
    ("document_number", "masked_number"): [
        lambda n: line(n, document_number=number(n)[:8] + "********" + number(n)[-2:])
    ],
    ("document_number", "missing_number"): [lambda n: line(n, document_number="")],
    ("document_number", "malformed"): [
        lambda n: line(n, document_number=number(n)[:-1]),
        lambda n: line(n, document_number="'" + number(n)[:-1]),
        lambda n: line(n, document_number=f"{n:032x}"),
    ],
    ("document_type", "unknown_type"): [lambda n: line(n, document_type=f"card{n}")],
    ("document_issuer", "missing_issuer"): [
        lambda n: line(n, document_type="passport", document_number=f"E{n:08}")
    ],
    ("entry_id", "too_long"): [lambda n: line(n, entry_id=f"{n:0129}")],
    ("name", "too_long"): [
        lambda n: line(n, name="1" * 101),
        lambda n: line(n, name=f"a|b|c|d|{n}"),
    ],
    ("entry_id", "number_in_text"): [lambda n: line(n, entry_id="x" + number(n))],
    ("name", "number_in_text"): [lambda n: line(n, name=f"张某某|张{number(n)}")],
    ("revision", "bad_revision"): [lambda n: line(n, revision=str(1_500_000_000 + n))],
    ("updated_at", "bad_revision"): [lambda n: line(n, revision="", updated_at=f"{n}.1.2018")],
    ("from", "bad_date"): [lambda n: line(n, **{"from": f"1.3.{n}"})],
    ("until", "bad_date"): [lambda n: line(n, until="2017-01-01"), lambda n: line(n, list="lift")],
    ("list", "malformed"): [lambda n: line(n, list="")],
    ("cases", "number_in_text"): [lambda n: line(n, cases=number(n))],
    ("lifts", "malformed"): [lambda n: line(n, lifts=f"no{n}")],
}
EACH = [(fault, made) for fault, kinds in REFUSED.items() for made in kinds]


def read(scatter: Scatter, made: Callable[[int], str]) -> float:
    """Microseconds of CPU a row."""
    data = "".join(f"{made(n)}\n" for n in range(ROWS)).encode()
    piece = Piece(0, "list.csv", LAYOUT, None, Block(2, data))
    started = time.process_time()
    assert scatter.read(piece, sheet_of(piece.block, piece.layout)) == ROWS
    return (time.process_time() - started) / ROWS * 1e6


@pytest.mark.parametrize(("fault", "made"), EACH, ids=[f"{f}-{n}" for n, (f, _) in enumerate(EACH)])
def test_every_rejected_row_is_told_and_costs_little(
    fault: tuple[str, str], made: Callable[[int], str], tmp_path: Path
) -> None:
    scatter = Scatter(CONTEXT, tmp_path, 0)
    spent = min(read(scatter, made) for _ in range(3))
    found = scatter.close()
    assert found.rejected == {fault[1]: 3 * ROWS}
    told = sorted((int(line_), field, reason) for _, line_, field, reason in reject_rows(tmp_path))
    assert told == sorted([(2 + n, *fault) for n in range(ROWS)] * 3)
    assert spent < MOST_US


def test_a_row_that_is_skipped_or_warned_of_costs_little(tmp_path: Path) -> None:
    kinds: list[Callable[[int], str]] = [
        lambda n: line(n, document_type="organisation"),
        lambda n: line(n, document_number=number(n)[:-1] + ("X" if number(n)[-1] != "X" else "1")),
    ]
    scatter = Scatter(CONTEXT, tmp_path, 0)
    assert all(min(read(scatter, made) for _ in range(3)) < MOST_US for made in kinds)
    found = scatter.close()
    assert (found.skipped_of, found.warned_of) == ({"sx": 3 * ROWS}, {"sx": 3 * ROWS})
    assert found.lists == {"sx": 3 * ROWS}
