"""All that is wrong with one change, told together once anything is."""

from __future__ import annotations

from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

from msgspec.structs import asdict, replace

from roster.errors import InvalidInput
from roster.times import read_time
from service.changing.edits import BINDS, check_fields, check_texts
from service.web.faults import gathered
from service.web.shapes import EntryShape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from service.changing.edits import EditReader
    from service.web.shapes import ChangeShape

ANY_ID = "1"


def all_faults(
    reader: EditReader, shape: ChangeShape, *first: InvalidInput
) -> list[tuple[str, str]]:
    """Every field to blame, and why; what was found `first` before the others."""
    found = gathered(_tries(reader, shape))
    return list(dict.fromkeys([*chain.from_iterable(each.faults for each in first), *found]))


def _tries(reader: EditReader, shape: ChangeShape) -> Iterator[Callable[[], object]]:
    """Each part of a change, to be read by itself."""
    yield partial(check_texts, shape)
    yield partial(reader.check_revision, shape)
    yield partial(read_time, "decided_at", shape.decided_at)
    yield from _entry_tries(reader, shape)
    yield from (
        partial(reader.token, f"{field}[{index}]", document)
        for field in ("documents", "replaces")
        for index, document in enumerate(getattr(shape, field) or ())
        if document is not None
    )
    if shape.op in BINDS:
        return
    yield lambda: check_fields(shape, reader.list_code(shape))
    if shape.document is None:
        yield partial(_require, "document")
    else:
        yield partial(reader.token, "document", shape.document)
    yield partial(reader.content, shape)


def _entry_tries(reader: EditReader, shape: ChangeShape) -> Iterator[Callable[[], object]]:
    """Each field of the entry, as if it had no other."""
    for name, value in asdict(shape.entry).items() if shape.entry else ():
        if value is not None:
            alone = replace(shape, entry_id=ANY_ID, entry=EntryShape(**{name: value}))
            yield partial(check_texts, alone)
            yield partial(reader.content, alone)


def _require(field: str) -> None:
    raise InvalidInput(field, "required")
