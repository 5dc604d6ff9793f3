"""What the loader's commands say to people: in Chinese, too, with the same figures and ids."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from clearway import main
from loader import commands
from loader.files import foreign
from loader.jobs import guard, load, report
from loader.words import figures
from loader.words.files import NO_LIST
from loader.words.refusals import REFUSED
from loader.words.sayings import SAYINGS
from roster.errors import LoadRefused
from roster.speech.faults import FAULTS
from roster.speech.language import Phrase
from roster.storage.snapshots import MergeCounts
from tests.loader.loads import ID_KEY, Roster, row, write
from tests.loader.test_watch import drop, watching
from tests.servers import eventually, free_port
from tests.service.test_texts import values
from tests.source import ROOT, modules

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HAN = re.compile("[\u4e00-\u9fff]")
ENGLISH = re.compile(r"\b[a-z]{2,} [a-z]{2,} [a-z]{2,}\b")
FORMS = [each for table in (*FAULTS, *REFUSED, *NO_LIST) for each in table.items()]
PLACE = re.compile(r"\{(\w+)\}")
OPEN = {
    "7: 7",
    "7: 7 of 7 rows 7, more than 7 7 (7): 7",
    "the columns are separated by 7: save the file as CSV with commas7",
}
"""What is made of others' words, each of which has its own test."""
REFUSALS = {"LoadRefused", "WrongUsage", "PushRefused", "Unavailable", "UsageError", "ValueError"}


def is_chinese(text: str) -> bool:
    return bool(HAN.search(text)) and not ENGLISH.search(text)


def phrases() -> Iterator[tuple[str, Phrase]]:
    for name, value in vars(figures).items():
        if isinstance(value, Phrase):
            yield name, value
        elif isinstance(value, dict) and name.isupper():
            yield from ((f"{name}[{key}]", each) for key, each in value.items())


def test_both_languages_say_all_with_the_same_values() -> None:
    found = dict(phrases())
    assert len(found) > 50
    assert [name for name, text in found.items() if values(text.en) != values(text.zh)] == []
    assert [n for n, text in found.items() if HAN.search(text.en) or not text.zh] == []
    own = [name for name, text in found.items() if not HAN.search(text.zh)]
    assert own == ["PROGRESS", "PROGRESS_OF", "REASONS", "OF_LIST", "COUNTED"]


def test_every_phrase_is_said_somewhere() -> None:
    code = "\n".join(each.text for each in modules("loader/*.py", "loader/[!w]*/*.py"))
    names = {name.partition("[")[0] for name, _ in phrases()}
    assert {name for name in names if not re.search(rf"\b{name}\b", code)} == set()


@pytest.mark.parametrize(("form", "chinese"), FORMS)
def test_a_form_is_told_in_chinese_with_its_values(form: str, chinese: str) -> None:
    names = PLACE.findall(form)
    assert sorted(names) == sorted(PLACE.findall(chinese))
    assert is_chinese(PLACE.sub("", chinese)) or chinese.startswith(("zip", "gzip", "PDF"))
    numbers = {"count", "line"}
    given = {n: str(at) if n in numbers else f"v/{at}" for at, n in enumerate(names)}
    assert SAYINGS.translated(form.format(**given)) == chinese.format(**given)


def sample(node: ast.AST) -> str:
    """A text as it may come of an expression: 7 for what is put in."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(
            "7" if isinstance(part, ast.FormattedValue) else sample(part) for part in node.values
        )
    return ""


def refused(tree: ast.Module) -> Iterator[str]:
    """What is refused with, and what advices say."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and isinstance(call := node.exc, ast.Call):
            if ast.unparse(call.func).rpartition(".")[2] in REFUSALS and call.args:
                yield sample(call.args[0])
        elif isinstance(node, ast.Return | ast.Yield) and node.value is not None:
            text = sample(node.value)
            if ENGLISH.search(text):
                yield text


@pytest.mark.parametrize("module", modules("loader/**/*.py"), ids=lambda each: each.path)
def test_whatever_is_refused_has_its_chinese_form(module: object) -> None:
    said = {text for text in refused(module.tree) if text} - OPEN  # type: ignore[attr-defined]
    assert [text for text in said if not is_chinese(SAYINGS.translated(text))] == []


def made_of_parts() -> Iterator[str]:
    yield from (load.NO_AS_OF, commands.INTERRUPTED, commands.UNDO_INTERRUPTED)
    contents = [what for _, what in (*foreign._CONTENT, *foreign._ARCHIVES)]
    yield from (f"the file is {what}" for what in (*contents, *foreign._OTHER_NAMES.values()))
    yield from (f"the file holds {what} in which something is packed: unpack it"
                for _, what in foreign._PACKED)  # fmt: skip
    for what in ("are rejected", "are warned of"):
        for name in ("sx", "no list"):
            yield f"{name}: 3 of 5 rows {what}, more than --max-rejects 1% (2): bad_date 3"
    for count, reason in ((1, "malformed"), *((2, each) for each in (*report._WHAT, "malformed"))):
        for field in ("", "document_number", "name"):
            what = report._what(count, field, reason)
            yield f"2 of 9 rows rejected: {what} (first in a.csv line 4), {what} (first in line 5)"
    yield "list.csv: the header lacks entry_id; has unknown a, b: a is perhaps entry_id"
    known = {"sx": guard.ListBefore(12, covered=True)}
    for fate in (MergeCounts(ended=9), MergeCounts(added=9)):
        with pytest.raises(LoadRefused) as caught:
            guard.check_changes({"sx": fate}, known, guard.Limits())
        yield str(caught.value)
    yield (
        "3 of 9 rows rejected: 2 bad dates in column from (first in line 3), 7 others; sx: 9 of "
        "10 entries would end, more than --max-removals 1% (1); the rejects are in /tmp/x.csv"
    )


@pytest.mark.parametrize("text", list(made_of_parts()))
def test_a_refusal_of_several_parts_is_told_in_chinese_throughout(text: str) -> None:
    told = SAYINGS.translated(text)
    assert is_chinese(told), told
    assert sorted(re.findall(r"\d+", told)) == sorted(re.findall(r"\d+", text))


def test_what_is_of_no_known_form_stays_as_it_is() -> None:
    texts = ["", "x", "a: b; c, d", "; ".join(["something new, of many parts: here"] * 40)]
    assert [SAYINGS.translated(text) for text in texts] == texts
    assert SAYINGS.spoken(load.NO_AS_OF) == load.NO_AS_OF


class Commands:
    """Real commands on one roster; each gives its status, and what it says on both streams."""

    def __init__(self, roster: Roster) -> None:
        self.roster = roster
        plain = {name: text for name, text in os.environ.items() if name != "LANG"}
        self.env = plain | {
            "CLEARWAY_REDIS_URL": roster.settings.redis_url or "",
            "CLEARWAY_DATA_DIR": str(roster.settings.data_dir),
            "CLEARWAY_ID_KEY": ID_KEY,
            "PYTHONUTF8": "1",
        }

    def __call__(self, *words: str, locale: str = "zh_CN.UTF-8") -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, str(ROOT / "clearway.py"), *words],
            env=self.env | {"LANG": locale},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        told = [line for line in done.stderr.splitlines(keepends=True) if line[0] != "{"]
        return done.returncode, done.stdout + "".join(told)

    def file(self, name: str, *rows: str) -> str:
        return write(self.roster.folder / name, rows)


@pytest.fixture
def command(roster: Roster) -> Commands:
    return Commands(roster)


def measured(text: str) -> list[list[str]]:
    """The figures, ids and codes of each line, but of those that a clock or the memory says."""
    lines = [line for line in text.splitlines() if not re.search("seconds|秒|/s|memory|内存", line)]
    return [sorted(re.findall(r"[A-Za-z0-9./-]*[0-9][A-Za-z0-9.,:/-]*", line)) for line in lines]


def test_a_load_says_in_chinese_what_it_says_in_english(command: Commands) -> None:
    rows = [row(1), row(2, 2), row(3, 3, document_number="110105********0011")]
    list_ = command.file("list.csv", *rows)
    how = ["load", list_, "--list", "sx", "--as-of", "2020-01-01", "--dry-run"]
    how += ["--rejects", str(command.roster.folder / "rejects.csv")]
    english, chinese = command(*how, locale="C.UTF-8"), command(*how)
    assert english[0] == chinese[0] == 0
    assert (
        command(*how, "--lang", "zh", locale="C.UTF-8")[1].splitlines()[:9]
        == (chinese[1].splitlines()[:9])
    )
    assert measured(english[1]) == measured(chinese[1])
    assert not HAN.search(english[1])
    lines = chinese[1].splitlines()
    assert [line for line in lines if not HAN.search(line)] == []
    assert not ENGLISH.search(chinese[1])
    rejected = "  3 行中拒收 1 行：document_number 列 1 个号码被遮盖（首见于第 4 行）"
    assert rejected in lines


def test_json_is_the_same_in_every_language(command: Commands) -> None:
    rows = [row(1), row(2, 2, document_number="110105********0011")]
    list_ = command.file("list.csv", *rows)
    status, said = command("load", list_, "--list", "sx", "--as-of", "2020-01-01", "--json")
    assert status == 0
    assert not HAN.search(said)
    summary = json.loads(said)
    assert (summary["added"], summary["rejected"]) == (1, {"masked_number": 1})
    assert summary["notes"][0].startswith("1 of 2 rows rejected: 1 masked number in column")


def test_what_undoes_and_verifies_speaks_chinese(command: Commands) -> None:
    first = command.file("first.csv", *(row(n, n) for n in range(1, 6)))
    second = command.file("second.csv", *(row(n, n) for n in range(1, 5)))
    for file, day in ((first, "2020-01-01"), (second, "2020-01-02")):
        status, said = command("load", file, "--list", "sx", "--as-of", day, "--max-removals", "2")
        assert status == 0
        assert re.match("已载入，截至 20(19-12-31|20-01-01)T16:00:00Z\n", said)
    status, said = command("load", second, "--list", "sx", "--as-of", "2020-01-02")
    assert (status, "无需载入：第 2 次载入的内容相同" in said) == (0, True)
    status, said = command("verify", first, "--list", "sx", "--as-of", "2020-01-02")
    assert status == 1
    assert "sx：不一致（文件 " in said
    assert "  缺少：sx (2018)京0105执5号/1（桶 " in said
    assert said.splitlines()[-1] == "名册与文件不一致（5 行）"
    status, said = command("undo", "2")
    assert (status, said.splitlines()[0]) == (0, "已撤销：第 2 次载入（second.csv）")
    assert re.search(r"^恢复 +1$", said, re.MULTILINE)
    status, said = command("undo", "9")
    assert (status, said) == (1, "错误：没有第 9 次载入：可用 `clearway loads` 查看\n")


def test_a_guard_says_in_chinese_why_it_refuses(command: Commands) -> None:
    rows = [row(n, n) for n in range(1, 10)]
    assert (
        command("load", command.file("a.csv", *rows), "--list", "sx", "--as-of", "2020-01-01")[0]
        == 0
    )
    masked = row(9, 9, document_number="110105********0011")
    less = command.file("b.csv", *rows[:3], masked)
    how = ("load", less, "--list", "sx", "--as-of", "2020-01-02", "--max-rejects", "9")
    status, said = command(*how, "--max-removals", "0")
    assert status == 1
    assert not ENGLISH.search(said)
    assert "sx：9 条中将终止 5 条，超过 --max-removals 0（0）" in said
    assert "4 行中拒收 1 行：document_number 列 1 个号码被遮盖（首见于第 5 行）；sx：9 条" in said
    assert "拒收明细见 " in said


def test_a_watch_reports_in_chinese_but_for_programs(command: Commands, tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    folder.mkdir()
    with watching(command.roster, folder, LANG="zh_CN.UTF-8", PYTHONUTF8="1") as watch:
        drop(folder, "a.csv", [row(1)])
        eventually(lambda: "a.csv 已载入，截至 " in watch.said())
        drop(folder, "b.csv", [row(1), row(2)], day=2, sha256="0" * 64, rows=7)
        eventually(lambda: "b.csv 被拒绝：" in watch.said())
        assert watch.end() == 0
    assert "SHA-256 为 " in watch.said()
    (told,) = (folder / "refused").glob("*.report.json")
    assert not HAN.search(told.read_text(encoding="utf-8"))


def spoken(*words: str, **env: str) -> tuple[int, str]:
    """A command in this process, which Redis is not asked by."""
    done = CliRunner().invoke(main, [*words, "--lang", "zh"], env=env)
    return done.exit_code, done.output


def test_mistakes_are_told_in_chinese(tmp_path: Path) -> None:
    list_ = write(tmp_path / "list.csv", [row(1)])
    (tmp_path / "list.xlsx").write_bytes(b"PK\x03\x04")
    own = {"CLEARWAY_DATA_DIR": str(tmp_path), "CLEARWAY_API_KEY": "cw_0123456789ab_" + "a" * 43}
    status, said = spoken("load", list_, **own)
    assert (status, "全量快照须有 --as-of" in said) == (2, True)
    status, said = spoken("load", list_, "--as-of", "yesterday", **own)
    assert (status, "不是带时区的 RFC 3339 时间" in said) == (2, True)
    status, said = spoken("load", list_, "--as-of", "2020-01-01", "--rejects", list_, **own)
    assert (status, "也是输入" in said) == (2, True)
    status, said = spoken("push", list_, "--url", f"http://127.0.0.1:{free_port()}", **own)
    assert (status, "请用 `clearway load FILE` 载入" in said) == (1, True)
    status, said = spoken("push", list_, "--url", "127.0.0.1", **own)
    assert (status, "URL 缺少协议" in said) == (2, True)
    refused_url = f"redis://127.0.0.1:{free_port()}"
    status, said = spoken(
        "load",
        list_,
        "--as-of",
        "2020-01-01",
        CLEARWAY_REDIS_URL=refused_url,
        CLEARWAY_ID_KEY=ID_KEY,
        **own,
    )
    assert (status, "无法连接 Redis" in said) == (1, True)
    assert not ENGLISH.search(said)


def test_a_list_that_is_made_and_signed_is_told_of_in_chinese(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    made, key = tmp_path / "made.csv", tmp_path / "key.pem"
    own = {"CLEARWAY_DATA_DIR": str(tmp_path)}
    status, said = spoken(
        "generate", "--people", "20", "--entries", "30", "--out", str(made), **own
    )
    assert (status, said.startswith("已生成 20 人的 30 条；载入时请加 --as-of ")) == (0, True)
    pem = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    key.write_bytes(pem)
    status, said = spoken(
        "sign", str(made), "--private-key", str(key), "--as-of", "2019-01-01", **own
    )
    assert (
        status,
        bool(re.fullmatch(r"已签名：.+ 共 \d+ 行，截至 2018-12-31T16:00:00Z\n", said)),
    ) == (0, True)
    status, said = spoken("sign", str(made), "--private-key", str(made), **own)
    assert (status, "made.csv 不是无密码的 PEM 格式 Ed25519 私钥" in said) == (1, True)
