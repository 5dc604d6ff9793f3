"""Whether the load that is asked for is the one that its lists had last: then nothing is to do."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

from msgspec.structs import replace

from loader.crew.worker import peak_bytes
from loader.partitions.diffs import join
from loader.runs.intake import Intake
from loader.runs.ledger import files_of, is_same, last_of
from loader.runs.reading import Options
from loader.runs.report import Summary
from loader.runs.session import Session
from roster.errors import LoadRefused
from roster.storage.dictionary import Load, LoadedFile
from roster.storage.rewinds import rewound
from roster.times import format_ms


def nothing_to_do(session: Session, options: Options, intake: Intake, as_of: int) -> Summary | None:
    """What is said of a load that has been done already; None: there is something to do."""
    began_s = time.monotonic()
    wanted = Load(actor="", received_at_ms=0, lists=intake.lists, as_of=as_of)
    last = _last(session, options, intake, replace(wanted, partial=options.partial))
    if last is None:
        return None
    if options.diff is not None:
        join((), options.diff)
    return Summary(
        dry_run=False,
        as_of=format_ms(as_of),
        same_as=last,
        seconds=round(time.monotonic() - began_s, 3),
        peak_bytes=peak_bytes(),
    )


def _last(session: Session, options: Options, intake: Intake, wanted: Load) -> int | None:
    """The load that has brought the same. Only where it may be are the files hashed."""
    loads = session.run(session.dictionary.all_loads())
    for number, load in loads.items():
        same = (load.as_of, load.partial) == (wanted.as_of, wanted.partial) and load.files
        if not same or (wanted.lists and sorted(wanted.lists) != sorted(load.lists)):
            continue
        if last_of(load.lists, loads) != (number, load) or not _stands(session, load):
            return None
        asked = replace(wanted, lists=load.lists, files=_hashed(options, intake))
        return number if is_same(asked, load) else None
    return None


def _stands(session: Session, load: Load) -> bool:
    """Whether what the load has brought is the last that was loaded, in every partition."""
    metas = session.run(session.store.metas())
    known = session.lists.ids
    if rewound(metas) or load.applied_at_ms is None or not known.keys() >= {*load.lists}:
        return False
    stamp = (load.as_of, load.nonce)
    codes = () if load.partial else [known[name].code for name in load.lists]
    return all(
        meta.begun(code) == stamp and code in meta.covered for meta in metas for code in codes
    )


def _hashed(options: Options, intake: Intake) -> tuple[LoadedFile, ...]:
    """The files as they are on record; nothing where one is no file that can be read again."""
    files, hashes = options.files, []
    for path, manifest in zip(files.paths, intake.manifests, strict=True):
        if not Path(path).is_file():
            return ()
        try:
            with Path(path).open("rb") as file:
                hashes.append(hashlib.file_digest(file, "sha256").hexdigest())
        except OSError as exc:
            raise LoadRefused(f"{path}: {exc.strerror}") from exc
        if manifest is not None and (manifest.sha256 or hashes[-1]).lower() != hashes[-1]:
            return ()
    return files_of(files.paths, hashes, files.format, files.encoding)
