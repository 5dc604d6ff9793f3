"""Which language a command speaks: what `--lang` says, else the locale of the environment."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar, get_args

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Language = Literal["en", "zh"]
Command = TypeVar("Command", bound="Callable[..., Any]")

_CHOSEN = "clearway.language"
_LOCALES = ("LC_ALL", "LC_MESSAGES", "LANG")
"""Who says it: the first that is set and not empty (POSIX, Environment Variables, 8.2)."""


class Phrase(NamedTuple):
    """What is said to a person, in each language; both name the same values in braces."""

    en: str
    zh: str


def say(text: Phrase, **values: object) -> str:
    """The text in the language that the command speaks, with its values."""
    return text[get_args(Language).index(language())].format(**values)


def language() -> Language:
    """The language of the running command."""
    context = click.get_current_context(silent=True)
    chosen: Language | None = context.meta.get(_CHOSEN) if context else None
    return chosen or language_of(os.environ, sys.stdout.encoding)


def language_of(environ: Mapping[str, str], encoding: str) -> Language:
    """The locale's language; English where the encoding has no Chinese, or the locale another."""
    locale = next((environ[name] for name in _LOCALES if environ.get(name)), "")
    return "zh" if locale.lower().startswith("zh") and _has_chinese(encoding) else "en"


def in_language(command: Command) -> Command:
    """The option of every command that speaks both languages."""
    return click.option(
        "--lang",
        type=click.Choice(get_args(Language)),
        expose_value=False,
        is_eager=True,
        callback=_choose,
        help="English or Chinese; default: as LC_ALL, LC_MESSAGES or LANG say.",
    )(command)


def _choose(context: click.Context, _option: click.Parameter, value: Language | None) -> None:
    if value is not None:
        context.meta[_CHOSEN] = value


def _has_chinese(encoding: str) -> bool:
    try:
        "中文".encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True
