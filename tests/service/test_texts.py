"""What commands say: all of it in both languages, with the same values."""

from __future__ import annotations

import re
from string import Formatter
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner

import clearway
from roster.records.bounds import REASONS
from roster.rules.restrictions import MODES
from roster.speech.helps import HELPS, paragraphs
from roster.speech.language import Phrase, language_of
from service.commands import audit, desk_texts, keys, loads, meant, roster, texts
from service.commands.shown import COLUMNS as OF_ENTRY
from tests.source import modules

if TYPE_CHECKING:
    from collections.abc import Iterator

HAN = re.compile("[\u4e00-\u9fff]")
SAME = {"sha256"}
"""What has no word of its own."""


def all_texts() -> Iterator[tuple[str, Phrase]]:
    for name, value in (vars(texts) | vars(desk_texts)).items():
        if isinstance(value, Phrase):
            yield name, value
        elif isinstance(value, dict) and name.isupper():
            yield from ((f"{name}[{key}]", each) for key, each in value.items())


def values(text: str) -> list[tuple[str, str]]:
    """The values that a text names, each as it is to be written."""
    found = Formatter().parse(text)
    return sorted((name, spec or "") for _, name, spec, _ in found if name)


def test_both_languages_say_all_with_the_same_values() -> None:
    found = dict(all_texts())
    assert len(found) > 100
    assert [name for name, text in found.items() if values(text.en) != values(text.zh)] == []
    assert [name for name, text in found.items() if not text.en or HAN.search(text.en)] == []
    foreign = {name for name, text in found.items() if not HAN.search(text.zh)}
    assert foreign == {f"COLUMNS[{name}]" for name in SAME}


def test_every_text_is_said_somewhere() -> None:
    there = modules("service/commands/*.py")
    code = "\n".join(each.text for each in there if not each.stem.endswith("texts"))
    code += "\n".join(
        line
        for each in there
        if each.stem.endswith("texts")
        for line in re.findall(r"(?m)^    .*", each.text)
    )
    names = {name.partition("[")[0] for name, _ in all_texts()}
    assert {name for name in names if not re.search(rf"\b{name}\b", code)} == set()


def test_every_code_and_every_column_has_its_text() -> None:
    assert set(desk_texts.REASONS) == {reason for reasons in REASONS.values() for reason in reasons}
    assert set(texts.MODES) == set(MODES)
    shown = (
        *(OF_ENTRY, keys.COLUMNS, loads._COLUMNS, roster._COLUMNS, roster._OF_PROCESS),
        *(audit._COLUMNS, audit._OF_CHAIN),
    )
    assert {column for columns in shown for column in columns} - set(texts.COLUMNS) == set()
    assert set(desk_texts.CONFIRM) == set(meant._MEANT)


@pytest.mark.parametrize(
    ("environ", "language"),
    [
        ({}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh"}, "zh"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C.UTF-8"}, "en"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": ""}, "zh"),
        ({"LANG": "en_US.UTF-8", "LC_MESSAGES": "zh_TW.UTF-8"}, "zh"),
        ({"LC_MESSAGES": "zh_CN", "LC_ALL": "en_US"}, "en"),
    ],
)
def test_the_locale_says_the_language(environ: dict[str, str], language: str) -> None:
    assert language_of(environ, "utf-8") == language


@pytest.mark.parametrize(
    ("encoding", "language"), [("gbk", "zh"), ("gb18030", "zh"), ("ascii", "en"), ("latin-1", "en")]
)
def test_nobody_is_told_in_letters_that_the_terminal_lacks(encoding: str, language: str) -> None:
    assert language_of({"LANG": "zh_CN"}, encoding) == language


SPOKEN = [
    *(
        ["find"],
        ["remove"],
        ["suspend"],
        ["resume"],
        ["reinstate"],
        ["check"],
        ["status"],
        ["lists"],
        ["loads"],
    ),
    *(["audit"], ["demo"], ["keys", "list"], ["lists", "disable"], ["lists", "enable"]),
    *(["load"], ["verify"], ["sign"], ["generate"], ["undo"], ["watch"], ["push"]),
]


def helps(command: click.Command) -> Iterator[str]:
    yield from paragraphs(command.help or "")
    yield from (
        each.help for each in command.params if isinstance(each, click.Option) and each.help
    )


def test_the_help_of_what_speaks_chinese_is_chinese_throughout() -> None:
    assert [text for text in HELPS.values() if not HAN.search(text)] == []
    every = {*clearway.SUMMARIES.values(), *helps(clearway.main)}
    for words in SPOKEN:
        command: click.Command = clearway.main
        context = click.Context(command)
        for word in words:
            assert isinstance(command, click.Group)
            found = command.get_command(context, word)
            assert found is not None
            command = found
        every |= {*helps(command)}
        shown = CliRunner().invoke(clearway.main, ["--lang", "zh", *words, "--help"]).stdout
        assert not re.search(r"[a-z] [a-z]+ [a-z]+ [a-z]", shown.partition("\n\n")[2]), shown
    assert every <= set(HELPS)
    assert set(HELPS) - every == {"Show this message and exit."}


def test_another_language_before_leaves_no_trace_in_the_help() -> None:
    def shown(*arguments: str) -> str:
        return CliRunner().invoke(clearway.main, ["find", *arguments, "--help"]).stdout

    english = shown("--lang", "en")
    assert HAN.search(shown("--lang", "zh"))
    assert shown("--lang", "en") == english
    assert not HAN.search(english)
