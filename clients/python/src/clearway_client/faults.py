"""What is wrong with a question before it is sent, by field, without anything that it holds."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from clearway_client.answers import FieldError, Problem
from clearway_client.questions import Air, Check, Document, Entry, Person, Rail, Ship

JOURNEYS = (Air, Rail, Ship)
_PARTS = {"document": (Document,), "journey": JOURNEYS, "entry": (Entry,)}
_SEVERAL = ("documents", "replaces")
_TEXTS = {"type": str, "number": str, "issuer": str | None, "kind": str | None}
_Kinds = tuple[type[msgspec.Struct], ...]


def fault_in(value: object, *kinds: type[msgspec.Struct]) -> FieldError | None:
    """The first thing that cannot be sent; what the service can read is the service's to judge."""
    if not isinstance(value, kinds):
        return FieldError("", _must_be(kinds))
    if fault := next(_mistyped(value), None):
        return fault
    try:
        msgspec.json.encode(value)
    except UnicodeEncodeError:
        return FieldError(_unwritable(value), "holds half of a character: no JSON can")
    except (TypeError, ValueError, OverflowError, RecursionError):
        return FieldError(_unwritable(value), "holds what JSON has no form for")
    return None


def told(fault: FieldError) -> str:
    """The field and what is wrong, in a line."""
    return ": ".join(filter(None, (fault.field, fault.message)))


def problem_of(question: object, fault: FieldError) -> Problem:
    """What stands in the place of an item that was not sent."""
    reference = question.reference if isinstance(question, Check) else None
    return Problem(
        type="urn:clearway:problem:invalid",
        title="The request is invalid",
        status=400,
        detail=told(fault),
        errors=(fault,),
        reference=reference if isinstance(reference, str) else None,
    )


def _must_be(kinds: _Kinds) -> str:
    return "must be " + " or ".join(kind.__name__ for kind in kinds)


def _mistyped(value: object) -> Iterator[FieldError]:
    """Parts that are none of ours, which may show what they hold; numbers that are no text."""
    for path, part, kinds in _parts(value):
        if not isinstance(part, kinds):
            yield FieldError(path, _must_be(kinds))
        elif isinstance(part, Document):
            for field, kind in _TEXTS.items():
                if not isinstance(getattr(part, field), kind):
                    yield FieldError(f"{path}.{field}", "must be text")
    at_least = getattr(value, "at_least", "")
    if not isinstance(at_least, str) and not _are_texts(at_least):
        yield FieldError("at_least", "must be text or a tuple of texts")


def _parts(value: object) -> Iterator[tuple[str, object, _Kinds]]:
    for field, kinds in _PARTS.items():
        part = getattr(value, field, None)
        if part is not None or (field == "document" and isinstance(value, Check | Person)):
            yield field, part, kinds
    for field in _SEVERAL:
        documents = getattr(value, field, ())
        if not isinstance(documents, list | tuple):
            yield field, documents, (Document,)
            continue
        for index, each in enumerate(documents):
            yield f"{field}[{index}]", each, (Document,)


def _are_texts(value: object) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(each, str) for each in value)


def _unwritable(value: object) -> str:
    """Where in a value stands what cannot be written as JSON."""
    for step, part in _within(value):
        if not _is_written(part):
            inner = _unwritable(part)
            return f"{step}.{inner}" if inner and inner[0] != "[" else step + inner
    return ""


def _within(value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, msgspec.Struct):
        for field in msgspec.structs.fields(value):
            yield field.encode_name, getattr(value, field.name)
    elif isinstance(value, list | tuple):
        for index, part in enumerate(value):
            yield f"[{index}]", part


def _is_written(value: object) -> bool:
    try:
        msgspec.json.encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError):
        return False
    return True
