"""The command, as a person types it: every test runs the program itself."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import httpx
import pytest

import clearway
from roster.times import in_beijing
from tests.servers import eventually, free_port
from tests.terminals import terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import Server

ROOT = Path(__file__).resolve().parent.parent
NUMBER = "110105180001010010"
KEY = re.compile(r"cw_[0-9a-f]{12}_[A-Za-z0-9_-]{43}\n")
PUT = {
    "op": "put",
    "list": "sx",
    "entry_id": "e1",
    "revision": 1_514_764_800_000,
    "document": {"type": "resident_id", "number": NUMBER},
    "entry": {"case": "(2018)京0105执1234号"},
}
LIST = f"list,entry_id,document_type,document_number\nsx,e1,resident_id,{NUMBER}\n"


class Cli:
    """The command with a data folder, or a server, of its own."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self.env = {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            "PYTHONPATH": str(ROOT),
            "CLEARWAY_DRAIN_S": "0",
            "CLEARWAY_DATA_DIR": str(folder / "data"),
            **{f"CLEARWAY_{name.upper()}": value for name, value in settings.items()},
        }

    def run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "clearway", *arguments],
            env=self.env,
            cwd=self.folder,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def ok(self, *arguments: str, stdin: str = "") -> str:
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def make_key(self, scopes: str) -> str:
        return self.ok("keys", "create", "--name", "test", "--scopes", scopes).strip()

    @contextmanager
    def serving(self, *arguments: str) -> Iterator[str]:
        """The service's address, answering; ends only the process that it started."""
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        with (self.folder / "serve.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "clearway", "serve", "--port", str(port), *arguments],
                env=self.env,
                cwd=self.folder,
                stdout=log,
                stderr=log,
            )
        try:
            eventually(lambda: process.poll() is not None or answers(url))
            assert process.poll() is None, (self.folder / "serve.log").read_text()
            yield url
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                status = process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise
        assert status == 0, (self.folder / "serve.log").read_text()


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz", timeout=1).is_success
    except httpx.TransportError:
        return False


def ready(url: str) -> bool:
    return httpx.get(f"{url}/readyz", timeout=5).status_code == 200


@pytest.fixture
def cli(valkey: Server, short_folder: Path) -> Cli:
    """On the test's server."""
    return Cli(short_folder, redis_url=valkey.url, id_key="ab" * 32)


@pytest.fixture
def embedded(short_folder: Path) -> Cli:
    """With an embedded server."""
    return Cli(short_folder)


def test_the_demo_tells_its_story(embedded: Cli) -> None:
    told = embedded.ok("demo", "--once", "--people", "1000")
    assert re.search(r"deny(.|\n)*allow", told)
    assert "ms from the decision to the allowed ticket" in told


def test_the_demo_tells_its_story_in_chinese_and_without_colours(embedded: Cli) -> None:
    command = ("demo", "--once", "--people", "500", "--lang", "zh")
    with terminal(embedded.env | {"NO_COLOR": "1"}, embedded.folder, *command) as shown:
        assert shown.end() == 0, shown.shown
    assert re.search(r"deny 不得售票(.|\n)*applied 已生效(.|\n)*allow 可以售票", shown.shown)
    assert re.search(r"从作出决定到可以购票：.*毫秒", shown.shown)
    assert not re.search("\x1b\\[[0-9;]*[349][0-7]m", shown.shown)


def test_every_command_has_help(cli: Cli) -> None:
    told = cli.ok("--help")
    commands = re.findall(r"^  ([a-z]+) ", told.partition("Commands:")[2], re.MULTILINE)
    assert set(commands) >= {
        *("demo", "serve", "keys", "generate", "load", "verify", "sign", "push", "check"),
        *("find", "remove", "suspend", "resume", "lists", "accept", "status"),
    }
    for command in commands:
        assert "Usage:" in cli.ok(command, "--help")


def test_no_command_waits_for_the_imports_of_others() -> None:
    code = "import clearway, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"numpy", "redis", "httpx", "uvicorn", "rich"} & set(done.stdout.split())
    for name in clearway.COMMANDS:
        command = clearway.main.get_command(click.Context(clearway.main), name)
        assert command is not None
        assert command.name == name


def test_the_list_of_all_commands_imports_none_and_says_what_each_says_of_itself() -> None:
    code = (
        "import clearway, sys; from click.testing import CliRunner;"
        "told = CliRunner().invoke(clearway.main, ['--help']).output;"
        "print(*sys.modules); print(told)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules, _, told = done.stdout.partition("\n")
    assert not {"numpy", "redis", "httpx", "uvicorn", "rich"} & set(modules.split())
    assert set(clearway.SUMMARIES) == set(clearway.COMMANDS)
    for name, summary in clearway.SUMMARIES.items():
        command = clearway.main.get_command(click.Context(clearway.main), name)
        assert command is not None
        assert command.get_short_help_str(1_000) == summary
        assert re.search(rf"^  {name} +{re.escape(summary[:30])}", told, re.MULTILINE)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_commands_and_options(cli: Cli, shell: str) -> None:
    def completed(*words: str) -> list[str]:
        cli.env["_CLEARWAY_COMPLETE"] = f"{shell}_complete"
        incomplete = words[-1] if shell == "fish" else str(len(words) - 1)
        cli.env |= {"COMP_WORDS": " ".join(words), "COMP_CWORD": incomplete}
        return re.findall(r"[\w-]+", cli.ok())

    cli.env["_CLEARWAY_COMPLETE"] = f"{shell}_source"
    assert f"_CLEARWAY_COMPLETE={shell}_complete" in cli.ok()
    assert {"remove", "restored", "resume"} <= set(completed("clearway", "re"))
    assert "verify" not in completed("clearway", "re")
    assert "--entry-id" in completed("clearway", "remove", "--e")
    assert "performed" in completed("clearway", "remove", "--reason", "p")


def test_a_key_is_printed_alone_and_listed_by_its_id(cli: Cli) -> None:
    made = cli.run("keys", "create", "--name", "airline", "--scopes", "check,list:remove@sx")
    assert made.returncode == 0
    assert KEY.fullmatch(made.stdout)
    identifier = made.stdout.split("_")[1]
    assert cli.ok("keys", "list").startswith(identifier)
    (listed,) = json.loads(cli.ok("keys", "list", "--json"))
    assert listed["scopes"] == "check,list:remove@sx"
    assert made.stdout.strip() not in json.dumps(listed)
    rotated = cli.ok("keys", "rotate", identifier)
    assert KEY.fullmatch(rotated)
    assert rotated != made.stdout
    cli.ok("keys", "revoke", identifier)
    assert json.loads(cli.ok("keys", "list", "--json"))[0]["state"] == "revoked"
    assert cli.run("keys", "revoke", identifier).returncode == 1


def test_a_new_key_says_on_which_roster_it_works(cli: Cli, embedded: Cli) -> None:
    """Or it may be tried, in vain, on the service of another."""
    create = ("keys", "create", "--name", "client", "--scopes", "check")
    embedded.env["CLEARWAY_DATA_DIR"] = folder = str(embedded.folder / "other")
    for each, place in ((cli, "server /"), (embedded, f"the embedded server of {folder}")):
        first, second = each.run(*create).stderr, each.run(*create).stderr
        assert f"it works on the roster of {place}" in first
        assert "which had no key before" in first
        assert f"it works on the roster of {place}" in second
        assert "no key before" not in second


def test_a_test_key_is_printed_with_a_prefix_of_its_own_and_keeps_it(cli: Cli) -> None:
    made = cli.ok("keys", "create", "--sandbox", "--name", "client", "--scopes", "check").strip()
    assert re.fullmatch(r"cw_test_[0-9a-f]{12}_[A-Za-z0-9_-]{43}", made)
    (listed,) = json.loads(cli.ok("keys", "list", "--json"))
    assert listed["id"] == "_".join(made.split("_")[1:3])
    assert listed["sandbox"]
    rotated = cli.ok("keys", "rotate", listed["id"]).strip()
    assert rotated.startswith(f"cw_{listed['id']}_")
    refused = cli.run("keys", "create", "--sandbox", "--name", "a", "--scopes", "check,ops")
    assert refused.returncode == 2
    assert "check and standing" in refused.stderr


def test_keys_are_listed_with_what_they_may_do_and_what_ends(cli: Cli) -> None:
    def listed() -> dict[str, Any]:
        (only,) = json.loads(cli.ok("keys", "list", "--json"))
        return dict(only)

    expires = (datetime.now(UTC) + timedelta(days=9, hours=12)).isoformat()
    scopes = "check,list:add@sx,ops:read"
    cli.ok("keys", "create", "--name", "a", "--scopes", scopes, "--expires", expires)
    before = listed()
    assert (before["note"], before["last_used"], before["old_text_until"]) == (
        "expires in 9 days",
        "",
        "",
    )
    assert before["allows"]["list:add@sx"].endswith("bind documents, on list sx")
    assert list(before["allows"]) == scopes.split(",")
    assert not before["sandbox"]
    rotated = cli.run("keys", "rotate", before["id"], "--overlap", "1h")
    assert KEY.fullmatch(rotated.stdout)
    after = listed()
    assert f"the old text works until {in_beijing(after['old_text_until'])}" in rotated.stderr
    assert after["old_text_until"] < after["expires"]
    row = cli.ok("keys", "list").rstrip("\n").split("\t")
    after |= {name: in_beijing(after[name]) for name in ("created", "expires", "old_text_until")}
    assert row == [str(value) for name, value in after.items() if name not in {"allows", "sandbox"}]
    cli.ok("keys", "rotate", before["id"])
    assert listed()["old_text_until"] == ""


@pytest.mark.parametrize("overlap", ["31d", "soon"])
def test_an_overlap_that_is_no_span_or_too_long_is_wrong_usage(overlap: str, cli: Cli) -> None:
    assert cli.run("keys", "rotate", "0" * 12, "--overlap", overlap).returncode == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["keys", "create", "--name", "a"],
        ["keys", "create", "--name", "a", "--scopes", "chek"],
        ["keys", "create", "--name", "a", "--scopes", "list:add@nowhere"],
        ["keys", "create", "--name", "a", "--scopes", "check", "--expires", "2001-01-01"],
        ["keys", "create", "--name", "a", "--scopes", "check", "--client-cert", "/no/file"],
        ["check", "--type", "resident_id", "--number", NUMBER, "--mode", "air"],
        ["find", "--type", "resident_id", "--number", NUMBER],
        ["lists", "disable", "nowhere", "--reason", "r"],
        ["lists", "disable", "sx"],
        ["serve", "--port", "99999"],
        ["nothing"],
    ],
)
def test_wrong_usage_is_status_2_and_repeats_no_number(cli: Cli, arguments: list[str]) -> None:
    done = cli.run(*arguments)
    assert done.returncode == 2, done.stderr
    assert NUMBER not in done.stdout + done.stderr


def test_a_bad_setting_is_status_1_and_named(cli: Cli) -> None:
    cli.env["CLEARWAY_FRESHNESS"] = "1"
    done = cli.run("serve")
    assert done.returncode == 1
    assert "CLEARWAY_FRESHNESS" in done.stderr
    assert "Traceback" not in done.stderr


def test_plain_http_is_for_this_machine_only(cli: Cli) -> None:
    done = cli.run("serve", "--host", "0.0.0.0")
    assert done.returncode == 1
    assert "CLEARWAY_ALLOW_PLAIN_HTTP" in done.stderr


def test_serve_with_another_id_key_ends_with_status_1(cli: Cli) -> None:
    file = cli.folder / "list.csv"
    file.write_text(LIST)
    cli.ok("load", str(file), "--list", "sx", "--as-of", "2019-01-01")
    cli.env["CLEARWAY_ID_KEY"] = "cd" * 32
    done = cli.run("serve", "--port", str(free_port()))
    assert done.returncode == 1
    assert "another ID key" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken_is_told_with_what_to_do(cli: Cli) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = cli.run("serve", "--port", str(port))
    assert done.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr
    assert "Choose another with --port" in done.stderr


def test_no_service_and_no_key_are_told_in_one_line(cli: Cli) -> None:
    nobody = cli.run("status", "--url", f"http://127.0.0.1:{free_port()}")
    assert nobody.returncode == 1
    assert "CLEARWAY_API_KEY" in nobody.stderr
    cli.env["CLEARWAY_API_KEY"] = "cw_0"
    nothing = cli.run("status", "--url", f"http://127.0.0.1:{free_port()}")
    assert nothing.returncode == 1
    assert "does not answer" in nothing.stderr
    assert "Traceback" not in nothing.stderr


def test_the_desk_finds_and_ends_an_entry(cli: Cli) -> None:
    document = ("--type", "resident_id", "--number", "-")
    file = cli.folder / "list.csv"
    file.write_text(LIST)
    cli.ok("load", str(file), "--list", "sx", "--as-of", "2019-01-01")
    cli.env["CLEARWAY_API_KEY"] = cli.make_key("check,list:read,list:add,list:remove,ops")
    with cli.serving() as url:
        eventually(lambda: ready(url))
        here = ("--url", url)
        asked = cli.ok("check", *document, "--mode", "air", *here, stdin=NUMBER)
        assert asked.startswith("deny")
        suspended = cli.ok("suspend", *document, "--reason", "dispute", *here, stdin=NUMBER)
        assert suspended.startswith("applied  sx  e1")
        assert cli.ok("check", *document, "--mode", "air", *here, stdin=NUMBER) == "allow\n"
        cli.ok("resume", *document, *here, stdin=NUMBER)
        removed = cli.ok("remove", *document, "--reason", "performed", *here, stdin=NUMBER)
        assert removed.startswith("applied")
        again = cli.run("remove", *document, *here, stdin=NUMBER)
        assert again.returncode == 1
        assert again.stderr.startswith("Error: already removed on 20")
        found = json.loads(cli.ok("find", *document, "--json", *here, stdin=NUMBER))
        assert [entry["state"] for entry in found["entries"]] == ["removed"]
        status = json.loads(cli.ok("status", "--json", *here))
        assert status["removal_lag_ms"]["count"] == 1
        assert "Roster" in cli.ok("status", *here)


def test_when_a_first_load_has_ended_the_service_decides_by_it(cli: Cli) -> None:
    file = cli.folder / "list.csv"
    file.write_text(LIST)
    cli.env["CLEARWAY_REDIS_TIMEOUT_MS"] = "2000"
    cli.env["CLEARWAY_API_KEY"] = cli.make_key("check")
    body = {"document": PUT["document"], "journey": {"mode": "air"}}
    with cli.serving() as url, httpx.Client(base_url=url, timeout=5) as client:
        client.headers["Authorization"] = f"Bearer {cli.env['CLEARWAY_API_KEY']}"
        before = client.post("/v1/check", json=body).json()
        assert before["reasons"][0]["code"] == "not_covered"
        cli.ok("load", str(file), "--list", "sx", "--as-of", "2019-01-01")
        after = client.post("/v1/check", json=body).json()
        assert [reason["code"] for reason in after["reasons"]] == ["listed"]


def test_what_the_desk_has_to_choose_from_is_shown_whole_and_as_it_is(cli: Cli) -> None:
    cli.env["CLEARWAY_API_KEY"] = cli.make_key("check,list:read,list:add,list:remove,ops")
    cases = [("e[/b][abc]" + "x" * 50 + name, f"[/b] {name} [red]", "[/b][abc]") for name in "ab"]
    puts = [
        {**PUT, "entry_id": entry_id, "entry": {"case": case, "court": court}}
        for entry_id, case, court in cases
    ]
    file = cli.folder / "changes.jsonl"
    file.write_text("\n".join(map(json.dumps, puts)))
    document = ("--type", "resident_id", "--number", "-")
    with cli.serving() as url:
        here = ("--url", url)
        cli.ok("push", str(file), *here)
        told = cli.ok("find", *document, *here, stdin=NUMBER)
        rows = [line.split("\t") for line in told.splitlines()]
        assert sorted((row[1], row[4], row[5]) for row in rows) == cases
        undecided = cli.run("remove", *document, *here, stdin=NUMBER)
        assert undecided.returncode == 1
        assert undecided.stderr.startswith(told)
        assert "…" not in cli.ok("status", *here)
        shown = on_a_terminal(cli, "find", *document, *here)
    assert "Traceback" not in shown
    assert "…" not in shown
    values = {re.split("  +", line, maxsplit=1)[-1] for line in shown.splitlines()}
    for row in rows:
        assert {row[1], row[4].strip(), row[5]} <= {value.strip() for value in values}


def test_a_terminal_shows_of_keys_what_there_is_and_what_scopes_mean(cli: Cli) -> None:
    for scopes in ("check,list:remove@sx", "check,feed"):
        cli.ok("keys", "create", "--name", "airline", "--scopes", scopes)
    shown = on_a_terminal(cli, "keys", "list")
    assert "last_used" not in shown, "neither has been used"
    assert re.findall(r"^(\S+): (.*?)\s*$", shown, re.MULTILINE) == [
        ("check", "ask whether a person may be sold a journey, one or many"),
        ("feed", "read whose standing may have changed, as pseudonyms"),
        ("list:remove@sx", "remove and suspend entries, unbind documents, on list sx"),
    ]


def on_a_terminal(cli: Cli, *arguments: str) -> str:
    """What a command shows on a terminal of 80 columns, with the number on standard input."""
    controller, terminal = os.openpty()
    try:
        subprocess.run(
            [sys.executable, "-m", "clearway", *arguments],
            env={**cli.env, "COLUMNS": "80", "LC_ALL": "C.UTF-8", "TERM": "dumb"},
            cwd=cli.folder,
            input=NUMBER.encode(),
            stdout=terminal,
            stderr=terminal,
            timeout=60,
            check=True,
        )
        return os.read(controller, 1 << 16).decode()
    finally:
        os.close(controller)
        os.close(terminal)


def test_lists_are_lines_with_tabs_where_no_terminal_is(cli: Cli) -> None:
    file = cli.folder / "list.csv"
    file.write_text(LIST)
    cli.ok("load", str(file), "--list", "sx", "--as-of", "2019-01-01")
    rows = [line.split("\t") for line in cli.ok("lists").splitlines()]
    assert {len(row) for row in rows} == {10}
    assert next(row for row in rows if row[0] == "sx")[6].startswith("20")
    cli.ok("keys", "create", "--name", "[/b][abc]", "--scopes", "check")
    assert cli.ok("keys", "list").split("\t")[1] == "[/b][abc]"


def test_push_names_what_has_no_effect_by_its_line(cli: Cli) -> None:
    cli.env["CLEARWAY_API_KEY"] = cli.make_key("list:add,list:remove")
    file = cli.folder / "changes.jsonl"
    remove = {**PUT, "op": "remove", "entry_id": "never", "reason": "settled"}
    del remove["entry"]
    lines = [json.dumps(PUT), "", "not JSON", json.dumps(remove), json.dumps({"op": "put"})]
    with cli.serving() as url:
        file.write_text(json.dumps(PUT) + "\n")
        assert cli.ok("push", str(file), "--url", url) == "applied 1\n"
        file.write_text("\n".join(lines))
        done = cli.run("push", str(file), "--url", url)
        assert done.returncode == 1
        assert done.stdout.splitlines()[-1] == "duplicate 1, rejected 2, unseen 1"
        assert sorted(re.findall(r"^line (\d+): (\w+)", done.stdout, re.MULTILINE)) == [
            ("3", "rejected"),
            ("4", "unseen"),
            ("5", "rejected"),
        ]
        assert NUMBER not in done.stdout + done.stderr
        weak = cli.make_key("check")
        (cli.folder / "key").write_text(weak)
        refused = cli.run("push", str(file), "--url", url, "--key-file", str(cli.folder / "key"))
        assert refused.returncode == 1
        assert "list:add" in refused.stderr


def test_a_disabled_list_refers_and_an_enabled_one_denies(cli: Cli) -> None:
    file = cli.folder / "list.csv"
    file.write_text(LIST)
    cli.ok("load", str(file), "--list", "sx", "--as-of", "2019-01-01")
    cli.env["CLEARWAY_API_KEY"] = cli.make_key("check")
    headers = {"authorization": f"Bearer {cli.env['CLEARWAY_API_KEY']}"}
    asked = {"document": PUT["document"], "journey": {"mode": "air"}}

    with cli.serving() as url, httpx.Client(base_url=url, headers=headers) as client:

        def decides(decision: str) -> bool:
            return bool(client.post("/v1/check", json=asked).json()["decision"] == decision)

        eventually(lambda: decides("deny"))
        cli.ok("lists", "disable", "sx", "--reason", "the feed is in doubt")
        eventually(lambda: decides("refer"))
        shown = json.loads(cli.ok("lists", "--json"))
        assert shown["sx"]["disabled"] is True
        assert shown["sx"]["reason"] == "the feed is in doubt"
        cli.ok("lists", "enable", "sx")
        eventually(lambda: decides("deny"))
    assert "was not disabled" in cli.ok("lists", "enable", "sx")
    assert cli.run("lists", "enable", "none").returncode != 0


def test_several_workers_answer_and_end_together(cli: Cli) -> None:
    cli.env["CLEARWAY_API_KEY"] = cli.make_key("ops")
    with cli.serving("--workers", "2") as url:

        def processes() -> int:
            told = cli.run("status", "--json", "--url", url)
            return len(json.loads(told.stdout)["processes"]) if told.returncode == 0 else 0

        eventually(lambda: processes() == 2)


def test_the_embedded_server_ends_with_the_last_command(embedded: Cli) -> None:
    embedded.make_key("check")
    with embedded.serving():
        assert embedded.ok("keys", "list")
        pid = int((embedded.folder / "data" / "valkey.pid").read_text())
    eventually(lambda: not Path(f"/proc/{pid}").exists())
    assert embedded.ok("keys", "list"), "its data outlives it"


def test_accept_without_a_rewind_does_nothing(cli: Cli) -> None:
    assert cli.ok("accept", "--reason", "drill") == "nothing was rewound\n"
