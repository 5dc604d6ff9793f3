"""The file that says which rows a load could not use, and what is said of them in a sentence."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from loader.rows.scatter import reject_rows
from roster.embedded.server_files import private_folder
from roster.errors import LoadRefused
from roster.times import format_ms

KEPT = 100
"""So many rejects files are kept where nobody says where they should lie."""
_FOLDER = "rejects"
_TOLD_MAX = 6
_WHAT = {
    "masked_number": "masked number",
    "missing_number": "missing number",
    "unknown_type": "unknown type",
    "missing_issuer": "missing issuer",
    "bad_date": "bad date",
    "bad_revision": "bad revision",
    "number_in_text": "ID number",
    "too_long": "overlong text",
}
_UNREADABLE, _BAD_NUMBER, _BAD_VALUE = "row that cannot be read", "bad number", "bad value"


class Rejects(msgspec.Struct, frozen=True):
    """The rejects of one load: how many of how many rows, why, and where that is written."""

    count: int = 0
    why: str = ""
    path: Path | None = None

    def told(self, rows: int) -> str:
        """A sentence about them, or nothing."""
        return f"{self.count:,} of {rows:,} rows rejected: {self.why}" if self.count else ""


@contextmanager
def explained(rejects: Rejects, rows: int, hints: Iterable[str]) -> Iterator[None]:
    """What refuses the file inside says what was wrong with its rows, too, and where that is."""
    try:
        yield
    except LoadRefused as exc:
        if not rejects.count:
            raise
        told = [rejects.told(rows), str(exc), *hints, f"the rejects are in {rejects.path}"]
        raise LoadRefused("; ".join(told)) from exc


def write_rejects(folder: Path, path: Path | None, data_dir: Path, now_ms: int) -> Rejects:
    """What was rejected; it is written to `path`, or to the data folder. Raises LoadRefused.

    Without rejects there is a file only where somebody has asked for one.
    """
    rows = list(reject_rows(folder))
    if not rows and path is None:
        return Rejects()
    try:
        if path is None:
            path = _own(data_dir, now_ms)
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("file", "line", "field", "reason"))
            writer.writerows(rows)
    except OSError as exc:
        raise LoadRefused(f"the rejects file cannot be written: {exc.strerror}") from exc
    return Rejects(len(rows), _why(rows), path)


def _own(data_dir: Path, now_ms: int) -> Path:
    """A new file in the data folder, for us alone; the oldest of those there are gone."""
    folder = private_folder(private_folder(data_dir) / _FOLDER)
    old = sorted(folder.glob("*.csv"))[: -(KEPT - 1)]
    for path in old:
        with suppress(OSError):
            path.unlink()
    stamp = format_ms(now_ms).replace(":", "").replace(".", "-")
    path = folder / f"{stamp}-{os.getpid()}.csv"
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600))
    return path


def _why(rows: Iterable[list[str]]) -> str:
    """The reasons, the most frequent first, each with the place of its first row."""
    counts, first = Counter[tuple[str, str]](), dict[tuple[str, str], tuple[str, str]]()
    files = set()
    for file, line, field, reason in rows:
        counts[field, reason] += 1
        first.setdefault((field, reason), (file, line))
        files.add(file)
    told = [
        f"{_what(count, *about)} (first in {_place(*first[about], several=len(files) > 1)})"
        for about, count in counts.most_common(_TOLD_MAX)
    ]
    others = counts.total() - sum(count for _, count in counts.most_common(_TOLD_MAX))
    return ", ".join([*told, *([f"{others:,} others"] if others else [])])


def _what(count: int, field: str, reason: str) -> str:
    if reason == "malformed":
        number = _BAD_NUMBER if field == "document_number" else _BAD_VALUE
        what = number if field else _UNREADABLE
    else:
        what = _WHAT.get(reason, reason)
    noun, _, rest = what.partition(" that ") if not field else (what, "", "")
    many = f"{noun}{'' if count == 1 else 's'}{' that ' + rest if rest else ''}"
    return f"{count:,} {many}" + (f" in column {field}" if field else "")


def _place(file: str, line: str, *, several: bool) -> str:
    return f"{Path(file).name} line {line}" if several else f"line {line}"
