"""Loads into a test's server, and the roster as a plain dict of what it holds."""

from __future__ import annotations

import struct
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from loader.jobs.guard import Limits, parse_limit
from loader.jobs.intake import Files
from loader.jobs.load import Loading
from loader.jobs.reading import Options
from loader.jobs.session import Session
from loader.jobs.verify import Verification, Verifying
from roster.documents.check_digits import check_digit
from roster.documents.identity import Document, normalise
from roster.documents.tokeniser import Tokeniser
from roster.filter import TokenFilter
from roster.keys import BUCKETS, PARTITIONS
from roster.records.entry import Entry
from roster.records.record import parse_record
from roster.settings import Settings, read_settings
from roster.storage.buckets import buckets_of
from roster.storage.dictionary import Dictionary
from roster.times import parse_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from loader.jobs.report import LoadSummary
    from tests.servers import Server

ID_KEY = "ab" * 32
TOKENISER = Tokeniser(bytes.fromhex(ID_KEY))
HEADER = "list,entry_id,document_type,document_number,name,revision,state,from,until,case,court"
FREE = Limits(*[parse_limit("1000")] * 4)
"""For the small lists of tests, of which half would end too soon."""
DAY = "2020-01-0{}"


_RECORD = struct.Struct(">12sBI")


def records(blob: bytes) -> Iterator[tuple[bytes, int, bytes]]:
    """Field, kind and record of each record of a bucket's rows."""
    at = 0
    while at < len(blob):
        field, kind, size = _RECORD.unpack_from(blob, at)
        at += _RECORD.size + size
        yield field, kind, blob[at - size : at]


def number(n: int) -> str:
    """The nth person's ID number: nobody alive can own it."""
    digits = f"110105{1800 + n % 80}0101{n // 80 % 990:03d}"
    return digits + check_digit(digits)


def token(n: int) -> bytes:
    return TOKENISER.token(normalise(Document("resident_id", number(n))).number)


def row(n: int, serial: int = 1, revision: int | str = 1_500_000_000_000, **cells: str) -> str:
    """A line of the nth person's; every cell can be said otherwise."""
    number_ = f"(2018)京0105执{serial}号"
    usual = {
        "list": "sx", "entry_id": f"{number_}/1", "document_type": "resident_id",
        "document_number": number(n), "name": "张某某", "revision": str(revision), "state": "",
        "from": "2018-03-01", "until": "", "case": number_, "court": "北京市朝阳区人民法院",
    }  # fmt: skip
    return ",".join((usual | cells)[name] for name in HEADER.split(","))


def write(path: Path, rows: Iterable[str]) -> str:
    path.write_text("\n".join([HEADER, *rows]) + "\n", encoding="utf-8")
    return str(path)


def settings_for(server: Server, folder: Path, **more: str) -> Settings:
    own = {
        "CLEARWAY_REDIS_URL": server.url,
        "CLEARWAY_DATA_DIR": str(folder / "data"),
        "CLEARWAY_ID_KEY": ID_KEY,
    }
    return read_settings(own | {f"CLEARWAY_{name.upper()}": value for name, value in more.items()})


class Roster(NamedTuple):
    """A test's server and folder, with short words for what is done to them."""

    settings: Settings
    folder: Path
    limits: Limits = FREE

    def load(
        self,
        rows: Iterable[str],
        day: int = 1,
        lists: tuple[str, ...] = (),
        **options: Any,  # noqa: ANN401 -- as Options has them
    ) -> LoadSummary:
        rows = list(rows)
        lists = lists or tuple(sorted({row.partition(",")[0] for row in rows}))
        path = write(self.folder / "list.csv", rows)
        as_of = None if options.get("partial") else parse_time(DAY.format(day))
        return self.load_files(Files((path,), lists=lists, as_of=as_of), **options)

    def load_files(self, files: Files, **options: Any) -> LoadSummary:  # noqa: ANN401 -- the same
        options = {"limits": self.limits} | options
        with Session(self.settings) as session:
            return Loading(session, Options(files=files, **options), _silent).run()

    def verify(
        self, rows: Iterable[str], lists: tuple[str, ...] = (), *, repair: bool = False
    ) -> Verification:
        rows = list(rows)
        lists = lists or tuple(sorted({row.partition(",")[0] for row in rows}))
        path = write(self.folder / "verified.csv", rows)
        options = Options(files=Files((path,), lists=lists))
        with Session(self.settings) as session:
            return Verifying(session, options, _silent).run(repair=repair)

    @contextmanager
    def opened(self) -> Iterator[Session]:
        with Session(self.settings) as session:
            yield session

    def entries(self) -> dict[tuple[bytes, str], Entry]:
        """Every entry that is stored, by token and entry id."""
        with self.opened() as session:
            return session.run(_entries(session))

    def states(self) -> dict[tuple[bytes, str], str]:
        return {name: entry.state.name for name, entry in self.entries().items()}

    def metas(self) -> list[dict[bytes, bytes]]:
        with self.opened() as session:
            return [dict(meta.held) for meta in session.run(session.store.metas())]

    def count(self, field: bytes) -> int:
        return sum(int(meta.get(field, 0)) for meta in self.metas())

    def filters(self) -> list[TokenFilter]:
        with self.opened() as session:
            images = session.run(session.store.images(range(PARTITIONS)))
        return [TokenFilter.from_bytes(image.bits) for image in images if image]


async def _entries(session: Session) -> dict[tuple[bytes, str], Entry]:
    dictionary = Dictionary(session.store.nodes)
    await dictionary.refresh()
    found = {}
    for partition in range(PARTITIONS):
        buckets = await buckets_of(session.store, partition, range(BUCKETS))
        for number_, bucket in enumerate(buckets):
            for field, record in bucket.items():
                place = bytes((0, partition)) + number_.to_bytes(2) + field
                for entry in parse_record(record, dictionary.known):
                    found[place, entry.content.entry_id] = entry
    return found


def _silent(_what: str, _done: int, _total: int | None) -> None:
    pass
