"""What click itself says is Chinese where the command speaks Chinese, and else as it was."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from string import Formatter

import click
import pytest
from click.testing import CliRunner, Result

import clearway
from roster.speech.usage import USAGE
from tests.source import ROOT
from tests.terminals import terminal

HAN = re.compile("[\u4e00-\u9fff]")
PASSPORT = ("--type", "passport", "--issuer", "CHN", "--number", "-")


def run(*arguments: str, **env: str) -> Result:
    return CliRunner().invoke(clearway.main, arguments, input="", env={"LC_ALL": "C.UTF-8"} | env)


def values(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def test_click_says_each_of_these_and_no_value_is_made_up() -> None:
    said = {
        node.value
        for path in Path(click.__file__).parent.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant)
    }
    assert set(USAGE) - said == set()
    assert [text for text, chinese in USAGE.items() if not values(chinese) <= values(text)] == []
    assert [text for text in USAGE.values() if not HAN.search(text)] == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("find",), "错误：缺少选项 '--type'"),
        (("find", "--type", "card"), "'--type' 的值无效：'card' 不在可选值"),
        (("find", "--nope"), "错误：没有选项 '--nope'。"),
        (("nope",), "错误：没有命令 'nope'。"),
        (("find", "--key-file", "nowhere"), "'--key-file' 的值无效：'nowhere' 不存在。"),
        (("find", *PASSPORT), "错误：'--number' 的值无效：标准输入中没有号码"),
    ],
)
def test_wrong_usage_is_told_in_chinese(arguments: tuple[str, ...], told: str) -> None:
    for environ, before in (({"LC_ALL": "zh_CN.UTF-8"}, ()), ({}, ("--lang", "zh"))):
        done = run(*before, *arguments, **environ)
        assert done.exit_code == 2
        assert told in done.stderr
        assert "用法：" in done.stderr
        assert not re.search("Usage|Error|Missing|Invalid|No such|does not", done.stderr)
    english = run(*arguments)
    assert english.exit_code == 2
    assert english.stderr.startswith("Usage: ")
    assert not HAN.search(english.stderr)


def test_a_help_in_chinese_has_no_english_word_of_clicks() -> None:
    for command in ([], ["find"], ["keys"]):
        shown = run("--lang", "zh", *command, "--help").stdout
        assert "用法：" in shown
        assert "选项:" in shown
        assert not re.search(r"Usage|Options|Commands|\[required\]|default:", shown)
    assert "[必填]" in run("--lang", "zh", "find", "--help").stdout
    assert "Usage: " in run("find", "--help").stdout


def test_who_breaks_off_is_told_in_chinese(tmp_path: Path) -> None:
    command = ("find", "--type", "resident_id", "--number", "-", "--lang", "zh")
    environ = {"PYTHONUTF8": "1", "PYTHONPATH": str(ROOT)}
    with terminal(environ, tmp_path, *command) as typed:
        typed.answer("证件号码: ", "\x04")
        assert typed.end() == 1, typed.shown
    assert "已中止！" in typed.shown
    assert "Aborted" not in typed.shown
