"""The commands on any terminal, behind any proxy, with any mistake in key or address."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from roster.address import checked_url, is_here, read_api_key
from roster.errors import SettingsError
from roster.settings import read_settings
from tests.servers import DEADLINE_S, eventually, free_port
from tests.service.test_server import Issuer, serving
from tests.test_clearway import NUMBER, PUT, Cli, ready

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import Server

DOCUMENT = ("--type", "resident_id", "--number", "-")
CHECK = ("check", *DOCUMENT, "--mode", "air")
RARE = "䶮"  # GBK lacks it
RARER = "\U00020000"
ENTRY_ID = f"({RARE}{RARER})1号"
PROXIES = ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
SOON_S = 8.0
"""A command's own start takes up to a few seconds here; retries took 41."""


@pytest.fixture
def cli(valkey: Server, short_folder: Path) -> Cli:
    """On the test's server, with a key that may do what the tests do."""
    made = Cli(short_folder, redis_url=valkey.url, id_key="ab" * 32)
    made.env["CLEARWAY_API_KEY"] = made.make_key("check,list:read,list:add,list:remove,ops")
    return made


def run(cli: Cli, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "clearway", *arguments],
        env=cli.env,
        cwd=cli.folder,
        input=stdin,
        capture_output=True,
        timeout=60,
        check=False,
    )


def told(done: subprocess.CompletedProcess[bytes]) -> str:
    """What a refused command said; never a traceback."""
    text = done.stderr.decode(errors="replace")
    assert "Traceback" not in text
    assert NUMBER not in text
    return text


def put(cli: Cli, url: str, entry_id: str) -> None:
    headers = {"authorization": f"Bearer {cli.env['CLEARWAY_API_KEY']}"}
    change = {**PUT, "entry_id": entry_id, "revision": time.time_ns() // 1_000_000}
    body = {"changes": [change], "wait": "all"}
    answer = httpx.post(f"{url}/v1/changes", json=body, headers=headers).json()
    assert answer["results"][0]["outcome"] == "applied"


class Proxy:
    """Answers every connection with 502, and remembers what it was sent."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.seen = b""
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                self.seen += connection.recv(65_536)
                connection.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    made = Proxy()
    yield made
    made.close()


# Proxies.


@pytest.mark.parametrize("command", [CHECK, ("find", *DOCUMENT), ("status",), ("push", "-")])
def test_no_proxy_of_the_environment_sees_a_call_to_this_machine(
    cli: Cli, proxy: Proxy, command: tuple[str, ...]
) -> None:
    cli.env |= dict.fromkeys(PROXIES, proxy.url)
    stdin = json.dumps(PUT) if command[0] == "push" else NUMBER
    with cli.serving() as url:
        cli.ok(*command, "--url", url, stdin=stdin)
    assert proxy.seen == b""


@pytest.mark.parametrize("command", [CHECK, ("push", "-")])
def test_another_host_is_asked_through_the_proxy_that_was_named_to_clearway_only(
    cli: Cli, proxy: Proxy, command: tuple[str, ...]
) -> None:
    cli.env |= dict.fromkeys(PROXIES, proxy.url)
    stdin = NUMBER.encode() if command[0] == "check" else b""
    elsewhere = ("--url", f"http://clearway.invalid:{free_port()}")
    refused = run(cli, *command, *elsewhere, stdin=stdin)
    assert proxy.seen == b""
    if command[0] == "check":
        assert refused.returncode == 1
        assert "no host of that name" in told(refused)
        cli.env["CLEARWAY_PROXY"] = proxy.url
        assert run(cli, *command, *elsewhere, stdin=stdin).returncode == 1
        assert b"clearway.invalid" in proxy.seen


def test_the_demo_asks_no_proxy(embedded: Cli, proxy: Proxy) -> None:
    embedded.env |= dict.fromkeys(PROXIES, proxy.url)
    embedded.ok("demo", "--once", "--people", "500")
    assert proxy.seen == b""


@pytest.fixture
def embedded(short_folder: Path) -> Cli:
    return Cli(short_folder)


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("localhost", True), ("LOCALHOST", True), ("localhost.", True), ("a.localhost", True),
        ("127.0.0.1", True), ("127.8.9.1", True), ("127.1", True), ("2130706433", True),
        ("0x7f.1", True), ("::1", True), ("0:0:0:0:0:0:0:1", True), ("::ffff:127.0.0.1", True),
        ("0.0.0.0", True), ("::", True),
        ("10.0.0.1", False), ("128.0.0.1", False), ("localhost.example", False),
        ("clearway", False), ("::2", False), ("法院", False), ("", False),
    ],
)  # fmt: skip
def test_this_machine_is_known_in_every_spelling(host: str, here: bool) -> None:
    assert is_here(host) is here


# Terminals.


@pytest.mark.parametrize("encoding", ["gbk", "ascii", "latin-1", "utf-8"])
def test_a_terminal_that_cannot_show_a_character_gets_a_stand_in(cli: Cli, encoding: str) -> None:
    with cli.serving() as url:
        eventually(lambda: ready(url) or httpx.get(f"{url}/healthz").is_success)
        put(cli, url, ENTRY_ID)
        here = ("--url", url)
        cli.env["PYTHONIOENCODING"] = encoding
        stdin = NUMBER.encode()
        for command in (CHECK, ("find", *DOCUMENT), ("suspend", *DOCUMENT), ("resume", *DOCUMENT)):
            done = run(cli, *command, *here, stdin=stdin)
            assert done.returncode == 0, done.stderr
            done.stdout.decode(encoding)
        found = run(cli, "find", *DOCUMENT, "--json", *here, stdin=stdin)
        entries = json.loads(found.stdout.decode(encoding))["entries"]
        assert [entry["entry_id"] for entry in entries] == [ENTRY_ID]
        removed = run(cli, "remove", *DOCUMENT, *here, stdin=stdin)
        assert removed.returncode == 0, removed.stderr
        shown = ENTRY_ID if encoding == "utf-8" else "\\u4dae\\ud840\\udc00"
        assert shown in removed.stdout.decode(encoding)


@pytest.mark.parametrize("locale", ["C", "zh_CN.GBK"])
def test_every_locale_shows_help_and_removes(cli: Cli, locale: str) -> None:
    cli.env |= {"LANG": locale, "LC_ALL": locale, "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    assert run(cli, "--help").returncode == 0
    assert run(cli, "check", "--help").returncode == 0
    done = run(cli, "lists", "--json")
    assert done.returncode == 0, done.stderr
    with cli.serving() as url:
        put(cli, url, ENTRY_ID)
        done = run(cli, "remove", *DOCUMENT, "--url", url, stdin=NUMBER.encode())
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("encoding", "stdin"),
    [
        ("utf-8", "１１０１０５".encode("gbk")),
        ("utf-8", "身份证".encode("gbk")),
        ("utf-8:surrogateescape", b"\xff\xfe1\x001\x00"),
        ("ascii", "１１０".encode()),
        ("gbk", b"\x81"),
    ],
)
def test_bytes_that_are_no_text_are_told(cli: Cli, encoding: str, stdin: bytes) -> None:
    cli.env["PYTHONIOENCODING"] = encoding
    done = run(cli, *CHECK, "--url", "http://127.0.0.1:1", stdin=stdin)
    assert done.returncode == 2
    assert "not text" in told(done)


def test_what_is_typed_and_is_no_text_is_told(cli: Cli) -> None:
    cli.env["LC_ALL"] = "C.UTF-8"
    controller, terminal = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "clearway", *CHECK, "--url", "http://127.0.0.1:1"],
        env=cli.env,
        cwd=cli.folder,
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    shown = b""
    while not shown.endswith(b"Number: "):  # what is typed before is lost
        assert select.select([controller], [], [], DEADLINE_S)[0], shown
        shown += os.read(controller, 100)
    os.write(controller, "身份证\n".encode("gbk"))
    _, err = process.communicate(timeout=60)
    os.close(controller)
    os.close(terminal)
    assert process.returncode == 2, err
    assert b"not text" in err
    assert b"Traceback" not in err


def test_a_lists_name_is_the_same_with_blanks_around_it(cli: Cli) -> None:
    cli.ok("lists", "disable", "sx\u3000", "--reason", "a drill")
    cli.ok("lists", "enable", " sx")


def test_a_name_that_is_no_text_is_told(cli: Cli) -> None:
    name = os.fsdecode("张三".encode("gbk"))
    done = run(cli, *CHECK, "--name", name, "--url", "http://127.0.0.1:1", stdin=NUMBER.encode())
    assert done.returncode in {1, 2}
    assert "text" in told(done)


@pytest.mark.parametrize(
    "stdin", [f"{NUMBER}\n{NUMBER}\n", f"{NUMBER}\r\n\r\n1", f"\n1\n\n{NUMBER}"]
)
@pytest.mark.parametrize("command", [CHECK, ("remove", *DOCUMENT)])
def test_a_second_number_is_refused(cli: Cli, command: tuple[str, ...], stdin: str) -> None:
    done = run(cli, *command, "--url", "http://127.0.0.1:1", stdin=stdin.encode())
    assert done.returncode == 2
    assert "more than one line" in told(done)


@pytest.mark.parametrize("stdin", [b"", b"\n \n", b"1" * 5_000])
def test_no_number_and_no_end_of_numbers_are_told(cli: Cli, stdin: bytes) -> None:
    done = run(cli, *CHECK, "--url", "http://127.0.0.1:1", stdin=stdin)
    assert done.returncode == 2
    assert "standard input" in told(done)


def test_a_blank_line_and_a_byte_order_mark_are_no_number(cli: Cli) -> None:
    with cli.serving() as url:
        stdin = b"\xef\xbb\xbf\r\n" + NUMBER.encode() + b"\r\n\r\n"
        assert run(cli, *CHECK, "--url", url, stdin=stdin).returncode == 0


# Keys and addresses.

KEY = b"cw_0123456789ab_" + b"k" * 43


@contextmanager
def soon() -> Iterator[None]:
    started = time.monotonic()
    yield
    assert time.monotonic() - started < SOON_S


WRONG_KEYS = [
    (KEY + b"\n" + KEY + b"\n", "2 lines"),
    (b"# the airline's key\n" + KEY, "2 lines"),
    (b"\xef\xbb\xbf" + KEY, "BOM"),
    (KEY.decode().encode("utf-16"), "UTF-16"),
    ("“".encode() + KEY + "”".encode(), "quotes"),
    (b'"' + KEY + b'"', "quotes"),
    (b"Bearer " + KEY, "key alone"),
    (KEY[:20] + b" " + KEY[20:], "blank"),
    (KEY + "\u00a0x".encode(), "blank"),
    (KEY + "\u200b".encode(), "plain ASCII"),
    (KEY + "ｋ".encode(), "plain ASCII"),
    (b"", "empty"),
    (b"\n\n", "empty"),
    (b"\xc2\xa0", "empty"),
    (b"\xd5\xc5\xc8\xfd", "not plain text"),
    (b"k" * 5_000, "too long"),
    (KEY[:20] + b"\0" + KEY[20:], "plain ASCII"),
]


@pytest.mark.parametrize(("content", "what"), WRONG_KEYS)
def test_what_can_be_no_key_is_told_and_never_repeated(
    tmp_path: Path, content: bytes, what: str
) -> None:
    file = tmp_path / "key"
    file.write_bytes(content)
    with pytest.raises(SettingsError, match=re.escape(what)) as caught:
        read_api_key(read_settings({}), file)
    assert KEY[:20].decode() not in str(caught.value)


@pytest.mark.parametrize("command", [CHECK, ("push", "changes.jsonl")])
@pytest.mark.parametrize(("content", "what"), WRONG_KEYS[:5])
def test_what_is_wrong_with_a_key_file_is_told_at_once(
    cli: Cli, command: tuple[str, ...], content: bytes, what: str
) -> None:
    (cli.folder / "key").write_bytes(content)
    (cli.folder / "changes.jsonl").write_text(json.dumps(PUT))
    with soon():
        done = run(cli, *command, "--key-file", "key", stdin=NUMBER.encode())
    assert done.returncode == 1
    assert what in told(done)
    assert KEY[:20].decode() not in told(done)


def test_what_is_wrong_with_a_key_in_the_environment_is_told_too(cli: Cli) -> None:
    cli.env["CLEARWAY_API_KEY"] = "“" + KEY.decode() + "”"
    for command in (CHECK, ("push", "-")):
        done = run(cli, *command, stdin=NUMBER.encode())
        assert done.returncode == 1
        assert "CLEARWAY_API_KEY has quotes" in told(done)


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\n\n", b" \t\n"])
def test_a_key_file_may_end_as_editors_end_it(cli: Cli, end: bytes) -> None:
    (cli.folder / "key").write_bytes(cli.env.pop("CLEARWAY_API_KEY").encode() + end)
    with cli.serving() as url:
        assert run(cli, "status", "--url", url, "--key-file", "key").returncode == 0


WRONG_URLS = [
    "127.0.0.1:8080", "localhost:8080", "localhost", "//127.0.0.1:8080", "http:127.0.0.1:8080",
    "http:/127.0.0.1:8080", "http//127.0.0.1:8080", "redis://127.0.0.1:8080", "ftp://a", "http://",
    "http://:8080", "http://127.0.0.1:99999", "http://127.0.0.1:0", "http://127.0.0.1:80a",
    "http://127.0.0.1:8080:1", "http://[::1", "http://127.0.0.1：8080", "http://127.0.0.1 :8080",
    "“http://127.0.0.1:8080”", "'http://127.0.0.1:8080'", "http://a:b@127.0.0.1:8080", " ",
    "http://127.0.0.1:8080/v1", "http://127.0.0.1:8080/v1/check", "http://127.0.0.1:8080/readyz",
    "http://127.0.0.1:8080/?a=1", "http://127.0.0.1:8080/#a", KEY.decode(),
    "http://127.0.0.1:8080/clearway/v1/changes/", "https//a", "unix:///tmp/socket",
]  # fmt: skip


@pytest.mark.parametrize("url", WRONG_URLS)
def test_a_wrong_address_is_known_before_anything_is_sent(url: str) -> None:
    with pytest.raises(ValueError, match="URL") as caught:
        checked_url(url)
    assert len(url) < 8 or url not in str(caught.value)


@pytest.mark.parametrize("command", [CHECK, ("push", "-")])
@pytest.mark.parametrize(
    "url", ["127.0.0.1:8080", "ftp://a", "http://127.0.0.1:8080/v1", "http://a..b"]
)
def test_what_is_wrong_with_an_address_is_told_at_once(
    cli: Cli, command: tuple[str, ...], url: str
) -> None:
    stdin = NUMBER if command[0] == "check" else json.dumps(PUT)
    with soon():
        done = run(cli, *command, "--url", url, stdin=stdin.encode())
    assert done.returncode in {1, 2}
    assert "URL" in told(done)
    cli.env["CLEARWAY_URL"] = url
    with soon():
        done = run(cli, *command, stdin=stdin.encode())
    assert done.returncode == 1
    assert "URL" in told(done)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8080",
        "https://clearway.example/prefix/",
        "HTTP://[::1]:8080/",
        "http://法院.example",
        "http://a_b:1",
    ],
)
def test_a_right_address_is_taken(url: str) -> None:
    assert checked_url(url) == url


@pytest.mark.parametrize("command", [CHECK, ("push", "-")])
def test_a_host_that_there_is_not_is_told_at_once(cli: Cli, command: tuple[str, ...]) -> None:
    stdin = NUMBER if command[0] == "check" else json.dumps(PUT)
    with soon():
        done = run(cli, *command, "--url", "http://nowhere.invalid:1", stdin=stdin.encode())
    assert done.returncode == 1
    assert "no host of that name" in told(done)


@pytest.mark.parametrize("command", [CHECK, ("push", "-")])
def test_tls_where_there_is_none_is_told_at_once(cli: Cli, command: tuple[str, ...]) -> None:
    stdin = NUMBER if command[0] == "check" else json.dumps(PUT)
    with cli.serving() as url, soon():
        done = run(cli, *command, "--url", url.replace("http", "https"), stdin=stdin.encode())
    assert done.returncode == 1
    assert "TLS" in told(done)


@pytest.fixture
def tls(cli: Cli) -> Iterator[tuple[str, Path]]:
    """A service that speaks TLS, and the authority that it is certified by."""
    issuer = Issuer(cli.folder)
    cert, key = issuer.issue("server")
    settings = {k: v for k, v in cli.env.items() if k.startswith("CLEARWAY_")}
    settings |= {"CLEARWAY_TLS_CERT": str(cert), "CLEARWAY_TLS_KEY": str(key)}
    context = ssl.create_default_context(cafile=str(issuer.certificate))
    with serving(settings, cli.folder, context) as url:
        yield url, issuer.certificate


@pytest.mark.parametrize("command", [CHECK, ("push", "-")])
def test_mistakes_about_tls_are_told_at_once(
    cli: Cli, tls: tuple[str, Path], command: tuple[str, ...]
) -> None:
    url, authority = tls
    stdin = (NUMBER if command[0] == "check" else json.dumps(PUT)).encode()
    with soon():
        plain = run(cli, *command, "--url", url.replace("https", "http"), stdin=stdin)
    assert plain.returncode == 1
    assert "https://" in told(plain)
    with soon():
        stranger = run(cli, *command, "--url", url, stdin=stdin)
    assert stranger.returncode == 1
    assert "not trusted" in told(stranger)
    cli.env["SSL_CERT_FILE"] = str(authority)
    assert run(cli, *command, "--url", url, stdin=stdin).returncode == 0


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 301 Moved\r\nLocation: https://a/\r\nContent-Length: 0\r\n\r\n",
    ],
)
@pytest.mark.parametrize("command", [CHECK, ("push", "-")])
def test_somebody_else_who_answers_is_told_at_once(
    cli: Cli, command: tuple[str, ...], answer: bytes
) -> None:
    stdin = NUMBER if command[0] == "check" else json.dumps(PUT)
    with socket.create_server(("127.0.0.1", 0)) as stranger:

        def serve() -> None:
            connection, _ = stranger.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{stranger.getsockname()[1]}"
        with soon():
            done = run(cli, *command, "--url", url, stdin=stdin.encode())
        thread.join(5)
    assert done.returncode == 1
    assert "not Clearway" in told(done)


def interruptible(cli: Cli, *command: str) -> subprocess.Popen[bytes]:
    """A command that heeds Ctrl-C, also where whoever runs the tests was told to ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(
            [sys.executable, "-m", "clearway", *command],
            env=cli.env,
            cwd=cli.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    finally:
        signal.signal(signal.SIGINT, before)


def waits(process: subprocess.Popen[bytes]) -> bool:
    """It sleeps: a signal just before a system call is one that Python sees only after it."""
    return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "S"


@pytest.mark.parametrize("command", [("push", "-"), CHECK])
def test_ctrl_c_ends_a_command_without_a_traceback(cli: Cli, command: tuple[str, ...]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        process = interruptible(cli, *command, "--url", url)
        assert process.stdin is not None
        process.stdin.write((NUMBER if command == CHECK else json.dumps(PUT)).encode())
        process.stdin.close()
        process.stdin = None
        silent.settimeout(30)
        connection, _ = silent.accept()
        with connection:
            connection.recv(65_536)
            eventually(lambda: waits(process))
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=20)
    assert process.returncode not in {0, None}
    assert b"Traceback" not in out + err


@pytest.mark.parametrize("after_s", [0.2, 0.4, 0.6])
def test_ctrl_c_while_a_command_starts_is_quiet(cli: Cli, after_s: float) -> None:
    process = interruptible(cli, *CHECK)
    with pytest.raises(subprocess.TimeoutExpired):  # it waits for the number at last
        process.wait(after_s)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode not in {0, None}
    # Before its own first line only Python itself can catch it.
    assert b"clearway.py" not in out + err or b"Traceback" not in out + err
