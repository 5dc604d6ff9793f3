"""Two hundred damaged files: each is refused with its reason, or costs its bad rows only."""

from __future__ import annotations

import csv
import importlib.util
import re
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization

from loader.jobs.guard import Limits
from loader.jobs.intake import Files
from roster.documents.identity import Document, normalise
from roster.errors import LoadRefused
from roster.records.entry import Entry
from roster.records.record import parse_record
from roster.storage.buckets import buckets_of
from roster.storage.dictionary import Dictionary
from roster.times import DAY_MS, parse_time, parse_until
from tests.loader.damage import KEY, PEOPLE, Damaged, all_cases, csv_lines, joined, person
from tests.loader.loads import TOKENISER, Roster, number, settings_for

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from loader.jobs.session import Session
    from tests.servers import Server

CASES = all_cases()
SECRETS = ("张某某", *(number(n)[:17] for n in range(PEOPLE)))
NO_PYARROW = importlib.util.find_spec("pyarrow") is None
Known = tuple[int, int | None, str]
"""Revision, end and state of an entry."""


class Held:
    """A roster that holds a list, and what is known of each of its entries."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.roster = Roster(settings_for(server, folder), folder, Limits())
        public = folder / "public.pem"
        public.write_bytes(
            KEY.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )
        guarded = settings_for(server, folder, signature_key_file=str(public))
        self.guarded = Roster(guarded, folder, Limits())
        self.known: dict[tuple[str, str], Known] = {}
        self.as_of = parse_time("2020-01-01")
        rows = [person(n) for n in range(PEOPLE)]
        (folder / "first.csv").write_bytes(joined(csv_lines(rows)))
        self.roster.load_files(Files((str(folder / "first.csv"),), ("sx",), self.as_of))
        self.learn(rows)

    def learn(self, rows: Iterable[dict[str, str]]) -> None:
        for row in rows:
            end = parse_until(row["until"]) if row["until"] else None
            state = "REMOVED" if row["state"] == "removed" else "ACTIVE"
            known = self.known.get((row["document_number"], row["entry_id"]))
            if state == "REMOVED" and known:
                end = known[1]
            self.known[row["document_number"], row["entry_id"]] = int(row["revision"]), end, state

    def stored(self) -> dict[bytes, bytes]:
        """Everything that the server holds, as it lies there."""
        with self.server.client() as client:
            names = sorted(client.keys("*"))
            pipe = client.pipeline(transaction=False)
            for name in names:
                pipe.dump(name)
            return dict(zip(names, pipe.execute(), strict=True))

    def states(self, numbers: set[str]) -> dict[tuple[str, str], Known]:
        """What is stored of these people."""
        with self.roster.opened() as session:
            return session.run(_states(session, numbers))


async def _states(session: Session, numbers: set[str]) -> dict[tuple[str, str], Known]:
    dictionary = Dictionary(session.store.nodes)
    await dictionary.refresh()
    found = {}
    for one in numbers:
        token = TOKENISER.token(normalise(Document("resident_id", one)).number)
        (bucket,) = await buckets_of(session.store, token[1], [int.from_bytes(token[2:4])])
        for entry in parse_record(bucket.get(token[4:], b"\0\0"), dictionary.known):
            found[one, entry.content.entry_id] = _known(entry)
    return found


def _known(entry: Entry) -> Known:
    registers = entry.registers
    revision = max(registers.listed_at, registers.removed_at)
    return revision, entry.content.until_ms, entry.state.name


@pytest.fixture(scope="module")
def held(_valkey: Server, tmp_path_factory: pytest.TempPathFactory) -> Held:
    _valkey.empty()
    return Held(_valkey, tmp_path_factory.mktemp("held"))


def written(case: Damaged, folder: Path) -> str:
    name, data = case.make()
    path = folder / name
    path.write_bytes(data)
    for suffix, beside in case.beside(data).items():
        (folder / (name + suffix)).write_bytes(beside)
    return str(path)


def files_of(case: Damaged, path: str, as_of: int | None) -> Files:
    lists = case.lists
    if case.whole and not lists and not case.beside(b""):
        lists = ("sx",)
    return Files((path,), lists, as_of, encoding=case.encoding)


def test_there_are_two_hundred_of_them_and_each_has_a_name() -> None:
    assert len(CASES) >= 200
    assert len({case.name for case in CASES}) == len(CASES)
    assert sum(bool(case.refused) for case in CASES) > 100


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_damaged_file_is_refused_or_costs_its_bad_rows_only(
    held: Held, case: Damaged, tmp_path: Path
) -> None:
    if NO_PYARROW and "parquet" in case.name:
        pytest.skip("Parquet needs pyarrow")
    path = written(case, tmp_path)
    if case.refused:
        refused(held, case, path)
    else:
        loaded(held, case, path, tmp_path / "rejects.csv")


def refused(held: Held, case: Damaged, path: str) -> None:
    before = held.stored()
    as_of = parse_time(case.as_of) if case.as_of and case.whole else None
    roster = held.guarded if case.signed else held.roster
    with pytest.raises(LoadRefused) as refusal:
        roster.load_files(files_of(case, path, as_of), partial=not case.whole)
    assert re.search(case.refused, str(refusal.value)), refusal.value
    assert not [text for text in SECRETS if text in str(refusal.value)]
    assert held.stored() == before


def loaded(held: Held, case: Damaged, path: str, rejects: Path) -> None:
    held.as_of += DAY_MS
    summary = held.roster.load_files(
        files_of(case, path, held.as_of if case.whole else None),
        partial=not case.whole,
        rejects=rejects,
    )
    told = list(csv.reader(rejects.read_text(encoding="utf-8").splitlines()))[1:]
    assert {name for name, *_ in told} <= {path}
    assert [(int(line), blamed, reason) for _, line, blamed, reason in told] == list(case.rejects)
    reasons = [reason for _, _, reason in case.rejects]
    assert summary.rejected == {reason: reasons.count(reason) for reason in reasons}
    assert summary.rows == case.rows
    assert summary.skipped == case.skipped
    assert summary.warnings == ({"bad_check_digit": case.warned} if case.warned else {})
    gone = sum(row["state"] == "removed" for row in case.loaded)
    assert (summary.ended, summary.superseded) == (gone, 0)
    assert summary.added + summary.changed + summary.unchanged == len(case.loaded) - gone
    held.learn(case.loaded)
    numbers = {number for number, _ in held.known}
    assert held.states(numbers) == held.known
