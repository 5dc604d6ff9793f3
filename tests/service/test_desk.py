"""The desk, as who keeps a list uses it: nothing is changed that was not meant, all is legible."""

from __future__ import annotations

import json
import re
import tempfile
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import httpx
import pytest
from click.testing import CliRunner, Result

import clearway
from service.commands import caller
from tests.servers import eventually
from tests.terminals import terminal
from tests.test_clearway import NUMBER, PUT, Cli, ready

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import Server

GROUPS = "110105 1800 0101 0010"
WRONG = NUMBER[:-1] + "7"
NOBODY = "110105187001010012"
ENTRY_ID = "(2018)京0105执1234号/" + "1" * 60
DOCUMENT = ("--type", "resident_id", "--number", "-")
SCOPES = "check,list:read,list:add,list:remove,ops"
BEIJING = r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+08:00"


@pytest.fixture(scope="module")
def served(_valkey: Server) -> Iterator[Cli]:
    """A service that has one list in full, as of a time that is another day in Beijing."""
    _valkey.empty()
    with tempfile.TemporaryDirectory(prefix="cw-", dir="/tmp") as folder:
        cli = Cli(Path(folder), redis_url=_valkey.url, id_key="ab" * 32)
        (cli.folder / "list.csv").write_text("list,entry_id,document_type,document_number\n")
        at = ("--as-of", "2019-01-02T16:30:00Z")
        cli.ok("load", "list.csv", "--list", "sx", *at, "--allow-empty")
        cli.env["CLEARWAY_API_KEY"] = cli.make_key(SCOPES)
        with cli.serving() as url:
            cli.env["CLEARWAY_URL"] = url
            eventually(lambda: ready(url))
            yield cli


@pytest.fixture
def desk(served: Cli) -> Cli:
    """The listed person is there twice, once with a long id."""
    headers = {"authorization": f"Bearer {served.env['CLEARWAY_API_KEY']}"}
    put = PUT | {"revision": time.time_ns() // 1_000_000}
    puts = [{**put, "entry_id": each} for each in ("e1", ENTRY_ID)]
    named = {name: PUT[name] for name in ("list", "entry_id", "document")}
    body = {"changes": [*puts, {**named, "op": "resume"}], "wait": "all"}
    answer = httpx.post(f"{served.env['CLEARWAY_URL']}/v1/changes", json=body, headers=headers)
    assert [each["outcome"] for each in answer.json()["results"][:2]] == ["applied"] * 2
    return served


def run(cli: Cli, *arguments: str, stdin: str = "") -> Result:
    """What a command says where no terminal is; its own process would take ten times as long."""
    done = CliRunner().invoke(
        clearway.main, arguments, input=stdin, env=cli.env | {"LC_ALL": "C.UTF-8"}
    )
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def ok(cli: Cli, *arguments: str, stdin: str = "") -> str:
    done = run(cli, *arguments, stdin=stdin)
    assert done.exit_code == 0, done.output
    return done.stdout


def make_key(cli: Cli, scopes: str) -> str:
    return ok(cli, "keys", "create", "--name", "test", "--scopes", scopes).strip()


def states(cli: Cli) -> dict[str, str]:
    """The state of each of the person's entries, also of those that only a removal has named."""
    found = json.loads(ok(cli, "find", *DOCUMENT, "--json", stdin=NUMBER))["entries"]
    return {each["entry_id"]: each["state"] for each in found}


def test_a_typed_number_is_shown_in_groups_and_nothing_happens_without_a_yes(desk: Cli) -> None:
    for answer, status, state in (("n", 1, "active"), ("y", 0, "removed")):
        with terminal(desk.env, desk.folder, "remove", *DOCUMENT, "--entry-id", "e1") as typed:
            typed.answer("Number: ", NUMBER)
            typed.answer("Reason: ", "performed")
            typed.answer("Remove this entry? [y/N]: ", answer)
            assert typed.end() == status, typed.shown
        assert GROUPS in typed.shown
        assert NUMBER not in typed.shown
        assert "the obligation is performed" in typed.shown
        assert states(desk) == {"e1": state, ENTRY_ID: "active"}
    found = json.loads(ok(desk, "find", *DOCUMENT, "--json", stdin=NUMBER))["entries"]
    assert {each["reason"] for each in found if each["entry_id"] == "e1"} == {"performed"}


def test_who_types_is_asked_at_the_terminal_wherever_standard_error_goes(desk: Cli) -> None:
    path = desk.folder / "said"
    for op, reason, question, state in (
        ("suspend", "dispute", "Suspend this entry?", "suspended"),
        ("resume", "review", "Let this entry bind again?", "active"),
        ("remove", "performed", "Remove this entry?", "removed"),
        ("reinstate", "mistaken_removal", "Put this entry back on its list?", "active"),
    ):
        before = states(desk)["e1"]
        for answer, status, now in (("n", 1, before), ("y", 0, state)):
            with (
                path.open("wb") as said,
                terminal(
                    desk.env, desk.folder, op, *DOCUMENT, "--entry-id", "e1", stderr=said
                ) as typed,
            ):
                typed.answer("Number: ", NUMBER)
                typed.wait_for(GROUPS)
                typed.answer("Reason: ", reason)
                typed.answer(f"{question} [y/N]: ", answer)
                assert typed.end() == status, typed.shown + path.read_text()
            assert states(desk) == {"e1": now, ENTRY_ID: "active"}
            assert NUMBER[:6] not in path.read_text()
            assert NUMBER[6:10] not in path.read_text()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (("--mode", "rail"), "journey.train"),
        (("--mode", "air", "--departs-at", "x"), "departs_at"),
        (("--mode", "air", "--type", "passport"), "document.issuer"),
    ],
)
def test_a_check_of_what_cannot_be_is_wrong_usage(
    desk: Cli, wrong: tuple[str, ...], told: str
) -> None:
    done = run(desk, "check", *DOCUMENT, *wrong, stdin=NUMBER)
    assert (done.exit_code, done.stdout) == (2, "")
    assert told in done.stderr


@pytest.mark.parametrize("command", ["load", "verify"])
def test_a_list_that_there_is_not_is_wrong_usage(command: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("list,entry_id,document_type,document_number\n")
    done = CliRunner().invoke(
        clearway.main,
        [command, str(tmp_path / "a.csv"), "--list", "xx", "--as-of", "2025-01-01"],
        env={"CLEARWAY_DATA_DIR": str(tmp_path), "LC_ALL": "C.UTF-8"},
    )
    assert done.exit_code == 2
    assert "not in lists.toml: xx" in done.stderr


def test_a_mistyped_entry_id_leaves_nothing_behind(desk: Cli) -> None:
    before = states(desk)
    for op in ("remove", "suspend", "resume"):
        for wrong in (("--entry-id", "e2"), ("--list", "sx", "--entry-id", "E1")):
            done = run(desk, op, *DOCUMENT, *wrong, stdin=NUMBER)
            assert done.exit_code == 1
            assert "no such entry: nothing was changed" in done.stderr
            assert [line.split("\t")[1] for line in done.stderr.splitlines() if "\t" in line] == [
                *before
            ]
    assert states(desk) == before


def test_a_key_that_may_not_look_takes_the_entry_as_it_was_typed(desk: Cli) -> None:
    weak = desk.folder / "weak"
    weak.write_text(make_key(desk, "list:remove"))
    named = ("--list", "sx", "--entry-id", "e1", "--key-file", str(weak))
    done = run(desk, "remove", *DOCUMENT, *named, stdin=NUMBER)
    assert (done.exit_code, done.stdout) == (0, "applied  sx  e1\n")
    assert "list:read" in done.stderr
    refused = run(desk, "remove", *DOCUMENT, "--key-file", str(weak), stdin=NUMBER)
    assert refused.exit_code == 1
    assert "list:read" in refused.stderr


def test_what_was_removed_before_is_told_with_the_time(desk: Cli) -> None:
    named = ("--entry-id", "e1", "--reason", "settled")
    ok(desk, "remove", *DOCUMENT, *named, stdin=NUMBER)
    before = ok(desk, "find", *DOCUMENT, "--json", stdin=NUMBER)
    told = rf"already removed on {BEIJING}: sx e1 \(the parties have settled\)\n"
    for op, reason in (("remove", "performed"), ("suspend", "dispute"), ("resume", "dispute")):
        again = ("--entry-id", "e1", "--reason", reason)
        done = run(desk, op, *DOCUMENT, *again, stdin=NUMBER)
        assert (done.exit_code, done.stdout) == (1, "")
        assert re.fullmatch(told, done.stderr)
    assert ok(desk, "find", *DOCUMENT, "--json", stdin=NUMBER) == before


def test_nobody_is_asked_about_what_was_removed_before(desk: Cli) -> None:
    ok(desk, "remove", *DOCUMENT, "--entry-id", "e1", "--reason", "settled", stdin=NUMBER)
    with terminal(desk.env, desk.folder, "remove", *DOCUMENT, "--entry-id", "e1") as typed:
        typed.answer("Number: ", NUMBER)
        assert typed.end() == 1, typed.shown
    assert "already removed on" in typed.shown
    assert "Reason: " not in typed.shown


class Refusing(ThreadingHTTPServer):
    """In front of a service; what is asked for the first time, it says that it cannot do now."""

    daemon_threads = True

    def __init__(self, url: str) -> None:
        super().__init__(("127.0.0.1", 0), Passing)
        self.behind = url
        self.asked: list[str] = []

    @contextmanager
    def running(self) -> Iterator[str]:
        thread = Thread(target=self.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{self.server_port}"
        self.shutdown()
        thread.join()
        self.server_close()


class Passing(BaseHTTPRequestHandler):
    server: Refusing

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        first, status, answer = self.path not in self.server.asked, 503, b"{}"
        self.server.asked.append(self.path)
        if not first:
            headers = {"authorization": self.headers["authorization"]}
            done = httpx.post(self.server.behind + self.path, content=body, headers=headers)
            status, answer = done.status_code, done.content
        self.send_response(status)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """What is asked is in `asked`."""


def test_what_cannot_be_done_for_a_moment_is_tried_again(
    desk: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caller, "PATIENCE_S", 60.0)
    refusing = Refusing(desk.env["CLEARWAY_URL"])
    with refusing.running() as url:
        command = ("remove", *DOCUMENT, "--entry-id", "e1", "--url", url)
        assert ok(desk, *command, stdin=NUMBER) == "applied  sx  e1\n"
    assert refusing.asked == ["/v1/entries/find"] * 2 + ["/v1/changes"] * 2
    assert states(desk) == {"e1": "removed", ENTRY_ID: "active"}


def test_nobody_is_told_with_the_lists_and_the_check_digit_but_never_the_number(desk: Cli) -> None:
    none = run(desk, "find", *DOCUMENT, stdin=NOBODY)
    assert (none.exit_code, none.stdout) == (0, "")
    assert none.stderr == "no entry of this person; 1 list is loaded\n"
    doubt = "this number cannot be valid: the check digit would be 0"
    for command in ("find", "remove"):
        done = run(desk, command, *DOCUMENT, stdin=WRONG)
        assert f"{doubt}; no entry of this person; 1 list is loaded\n" in done.stderr
        assert WRONG not in done.stderr + done.stdout
    check = run(desk, "check", *DOCUMENT, "--mode", "air", stdin=WRONG)
    assert check.stdout.splitlines() == ["refer", "  document_invalid"]
    assert check.stderr == f"{doubt}\n"
    unborn = run(desk, "check", *DOCUMENT, "--mode", "air", stdin="110105299901010010")
    assert unborn.stderr == "this number cannot be valid: look at it again\n"


@pytest.mark.parametrize("columns", [40, 80, 400])
def test_no_terminal_is_too_narrow_for_an_id(desk: Cli, columns: int) -> None:
    with terminal(desk.env, desk.folder, "find", *DOCUMENT, columns=columns) as shown:
        shown.answer("Number: ", NUMBER)
        assert shown.end() == 0
    assert "…" not in shown.shown
    assert ENTRY_ID in shown.shown
    assert "sx 失信被执行人 (defaulters)" in shown.shown
    assert ("│" in shown.shown) is (columns == 400)


def test_a_figure_is_one_line_on_a_narrow_terminal(desk: Cli) -> None:
    with terminal(desk.env, desk.folder, "status", columns=40) as shown:
        assert shown.end() == 0, shown.shown
    assert re.search(r"(?m)^people +1\r?$", shown.shown)
    assert re.search(r"(?m)^ever listed +\d\r?$", shown.shown)
    assert re.search(r"(?m)^list +sx", shown.shown)


def test_people_are_told_times_of_beijing_and_programs_utc(desk: Cli) -> None:
    ok(desk, "remove", *DOCUMENT, "--entry-id", "e1", stdin=NUMBER)
    for command in (["lists"], ["loads"], ["status"]):
        assert "2019-01-03T00:30:00+08:00" in ok(desk, *command)
        assert "2019-01-02T16:30:00Z" in ok(desk, *command, "--json")
    file = desk.folder / "audit"
    file.write_text(make_key(desk, "audit"))
    for command in (["keys", "list"], ["audit", "--key-file", str(file)]):
        assert re.search(rf"\t{BEIJING}\t|^{BEIJING}\t", ok(desk, *command))
        assert not re.search(rf"\d+Z\b|{BEIJING}", ok(desk, *command).replace("+08:00", ""))
        assert re.search(r"20\d\d-\d\d-\d\dT[\d:.]+Z", ok(desk, *command, "--json"))
    assert re.search(rf"\tremoved\t.*\t{BEIJING}\n", ok(desk, "find", *DOCUMENT, stdin=NUMBER))


@pytest.mark.parametrize("how", ["LANG", "LC_MESSAGES", "LC_ALL", "--lang", "--lang first"])
def test_the_desk_speaks_chinese_where_it_is_asked_to(desk: Cli, how: str) -> None:
    environ = desk.env | ({"LC_ALL": ""} | {how: "zh_CN.UTF-8"} if how.startswith("L") else {})
    before = ("--lang", "zh") if how == "--lang first" else ()
    behind = ("--lang", "zh") if how == "--lang" else ()
    command = (*before, "suspend", *DOCUMENT, "--entry-id", "e1", *behind)
    with terminal({"PYTHONUTF8": "1", **environ}, desk.folder, *command) as typed:
        typed.answer("证件号码: ", NUMBER)
        typed.answer("理由: ", "dispute")
        typed.answer("暂停这一条目？", "y")
        assert typed.end() == 0, typed.shown
    assert "异议处理中" in typed.shown
    assert "applied 已生效  sx  e1" in typed.shown


def test_every_command_for_people_speaks_chinese(desk: Cli) -> None:
    chinese = ("--lang", "zh")
    assert ok(desk, "check", *DOCUMENT, "--mode", "air", *chinese, stdin=NUMBER).startswith(
        "deny 不得"
    )
    assert "人数\t1\n" in ok(desk, "status", *chinese)
    none = run(desk, "find", *DOCUMENT, *chinese, stdin=NOBODY).stderr
    assert none == "名单中没有此人的条目；已载入 1 份名单\n"
    for command, word in ((["lists"], "名单"), (["loads"], "载入"), (["keys", "list"], "编号")):
        with terminal(desk.env, desk.folder, *command, *chinese) as shown:
            assert shown.end() == 0, shown.shown
        assert word in shown.shown, command


def test_colours_are_left_out_where_nobody_wants_them(desk: Cli) -> None:
    with terminal(desk.env | {"NO_COLOR": "1"}, desk.folder, "status", columns=400) as shown:
        assert shown.end() == 0, shown.shown
    assert "│" in shown.shown
    assert not re.search("\x1b\\[[0-9;]*[349][0-7]m", shown.shown)
