"""Loads what appears in a folder, one file after the other, as long as the process lives."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import msgspec
from msgspec.structs import replace

from loader.jobs.intake import Files
from loader.jobs.load import Loading
from loader.jobs.load_records import refused
from loader.jobs.reading import OnProgress, Options, progress
from loader.jobs.report import LoadSummary
from loader.jobs.session import Session
from loader.jobs.spool import DONE, REFUSED, Spool, WaitingFile
from loader.words import figures as words
from loader.words.sayings import SAYINGS
from roster.embedded import locks
from roster.errors import ClearwayError, LoadRefused, NotDurable, Unavailable
from roster.settings import Settings
from roster.speech.language import say
from roster.times import format_ms

POLL_S = 1.0
SETTLED_S = 5.0
"""A file that is refused, and is not what its manifest speaks of, may still be written to."""
_STEP_S = 0.05


class Report(msgspec.Struct, frozen=True):
    """What became of a file: `message` is why it was refused, `summary` what its load did."""

    file: str
    outcome: str
    began_at: str
    ended_at: str
    message: str | None
    summary: LoadSummary | None


class Watching:
    """One process' watch of one folder."""

    def __init__(
        self, settings: Settings, spool: Spool, options: Options, say: Callable[[str], None]
    ) -> None:
        """`options` apply to every file, but for the files themselves; `say` hears in words."""
        self._settings = settings
        self._spool = spool
        self._options = options
        self._say = say
        self._stop = False
        self._seen: dict[str, WaitingFile] = {}
        self._later: dict[WaitingFile, float] = {}
        self._said: set[str] = set()

    def run(self, reported: Callable[[Report], None]) -> None:
        """Watch until SIGTERM or SIGINT, which end it between two loads; raises LoadRefused."""
        lock = locks.take_if_free(self._spool.lock)
        if lock is None:
            raise LoadRefused(f"another process watches {self._spool.folder}")
        with self._signals():
            for name in self._spool.recover():
                self._say(f"{name} was loaded before, and is moved now")
            while not self._stop:
                waiting = self._next()
                if waiting is None:
                    self._pause()
                elif report := self._load(waiting):
                    reported(report)

    def _next(self) -> WaitingFile | None:
        """The next file, where it has been as it is since the last look.

        What has just come is waited for; what changes all the time, and what is put off, is not.
        """
        self._tell_of_alone()
        seen, now_s = self._seen, time.monotonic()
        waiting = self._spool.waiting()
        self._seen = {each.name: each for each in waiting}
        for each in waiting:
            if seen.get(each.name) == each and self._later.get(each, 0.0) <= now_s:
                return each
            if each.name not in seen:
                return None
        return None

    def _tell_of_alone(self) -> None:
        for name in sorted(self._spool.alone() - self._said):
            self._said.add(name)
            self._say(f"{name} waits for its manifest ({name}.manifest.json)")

    def _load(self, waiting: WaitingFile) -> Report | None:
        began_ms = time.time_ns() // 1_000_000
        try:
            with Session(self._settings) as session, progress() as on_progress:
                try:
                    summary = self._loaded(session, waiting, on_progress)
                except LoadRefused as exc:
                    return self._refused(session, waiting, began_ms, str(exc))
        except (Unavailable, NotDurable) as exc:
            self._put_off(waiting, str(exc), SETTLED_S)
            return None
        if summary is None:
            self._put_off(waiting, "another load is under way", POLL_S)
            return None
        if not summary.rejected:
            self._spool.rejects(waiting.name).unlink(missing_ok=True)
        path = self._spool.rejects_in(DONE, waiting.name) if summary.rejected else None
        summary = replace(summary, rejects_file=None if path is None else str(path))
        return self._moved(waiting, DONE, began_ms, summary=summary)

    def _loaded(
        self, session: Session, waiting: WaitingFile, on_progress: OnProgress
    ) -> LoadSummary | None:
        """What the load did; None while somebody else loads."""
        try:
            session.take_lease()
        except LoadRefused:
            return None
        files = self._options.files
        path = str(self._spool.folder / waiting.name)
        options = replace(
            self._options,
            files=Files((path,), (), None, files.format, files.encoding),
            rejects=self._spool.rejects(waiting.name),
            rejects_kept=self._spool.folder / DONE,
        )
        try:
            return Loading(session, options, on_progress).run()
        except LoadRefused as exc:
            if session.has_lost_lease:  # no fault of the file
                raise Unavailable(str(exc)) from exc
            raise

    def _refused(
        self, session: Session, waiting: WaitingFile, began_ms: int, message: str
    ) -> Report | None:
        if not self._spool.same(waiting):
            self._put_off(waiting, "it has changed while it was read", POLL_S)
            return None
        newest_ns = max(changed_ns for _, _, changed_ns in waiting.stamp)
        age_s = time.time() - newest_ns / 1e9
        if 0 <= age_s < SETTLED_S and not self._spool.is_whole(waiting.name):
            self._put_off(waiting, message, SETTLED_S - age_s)
            return None
        here, there = (
            str(path)
            for path in (
                self._spool.rejects(waiting.name),
                self._spool.rejects_in(REFUSED, waiting.name),
            )
        )
        message = message.replace(here, there)
        manifest = self._spool.manifest(waiting.name)
        record = refused(waiting.name, manifest, began_ms, message, session.lists.ids)
        try:
            session.run(session.dictionary.open_load(record))
        except ClearwayError as exc:
            session.warn(words.NOT_RECORDED, exc)
        return self._moved(waiting, REFUSED, began_ms, message)

    def _put_off(self, waiting: WaitingFile, why: str, for_s: float) -> None:
        self._later[waiting] = time.monotonic() + for_s
        if f"{waiting.name}: {why}" not in self._said:
            self._said.add(f"{waiting.name}: {why}")
            self._say(f"{waiting.name} is tried again: {why}")

    def _moved(
        self,
        waiting: WaitingFile,
        outcome: str,
        began_ms: int,
        message: str | None = None,
        summary: LoadSummary | None = None,
    ) -> Report:
        began, ended = format_ms(began_ms), format_ms(time.time_ns() // 1_000_000)
        report = Report(waiting.name, outcome, began, ended, message, summary)
        self._spool.move(waiting, outcome, report)
        self._later.clear()
        return report

    def _pause(self) -> None:
        until_s = time.monotonic() + POLL_S
        while not self._stop and time.monotonic() < until_s:
            time.sleep(_STEP_S)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """A context in which a first signal ends the watch after the load, a second one at once."""

        def ended(_number: int, _frame: FrameType | None) -> None:
            if self._stop:
                raise KeyboardInterrupt
            self._stop = True

        before = [(each, signal.signal(each, ended)) for each in (signal.SIGINT, signal.SIGTERM)]
        try:
            yield
        finally:
            for number, handler in before:
                signal.signal(number, handler)


def report_text(report: Report) -> str:
    """One line for the log."""
    did = report.summary
    if did is None:
        why = SAYINGS.spoken(report.message or "")
        return say(words.WATCH_REFUSED, file=report.file, why=why)
    return say(
        words.WATCHED,
        file=report.file,
        at=did.as_of,
        added=did.added,
        changed=did.changed,
        ended=did.ended,
        rejected=sum(did.rejected.values()),
        seconds=did.seconds,
    )
