"""All that is wrong with the shape of a body, told together, without repeating what was sent.

msgspec stops at the first fault. So a body that it refuses is looked through again, field by
field: this costs only those who sent something wrong.
"""

from __future__ import annotations

import re
from functools import cache
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin
from typing import get_type_hints as hints_of

import msgspec

from roster.documents.identity import Document
from roster.errors import InvalidInput
from roster.parse_errors import complaint_of
from service.web import shapes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

TOLD_MAX = 32
"""More faults than this help nobody."""
_UNIONS = (Union, UnionType)
ARRAYS = (list, tuple)
UNKNOWN = "unknown field"
"""What is told of a field that there is not begins so."""
NO_JSON = "the body is not JSON in UTF-8, or is nested too deeply"
_START = 256
"""As much of a body as is looked at."""
_STARTS = (
    (
        rb"\xef\xbb\xbf|\xff\xfe|\xfe\xff",
        "a byte order mark begins the body: send JSON in UTF-8, without",
    ),
    (rb"[\w.%+\-\[\]]+=", "the body is a form: send JSON"),
)


class FieldError(msgspec.Struct, frozen=True):
    """Which field is to blame, as a path such as `document.number`, and why."""

    field: str
    message: str


def why_no_json(body: bytes) -> str:
    """Why a body that is not JSON is none, as far as its beginning says; nothing of it is told."""
    if not body.strip():
        return "the body is empty: JSON is expected"
    return next((told for start, told in _STARTS if re.match(start, body[:_START])), NO_JSON)


def faults(value: object, shape: object) -> list[FieldError]:
    """What is wrong with a decoded value of this shape, outermost first; at most `TOLD_MAX`."""
    found = _look(value, shape, "")
    return [fault for _, fault in zip(range(TOLD_MAX), found, strict=False)]


def gathered(tries: Iterable[Callable[[], object]]) -> Iterator[tuple[str, str]]:
    """What each of these steps finds wrong, as InvalidBody takes it."""
    for attempt in tries:
        try:
            attempt()
        except InvalidInput as exc:
            yield from exc.faults


def field_error(said: Exception | str) -> FieldError:
    """What msgspec says, as field and reason; values and unknown names are left out."""
    complaint = complaint_of(said)
    steps = (f"[{at}]" if isinstance(at, int) else f".{known_word(at)}" for at in complaint.path)
    path = "".join(steps).strip(".")
    if complaint.missing is not None:
        return FieldError(join(path, complaint.missing), "required")
    if complaint.unknown is not None:
        return FieldError(join(path, known_word(complaint.unknown)), UNKNOWN)
    return FieldError(path, complaint.expected or "not one of the values that are known here")


def join(path: str, name: str) -> str:
    """The path of a field; of what it lies in where the name may not be told."""
    return f"{path}.{name}".strip(".")


def known_word(name: str) -> str:
    """The name where it is a word of ours, else nothing: it may be a person's name or number."""
    return name if name in WORDS else ""


def listed(names: list[str]) -> str:
    """Names as a sentence has them."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1]))) if names else "none"


def _look(value: object, shape: object, path: str) -> Iterator[FieldError]:
    options = options_of(shape)
    if isinstance(value, dict):
        for option in options:
            if isinstance(option, type) and issubclass(option, msgspec.Struct):
                yield from _in_struct(value, option, path)
                return
    if options == (msgspec.Raw,):
        return
    yield from _alone(value, shape, path)
    if isinstance(value, list):
        for option in options:
            if get_origin(option) in ARRAYS:
                for index, each in enumerate(value):
                    yield from _look(each, get_args(option)[0], f"{path}[{index}]")


def _in_struct(
    value: dict[str, object], struct: type[msgspec.Struct], path: str
) -> Iterator[FieldError]:
    hinted = hints(struct)
    fields = {field.encode_name: field for field in msgspec.structs.fields(struct)}
    for name in dict.fromkeys(known_word(each) for each in value if each not in fields):
        known = listed(list(fields))
        yield FieldError(join(path, name), f"{UNKNOWN}: there are {known}")
    for name, field in fields.items():
        if struct is shapes.JourneyShape and _is_out_of_place(value, name):
            yield FieldError(join(path, name), f"does not go with mode {value['mode']}")
        elif name in value:
            yield from _look(value[name], hinted[field.name], join(path, name))
        elif field.required:
            yield FieldError(join(path, name), "required")


def _is_out_of_place(journey: dict[str, object], name: str) -> bool:
    """Whether a field does not go with the journey's mode: what else is wrong with it is idle."""
    mode = journey.get("mode")
    if not isinstance(mode, str) or mode not in shapes.TAKES or journey.get(name) is None:
        return False
    own = shapes.TAKES[mode]
    return name not in own and any(name in each for each in shapes.TAKES.values())


def options_of(shape: object) -> tuple[Any, ...]:
    """The shapes that this one admits, without their bounds: itself alone, but for a union."""
    bare = _bare(shape)
    return tuple(map(_bare, get_args(bare))) if get_origin(bare) in _UNIONS else (bare,)


@cache
def hints(struct: type) -> dict[str, Any]:
    """The shapes of a Struct's fields, with their bounds."""
    return hints_of(struct, include_extras=True)


def _alone(value: object, shape: object, path: str) -> Iterator[FieldError]:
    """What is wrong with the value itself, not with what lies in it."""
    try:
        msgspec.convert(value, hollow(shape))
    except msgspec.ValidationError as exc:
        known = ", ".join(_choices(shape)) if isinstance(value, str) else ""
        message = f"not one of {known}" if known else field_error(exc).message
        unquoted = type(value) in {int, float} and "`str" in message
        yield FieldError(path, message + ": a text stands in quotes" * unquoted)


def _choices(shape: object) -> list[str]:
    """The texts that a shape admits where these are few; none where others are admitted, too."""
    bare = _bare(shape)
    if get_origin(bare) is Literal:
        return [str(each) for each in get_args(bare)]
    options = get_args(bare) if get_origin(bare) in _UNIONS else ()
    found = [_choices(option) for option in options if option is not type(None)]
    return [text for each in found for text in each] if all(found) else []


def hollow(shape: object) -> Any:  # noqa: ANN401 -- any shape
    """A shape whose lists hold anything: what is in them is told apart."""
    if get_origin(shape) is Annotated:
        inner, *metas = get_args(shape)
        return Annotated[(hollow(inner), *metas)]
    if get_origin(shape) in _UNIONS:
        return Union[tuple(map(hollow, get_args(shape)))]  # noqa: UP007 -- made at run time
    return list[Any] if get_origin(shape) in ARRAYS else shape


def _bare(shape: object) -> Any:  # noqa: ANN401 -- any shape
    return get_args(shape)[0] if get_origin(shape) is Annotated else shape


def _words() -> frozenset[str]:
    structs = [each for each in vars(shapes).values() if isinstance(each, type)]
    return frozenset(
        field.encode_name
        for struct in (Document, *structs)
        if issubclass(struct, msgspec.Struct)
        for field in msgspec.structs.fields(struct)
    )


WORDS = _words()
"""The names that requests may have; no other is ever told back."""
