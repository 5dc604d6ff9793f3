"""Changes as they are sent, read as edits; the first thing that is wrong with one is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec

from roster.documents.check_digits import holds_id_number
from roster.documents.identity import Token, is_masked, normalise
from roster.documents.spelling import trimmed
from roster.errors import InvalidInput
from roster.records.bounds import (
    CASE_MAX,
    ENTRY_ID_MAX,
    REASONS,
    too_long,
)
from roster.records.entry import BIND, CANARY, LIFT, Content, Op
from roster.times import FUTURE_MAX_MS, beijing_day, parse_until, read_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roster.documents.identity import Document
    from roster.documents.tokeniser import Tokeniser
    from roster.rules.restrictions import Lists
    from service.web.shapes import ChangeShape, EntryShape

_OPS = {
    "put": Op.PUT,
    "remove": Op.REMOVE,
    "suspend": Op.SUSPEND,
    "resume": Op.RESUME,
    "bind": Op.PUT,
    "unbind": Op.REMOVE,
    "reinstate": Op.PUT,
}
_LIFT_ONLY = ("lifts", "cases", "modes", "kind")
_LONGEST = {"entry_id": ENTRY_ID_MAX, "entry.case": CASE_MAX, "entry.cases": CASE_MAX}
T = TypeVar("T")
BINDS = frozenset({"bind", "unbind"})


class Edit(msgspec.Struct, frozen=True):
    """One valid change: the entry of each document that it touches, first its own."""

    shape: ChangeShape
    op: Op
    list: int
    revision: int
    own: tuple[Token, ...]
    content: tuple[Content, ...]
    replaced: tuple[Token, ...] = ()
    decided_at_ms: int | None = None

    @property
    def courts(self) -> set[str]:
        """The courts that it names."""
        return {content.court for content in self.content if content.court}


class EditReader:
    """Reads changes as one caller sends them."""

    def __init__(
        self, tokeniser: Tokeniser, lists: Lists, now_ms: int, *, canary: bool = False
    ) -> None:
        """`now_ms` bounds revisions and birth dates; only the `canary` may edit its list."""
        self._tokeniser = tokeniser
        self._lists = lists
        self._now_ms = now_ms
        self._canary = canary

    def read(self, shape: ChangeShape) -> Edit:
        """The change's edit; raises InvalidInput with the field to blame."""
        check_texts(shape)
        self.check_revision(shape)
        decided_at_ms = read_time("decided_at", shape.decided_at)
        if shape.op in BINDS:
            return self._binding(shape, decided_at_ms)
        if shape.documents is not None:
            raise InvalidInput("documents", "goes with bind and unbind only")
        code = self.list_code(shape)
        check_fields(shape, code)
        token = self.token("document", _given("document", shape.document))
        replaced = [
            self.token(f"replaces[{index}]", document)
            for index, document in enumerate(shape.replaces or ())
        ]
        if token in replaced:
            raise InvalidInput("replaces", "names the change's own document")
        return Edit(
            shape,
            _OPS[shape.op],
            code,
            shape.revision or 0,
            (token,),
            (self.content(shape),),
            tuple(dict.fromkeys(replaced)),
            decided_at_ms,
        )

    def _binding(self, shape: ChangeShape, decided_at_ms: int | None) -> Edit:
        if shape.list not in (None, "bind"):
            raise InvalidInput("list", "a binding is on no list but bind")
        for field in ("document", "entry", "replaces"):
            if getattr(shape, field) is not None:
                raise InvalidInput(field, f"does not go with {shape.op}")
        entry_id = _identity("entry_id", shape.entry_id)
        documents = enumerate(_given("documents", shape.documents))
        tokens = [self.token(f"documents[{index}]", each) for index, each in documents]
        distinct = tuple(dict.fromkeys(tokens))
        if len(distinct) < 2:  # noqa: PLR2004 -- one document cannot be bound
            raise InvalidInput("documents", "these are one document")
        contents = tuple(
            Content(entry_id, tokens=tuple(sorted(set(distinct) - {token}))) for token in distinct
        )
        return Edit(
            shape,
            _OPS[shape.op],
            BIND,
            shape.revision or 0,
            distinct,
            contents,
            decided_at_ms=decided_at_ms,
        )

    def list_code(self, shape: ChangeShape) -> int:
        """The code of its list; raises InvalidInput, as all of these do."""
        rule = self._lists.by_id(_given("list", shape.list))
        known = rule is not None and (rule.code <= LIFT or (rule.code == CANARY and self._canary))
        if rule is None or not known:
            raise InvalidInput("list", "there is no such list")
        return rule.code

    def check_revision(self, shape: ChangeShape) -> None:
        """Refuse one that is missing or lies ahead."""
        if shape.revision is None:
            if shape.op in {"put", "bind", "unbind"}:
                raise InvalidInput("revision", "required")
        elif shape.revision > self._now_ms + FUTURE_MAX_MS:
            raise InvalidInput("revision", "more than 5 minutes ahead of us")

    def token(self, field: str, document: Document) -> Token:
        """The token of the document in this field."""
        try:
            found = normalise(document, beijing_day(self._now_ms))
        except InvalidInput as exc:
            first, *beside = (
                (field + name.removeprefix("document"), why) for name, why in exc.faults
            )
            raise InvalidInput(*first, *beside) from None
        if is_masked(document.number):
            raise InvalidInput(f"{field}.number", "masked_number: it stands for many people")
        return self._tokeniser.token(found.number)

    def content(self, shape: ChangeShape) -> Content:
        """What the entry says."""
        entry_id = _identity("entry_id", shape.entry_id)
        entry = shape.entry
        if entry is None:
            return Content(entry_id)
        if entry.name is not None and entry.names is not None:
            raise InvalidInput("entry.names", "name or names, not both")
        given = [entry.name] if entry.name is not None else entry.names or []
        names = {token for name in given for token in self._tokeniser.names(name)}
        from_ms = read_time("entry.from", entry.from_)
        until_ms = read_time("entry.until", entry.until, parse_until)
        if from_ms is not None and until_ms is not None and until_ms <= from_ms:
            raise InvalidInput("entry.until", "not after from")
        return Content(
            entry_id,
            names=tuple(sorted(names)),
            from_ms=from_ms,
            until_ms=until_ms,
            case=entry.case or "",
            court=entry.court or "",
            modes=tuple(sorted(set(entry.modes or ()))),
            lifts=tuple(sorted(set(self._lifted(entry)))),
            cases=tuple(sorted(set(entry.cases or ()))),
            kind=entry.kind or "",
        )

    def _lifted(self, entry: EntryShape) -> Sequence[str]:
        for name in entry.lifts or ():
            rule = self._lists.by_id(name)
            if rule is None or rule.code >= LIFT:
                raise InvalidInput("entry.lifts", "there is no such list")
        return entry.lifts or ()


def _given(field: str, value: T | None) -> T:
    if value is None:
        raise InvalidInput(field, "required")
    return value


def _identity(field: str, text: str | None) -> str:
    kept = trimmed(_given(field, text))
    if not kept:
        raise InvalidInput(field, "empty, or nothing but blanks")
    return kept


def check_fields(shape: ChangeShape, code: int) -> None:
    """Refuse fields that do not go with the op or the list, and ask for those that must."""
    if shape.op == "put":
        entry = _given("entry", shape.entry)
        if shape.reason is not None:
            raise InvalidInput("reason", "does not go with put")
        _check_lift(entry, code)
        return
    for field in ("entry", "replaces"):
        if getattr(shape, field) is not None:
            raise InvalidInput(field, f"does not go with {shape.op}")
    if shape.reason is not None and shape.reason not in REASONS[shape.op]:
        raise InvalidInput("reason", f"not a reason for {shape.op}")


def _check_lift(entry: EntryShape, code: int) -> None:
    if code != LIFT:
        for field in _LIFT_ONLY:
            if getattr(entry, field) is not None:
                raise InvalidInput(f"entry.{field}", "goes with list lift only")
        return
    if entry.until is None:
        raise InvalidInput("entry.until", "required on list lift")
    if entry.kind is not None and not (entry.name or entry.names):
        raise InvalidInput("entry.name", "required for a mistaken identity")


def check_texts(shape: ChangeShape) -> None:
    """Refuse texts that hold an ID number, or are too long without the blanks at their ends."""
    _check_text("entry_id", shape.entry_id)
    entry = shape.entry
    if entry is not None:
        _check_text("entry.name", entry.name)
        _check_text("entry.names", *(entry.names or ()))
        _check_text("entry.case", entry.case)
        _check_text("entry.court", entry.court)
        _check_text("entry.cases", *(entry.cases or ()))


def _check_text(field: str, *texts: str | None) -> None:
    given = [text for text in texts if text]
    if any(map(holds_id_number, given)):
        raise InvalidInput(field, "number_in_text: an ID number does not belong here")
    limit = _LONGEST.get(field)
    if limit and any(len(text) > limit < len(trimmed(text)) for text in given):
        raise InvalidInput(field, too_long(limit))
