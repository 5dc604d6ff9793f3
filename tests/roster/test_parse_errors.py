"""The words of msgspec and tomllib, which nothing but `roster/parse_errors.py` reads.

Where one of these fails with another version of them, that module has to learn the new words.
"""

from __future__ import annotations

import tomllib
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta

from roster.parse_errors import Complaint, complaint_of, toml_line
from tests.source import modules


class Inner(msgspec.Struct, forbid_unknown_fields=True):
    number: int = 0


class Outer(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    size: Annotated[int, Meta(ge=1)] = 1
    code: Annotated[str, Meta(pattern="^[A-Z]$", max_length=2)] = "A"
    word: Literal["this", "that"] = "this"
    items: tuple[Inner, ...] = ()
    named: dict[str, Inner] = {}
    keyed: dict[Annotated[str, Meta(min_length=1)], int] = {}
    either: int | None = None


SAID: list[tuple[dict[str, Any], Complaint]] = [
    ({}, Complaint((), "Object missing required field `name`", missing="name")),
    (
        {"name": "", "more": 1},
        Complaint((), "Object contains unknown field `more`", unknown="more"),
    ),
    ({"name": "", "": 1}, Complaint((), "Object contains unknown field ``", unknown="")),
    (
        {"name": 1},
        Complaint(("name",), "Expected `str`, got `int`", "expected `str`, got `int`"),
    ),
    ({"name": "", "size": 0}, Complaint(("size",), "Expected `int` >= 1", "expected `int` >= 1")),
    (
        {"name": "", "code": "ABC"},
        Complaint(
            ("code",), "Expected `str` of length <= 2", "expected `str` of length <= 2"
        ),
    ),
    (
        {"name": "", "code": "a"},
        Complaint(
            ("code",),
            "Expected `str` matching regex '^[A-Z]$'",
            "expected `str` matching regex '^[A-Z]$'",
        ),
    ),
    ({"name": "", "word": "other"}, Complaint(("word",), "Invalid enum value 'other'")),
    (
        {"name": "", "items": [{}, {"number": "1"}]},
        Complaint(
            ("items", 1, "number"), "Expected `int`, got `str`", "expected `int`, got `str`"
        ),
    ),
    (
        {"name": "", "items": [{"more": 1}]},
        Complaint(("items", 0), "Object contains unknown field `more`", unknown="more"),
    ),
    (
        {"name": "", "named": {"a": {"number": "1"}}},
        Complaint(("named", "number"), "Expected `int`, got `str`", "expected `int`, got `str`"),
    ),
    (
        {"name": "", "keyed": {"": 1}},
        Complaint(("keyed",), "Expected `str` of length >= 1", "expected `str` of length >= 1"),
    ),
    (
        {"name": "", "either": ""},
        Complaint(
            ("either",), "Expected `int | null`, got `str`", "expected `int | null`, got `str`"
        ),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("value", "complaint"), SAID)
def test_what_msgspec_says_is_where_and_what(value: dict[str, Any], complaint: Complaint) -> None:
    with pytest.raises(msgspec.ValidationError) as converting:
        msgspec.convert(value, Outer)
    assert complaint_of(converting.value) == complaint
    with pytest.raises(msgspec.ValidationError) as decoding:
        msgspec.json.decode(msgspec.json.encode(value), type=Outer)
    assert complaint_of(str(decoding.value)) == complaint


def test_of_what_is_no_json_only_the_words_are_known() -> None:
    with pytest.raises(msgspec.DecodeError) as cut:
        msgspec.json.decode(b'{"name": ', type=Outer)
    assert complaint_of(cut.value) == Complaint((), str(cut.value))


@pytest.mark.parametrize(
    ("text", "line"), [("a = 1\nb = c\n", 2), ("a = 1\n\nb = [\n1,\n", 4), ("a = 1\na = 2\n", 2)]
)
def test_what_tomllib_says_has_a_line(text: str, line: int) -> None:
    with pytest.raises(tomllib.TOMLDecodeError) as refused:
        tomllib.loads(text)
    assert toml_line(refused.value, text) == line


def test_no_other_module_reads_the_words_of_msgspec() -> None:
    words = (" - at `", "Expected `", "Invalid enum", "required field", "at line (", " value '")
    found = {
        module.path
        for package in ("roster", "service", "loader")
        for module in modules(f"{package}/**/*.py")
        if any(word in module.text for word in words)
    }
    assert found == {"roster/parse_errors.py"}
