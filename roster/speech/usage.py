"""What click says of its own accord, in the language that the command speaks."""

from __future__ import annotations

from contextlib import contextmanager
from gettext import gettext, ngettext
from importlib import import_module
from typing import TYPE_CHECKING

import click

from roster.speech.language import language

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_MODULES = ("core", "exceptions", "formatting", "parser", "termui", "types")
USAGE: Mapping[str, str] = {
    "Usage:": "用法：",
    "Options": "选项",
    "Positional arguments": "参数",
    "Commands": "命令",
    "required": "必填",
    "default: {default}": "默认：{default}",
    "env var: {var}": "环境变量：{var}",
    "Error: {message}": "错误：{message}",
    "Error: invalid input": "错误：输入无效",
    "Aborted!": "已中止！",
    "Try '{command} {option}' for help.": "说明见 '{command} {option}'。",
    "Invalid value: {message}": "值无效：{message}",
    "Invalid value for {param_hint}: {message}": "{param_hint} 的值无效：{message}",
    "Missing argument": "缺少参数",
    "Missing option": "缺少选项",
    "Missing parameter": "缺少参数",
    "Missing command.": "缺少命令。",
    "Choose from:\n\t{choices}": "可选：\n\t{choices}",
    "No such option {name!r}.": "没有选项 {name!r}。",
    "No such command {name!r}.": "没有命令 {name!r}。",
    "Did you mean {possibility}?": "是否想写 {possibility}？",
    "(Did you mean one of: {possibilities}?)": "（是否想写其中之一：{possibilities}？）",
    "{value!r} is not {choice}.": "{value!r} 不是 {choice}。",
    "{value!r} is not one of {choices}.": "{value!r} 不在可选值 {choices} 之中。",
    "{value!r} is not a valid {number_type}.": "{value!r} 不是有效的数字。",
    "{value} is not in the range {range}.": "{value} 不在范围 {range} 之内。",
    "{name} {filename!r} does not exist.": "{filename!r} 不存在。",
    "{name} {filename!r} is a file.": "{filename!r} 是文件。",
    "{name} {filename!r} is a directory.": "{filename!r} 是目录。",
    "{name} {filename!r} is not readable.": "{filename!r} 不可读。",
    "{name} {filename!r} is not writable.": "{filename!r} 不可写。",
    "Option {name!r} does not take a value.": "选项 {name!r} 不带值。",
    "Option {name!r} requires an argument.": "选项 {name!r} 须带值。",
    "Got unexpected extra argument ({args})": "多余的参数（{args}）",
    "Got unexpected extra arguments ({args})": "多余的参数（{args}）",
}
"""What each of click's texts is in Chinese."""


def usage(text: str) -> str:
    """One of click's texts in the language that the command speaks."""
    return USAGE.get(text, text) if language() == "zh" else gettext(text)


def teach_click() -> None:
    """Have click say its own texts so: its modules look them up under the names of `gettext`."""
    for name in _MODULES:
        module = vars(import_module(f"click.{name}"))
        for own, ours in (("_", usage), ("ngettext", _plural)):
            if own in module:
                module[own] = ours


@contextmanager
def told_in_chinese() -> Iterator[None]:
    """Have what ends a command that speaks Chinese told while its language is still known."""
    try:
        yield
    except (click.Abort, EOFError, KeyboardInterrupt) as exc:
        if language() != "zh":
            raise
        click.echo(("" if isinstance(exc, click.Abort) else "\n") + usage("Aborted!"), err=True)
        raise click.exceptions.Exit(1) from exc
    except click.ClickException as exc:
        if language() != "zh":
            raise
        exc.show()
        raise click.exceptions.Exit(exc.exit_code) from exc


def _plural(one: str, many: str, count: int) -> str:
    return usage(one if count == 1 else many) if language() == "zh" else ngettext(one, many, count)
