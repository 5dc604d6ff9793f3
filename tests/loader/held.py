"""Rows that are judged by column, held to what each comes to when it is read alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loader.columns.cells import FAULTS, NO_SUCH_LIST, SOUND
from loader.columns.columns import concatenated
from loader.columns.sheets import whole
from loader.rows.packed_rows import ANYBODY, Context, Courts
from loader.rows.packer import BlockPacker
from roster.records.entry import RESTRICTING_BELOW
from tests.loader import one_by_one
from tests.loader.loads import ID_KEY
from tests.loader.one_by_one import Packer, Reject, Row, Skip
from tests.loader.rowwise import sheet_of_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from loader.rows.packer import PackedBlock
    from roster.documents.tokeniser import Tokeniser

CODES = {"sx": 1, "xgl": 2, "lift": 200}


class Reader(one_by_one.Reader):
    """Reads rows alone, and holds what they come to by column to it."""

    def __init__(self, columns: Sequence[str], default_list: str | None, now_ms: int) -> None:
        super().__init__(columns, default_list, now_ms)
        self._context = Context(bytes.fromhex(ID_KEY), CODES, 1_577_808_000_000, 3, now_ms, {})
        self._quick = BlockPacker(columns, default_list, self._context, Courts(self._context))

    def read(self, line: int, values: list[str]) -> Row | Reject | Skip:
        answer = super().read(line, values)
        if whole(values) is values:  # else no file has such a row
            hold(judged(self._quick, [values], self._width), [answer], self._context)
        return answer


def judged(quick: BlockPacker, rows: Sequence[list[str]], width: int) -> PackedBlock:
    return quick.judge(*sheet_of_rows(rows, width).legible())


def fault_of(read: Row | Reject | Skip, codes: Mapping[str, int]) -> tuple[str, str] | None:
    """What is wrong with a row, and what only those know who know the roster's lists."""
    if isinstance(read, Reject):
        return read.field, read.reason
    if isinstance(read, Skip):
        return "document_type", read.reason
    if read.list not in codes:
        return "list", NO_SUCH_LIST
    liftable = {name for name, code in codes.items() if code < RESTRICTING_BELOW}
    return None if liftable.issuperset(read.lifts) else ("lifts", "malformed")


def kept(read: Row | Reject | Skip, code: int, tokeniser: Tokeniser) -> Iterator[bytes]:
    """The entry of a row that is rejected, as far as it is legible."""
    if isinstance(read, Skip) or not code or read.entry_id is None:
        return
    place = tokeniser.token(read.number)[1:] if read.number else ANYBODY
    yield place + bytes((code,)) + tokeniser.entry_hash(code, read.entry_id)


def hold(found: PackedBlock, answers: Sequence[Row | Reject | Skip], context: Context) -> None:
    """Rows are loaded with the bytes, or refused for the fault, of rows that were read alone."""
    packed, packer, at = found.packed, Packer(context), 0
    rests = concatenated([packed.rests])
    octets = bytes(rests.source)
    good, left, unknown = iter(range(len(rests.sizes))), list[bytes](), list[str]()
    assert len(found.faults) == len(answers)
    for index, read in enumerate(answers):
        code = context.codes.get(read.list or "", 0)
        assert found.codes[index] == code
        if fault := fault_of(read, context.codes):
            assert FAULTS[found.faults[index]] == fault
            left += kept(read, code, packer.tokeniser)
            unknown += [read.list or ""] * (fault[1] == NO_SUCH_LIST)
        else:
            assert isinstance(read, Row)
            assert found.faults[index] == SOUND
            token_, row_ = packer.pack(read)
            place = next(good)
            assert read.valid != found.warned[place]
            rest, at = octets[at : at + rests.sizes[place]], at + rests.sizes[place]
            assert packed.partitions[place] == token_[1]
            assert packed.fixed[place].tobytes() + rest == row_
    assert (at, next(good, None)) == (len(octets), None)
    assert (sorted(found.kept), found.unknown) == (sorted(left), unknown)
