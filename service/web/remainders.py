"""What is left of a refused body without its misshapen parts, so that the rest is judged as well.

A fault of shape would hide what is wrong with the meaning of every other field.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_origin

import msgspec

from service.web.faults import ARRAYS, UNKNOWN, hints, hollow, options_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service.web.faults import FieldError

S = TypeVar("S", bound=msgspec.Struct)
Meaning = Callable[[S], Iterable[tuple[str, str]]]
"""Tells what is wrong with a Struct beside its shape, each a field and a reason."""


def faults_beside(
    found: Iterable[FieldError],
    value: object,
    shape: type[S],
    meant: Meaning[S],
) -> Iterator[tuple[str, str]]:
    """What `meant` finds wrong with the parts of a decoded value that `found` does not blame.

    It is given the value as this Struct, in which also what is required may be None.
    """
    if not isinstance(value, dict):
        return
    blamed = [each.field for each in found if not each.message.startswith(UNKNOWN)]
    for field, why in meant(remainder(value, shape)):
        if not any(_lies_in(field, each) or _lies_in(each, field) for each in blamed):
            yield field, why


def remainder(value: dict[str, object], shape: type[S]) -> S:
    """The value as this Struct: without what is unknown, and None where it is misshapen."""
    kept: dict[str, Any] = {}
    for field in msgspec.structs.fields(shape):
        part = _part(value.get(field.encode_name), hints(shape)[field.name])
        kept[field.name] = field.default if part is None and not field.required else part
    return shape(**kept)


def _part(value: object, shape: object) -> Any:  # noqa: ANN401 -- any shape
    """The value in this shape; None where it has another, or lacks what it must have."""
    options = options_of(shape)
    if isinstance(value, dict):
        structs = [each for each in options if _is_struct(each)]
        return _whole(remainder(value, structs[0])) if structs else None
    try:
        kept = msgspec.convert(value, hollow(shape))
    except msgspec.ValidationError:
        return None
    for option in options if isinstance(kept, list) else ():
        if get_origin(option) in ARRAYS:
            return _elements(kept, option)
    return kept


def _elements(value: list[object], shape: object) -> Any:  # noqa: ANN401 -- as the shape has it
    """The list in this shape; of Structs those that are misshapen are None in it."""
    element = get_args(shape)[0]
    if element is msgspec.Raw:
        return [msgspec.Raw(msgspec.json.encode(each)) for each in value]
    kept = [_part(each, element) for each in value]
    if None in kept and not any(map(_is_struct, options_of(element))):
        return None
    return tuple(kept) if get_origin(shape) is tuple else kept


def _whole(struct: msgspec.Struct) -> msgspec.Struct | None:
    """It, unless it lacks what it must have."""
    fields = msgspec.structs.fields(struct)
    lacks = any(field.required and getattr(struct, field.name) is None for field in fields)
    return None if lacks else struct


def _is_struct(shape: object) -> bool:
    return isinstance(shape, type) and issubclass(shape, msgspec.Struct)


def _lies_in(path: str, whole: str) -> bool:
    """Whether a field is another, or a part of it."""
    return path == whole or path.startswith((f"{whole}.", f"{whole}["))
