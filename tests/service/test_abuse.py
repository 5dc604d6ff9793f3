"""What no client sends: each form has its answer, and never a second one."""

from __future__ import annotations

import json
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from service.routes import batches
from tests.servers import Server, eventually
from tests.service.served import CLEAR, LISTED, Served

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.service.served import Running

PROBLEM = "application/problem+json"
CHECK = json.dumps({"document": CLEAR, "journey": {"mode": "air"}}).encode()
LENGTH = b"Content-Length: %d\r\n" % len(CHECK)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNKS = b"%x\r\n%s\r\n0\r\n\r\n" % (len(CHECK), CHECK)
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
MANY = 100_000
LISTED_TOO = json.dumps(LISTED).encode()


@pytest.fixture(scope="module")
def served(valkey_binary: str) -> Iterator[Running]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cw-", dir="/tmp")))
        (folder / "redis").mkdir()
        server = Server(valkey_binary, folder / "redis")
        stack.callback(server.stop)
        server.start()
        service = Served(server, folder)
        service.cover()
        yield stack.enter_context(service.running())


def checking(running: Running, lines: bytes, body: bytes = CHECK) -> bytes:
    """A check whose head has these lines besides what it needs."""
    key = f"Authorization: Bearer {running.key}\r\n".encode()
    return b"POST /v1/check HTTP/1.1\r\nHost: x\r\n" + key + lines + b"\r\n" + body


def answers(running: Running, sent: bytes) -> list[tuple[int, dict[str, str], bytes]]:
    """Everything that is answered to this, and to a probe behind it, up to the end."""
    found = []
    with running.connect() as caller:
        with suppress(ConnectionError):  # it has its answer before it has sent all
            caller.send(sent + b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        while (answer := caller.answer())[0]:
            found.append(answer)
    return found


def refused(running: Running, sent: bytes) -> int:
    """The status of what is answered with one problem, and nothing behind it."""
    ((status, headers, body),) = answers(running, sent)
    assert headers["content-type"] == PROBLEM
    assert headers["connection"] == "close"
    assert json.loads(body)["status"] == status
    return status


def accepted(running: Running, sent: bytes) -> list[int]:
    """The statuses of what is answered to this, and to the probe behind it."""
    return [status for status, _, _ in answers(running, sent)]


FRAMED_TWICE = {
    "two lengths": 2 * LENGTH,
    "two lengths that differ": LENGTH + b"Content-Length: 3\r\n",
    "a list of lengths": b"Content-Length: %d, %d\r\n" % (len(CHECK), len(CHECK)),
    "a length, and chunks": LENGTH + CHUNKED,
    "chunks, and a length": CHUNKED + LENGTH,
    "chunked twice": 2 * CHUNKED,
    "no coding that there is": b"Transfer-Encoding: xchunked\r\n",
    "chunks within another coding": b"Transfer-Encoding: chunked, gzip\r\n",
    "another coding within chunks": b"Transfer-Encoding: gzip, chunked\r\n",
    "no coding": b"Transfer-Encoding: identity\r\n",
    "a blank before the colon": b"Transfer-Encoding : chunked\r\n",
    "a control character": b"Transfer-Encoding: \x0bchunked\r\n",
    "a folded line": b"X: a\r\n b\r\n" + LENGTH,
    "a folded coding": b"Transfer-Encoding:\r\n chunked\r\n",
    "a line that ends with LF": b"X: a\n" + LENGTH,
    "a line that ends with CR": b"X: a\rY: b\r\n" + LENGTH,
    "a negative length": b"Content-Length: -1\r\n",
    "a length with a plus": b"Content-Length: +%d\r\n" % len(CHECK),
    "a hexadecimal length": b"Content-Length: 0x10\r\n",
    "a length in two words": b"Content-Length: 1 00\r\n",
    "an empty length": b"Content-Length: \r\n",
    "a length beyond all numbers": b"Content-Length: " + b"9" * 40 + b"\r\n",
    "a NUL in a value": b"X: a\0b\r\n" + LENGTH,
    "a NUL in a name": b"X\0: b\r\n" + LENGTH,
    "a blank in a name": b"X Y: b\r\n" + LENGTH,
    "no name": b": b\r\n" + LENGTH,
    "no colon": b"XY\r\n" + LENGTH,
    "two hosts": b"Host: y\r\n" + LENGTH,
    "two keys": b"Authorization: Bearer other\r\n" + LENGTH,
    "two types": 2 * b"Content-Type: application/json\r\n" + LENGTH,
}
CHUNKS_THAT_ARE_NONE = {
    "negative": b"-1\r\n",
    "with a plus": b"+5\r\nabcde\r\n0\r\n\r\n",
    "with 0x": b"0x5\r\nabcde\r\n0\r\n\r\n",
    "beyond all numbers": b"f" * 17 + b"\r\n",
    "shorter than it says": b"9\r\nabcde\r\n0\r\n\r\n",
    "longer than it says": b"2\r\nabcde\r\n0\r\n\r\n",
    "with LF": CHUNKS.replace(b"\r\n", b"\n"),
}
LINES_THAT_ARE_NONE = {
    "an unknown method": b"BREW /healthz HTTP/1.1",
    "a method in lower case": b"get /healthz HTTP/1.1",
    "another version": b"GET /healthz HTTP/9.9",
    "a version of TLS": b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03",
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM",
    "a tunnel": b"CONNECT elsewhere:80 HTTP/1.1",
    "no path": b"GET healthz HTTP/1.1",
    "no host": b"GET http:///healthz HTTP/1.1",
    "a NUL": b"GET /healthz\0 HTTP/1.1",
    "a blank": b"GET /health z HTTP/1.1",
    "no ASCII": "GET /张 HTTP/1.1".encode(),
}


@pytest.mark.parametrize("lines", FRAMED_TWICE.values(), ids=FRAMED_TWICE)
def test_a_head_that_may_be_read_in_two_ways_is_refused(served: Running, lines: bytes) -> None:
    assert refused(served, checking(served, lines, CHUNKS if CHUNKED in lines else CHECK)) == 400


def test_a_header_that_stands_twice_is_named(served: Running) -> None:
    ((_, _, body),) = answers(served, checking(served, b"Authorization: Bearer o\r\n" + LENGTH))
    assert json.loads(body)["detail"] == "the header Authorization stands twice"


@pytest.mark.parametrize("chunks", CHUNKS_THAT_ARE_NONE.values(), ids=CHUNKS_THAT_ARE_NONE)
def test_chunks_that_are_none_are_refused(served: Running, chunks: bytes) -> None:
    assert refused(served, checking(served, CHUNKED, chunks)) == 400


@pytest.mark.parametrize("line", LINES_THAT_ARE_NONE.values(), ids=LINES_THAT_ARE_NONE)
def test_a_line_that_asks_nothing_is_refused(served: Running, line: bytes) -> None:
    assert refused(served, line + b"\r\nHost: x\r\n\r\n") == 400


def test_what_is_unusual_and_clear_is_answered(served: Running) -> None:
    extended = CHUNKS.replace(b"\r\n", b';a="b"\r\n', 1)
    trailing = CHUNKS[:-2] + b"Authorization: Bearer other\r\n\r\n"
    for body in (CHUNKS, extended, trailing):
        assert accepted(served, checking(served, CHUNKED, body)) == [200, 200]
    whole = checking(served, LENGTH)
    elsewhere = whole.replace(b"POST /", b"POST http://elsewhere.example/")
    assert accepted(served, elsewhere) == [200, 200]
    assert accepted(served, whole * 50) == [200] * 51
    assert accepted(served, HEALTH + b"Accept: a\r\nAccept: b\r\n\r\n") == [200, 200]
    assert accepted(served, b"GET /healthz HTTP/1.0\r\n\r\n") == [200]
    assert accepted(served, checking(served, b"Expect: something\r\n" + LENGTH)) == [200, 200]


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ("OPTIONS *", 404), ("OPTIONS /v1/check", 405), ("DELETE /v1/changes", 405),
        ("TRACE /healthz", 405), ("PATCH /v1/check", 405), ("GET /v1/check", 405),
        ("GET /v1/../healthz", 404),
    ],
)  # fmt: skip
def test_a_method_that_a_path_does_not_take_is_refused(
    served: Running, asked: str, status: int
) -> None:
    assert accepted(served, f"{asked} HTTP/1.1\r\nHost: x\r\n\r\n".encode()) == [status, 200]


def test_a_head_has_a_size(served: Running) -> None:
    def lines(count: int) -> bytes:
        return HEALTH + b"".join(b"X-%d: y\r\n" % n for n in range(count)) + b"\r\n"

    assert accepted(served, lines(99)) == [200, 200]
    assert accepted(served, HEALTH + b"X: " + b"y" * 30_000 + b"\r\n\r\n") == [200, 200]
    long = b"GET /" + b"a" * MANY + b" HTTP/1.1\r\nHost: x\r\n\r\n"
    for sent in (lines(100), lines(MANY), HEALTH + b"X: " + b"y" * 33_000 + b"\r\n\r\n", long):
        assert refused(served, sent) == 431
    for size in (60_000, 1 << 23):  # neither ends
        assert refused(served, HEALTH + b"X: " + b"y" * size) == 431


def test_a_key_behind_the_body_is_none(served: Running) -> None:
    key = f"Authorization: Bearer {served.key}\r\n".encode()
    head = b"POST /v1/check HTTP/1.1\r\nHost: x\r\n" + CHUNKED + b"\r\n"
    assert accepted(served, head + CHUNKS[:-2] + key + b"\r\n") == [401, 200]


def test_what_follows_a_body_has_a_size(served: Running) -> None:
    trailers = b"".join(b"X-%d: y\r\n" % n for n in range(2 * MANY))
    sent = checking(served, CHUNKED, CHUNKS[:-2] + trailers * 5)
    assert refused(served, sent) == 413


@pytest.mark.parametrize(
    "line",
    [
        b"Content-Encoding: gzip", b"Content-Encoding: identity, br",
        b"Content-Type: application/json; charset=gb18030",
        b'Content-Type: application/json;Charset="utf-16"; x=y',
    ],
)  # fmt: skip
def test_a_body_in_another_encoding_is_refused(served: Running, line: bytes) -> None:
    assert refused(served, checking(served, line + b"\r\n" + LENGTH)) == 415


@pytest.mark.parametrize(
    "line",
    [
        b"Content-Encoding: identity", b"Content-Type: text/xml", b"Content-Type: x/y; charset",
        b'Content-Type: application/json; charset="UTF-8"',
    ],
)  # fmt: skip
def test_what_else_is_said_of_a_body_changes_nothing(served: Running, line: bytes) -> None:
    assert accepted(served, checking(served, line + b"\r\n" + LENGTH)) == [200, 200]


def test_what_was_asked_before_an_error_is_answered_before_it(served: Running) -> None:
    key = f"Authorization: Bearer {served.key}"
    poll = f"GET /v1/changes?after=now HTTP/1.1\r\nHost: x\r\n{key}\r\n\r\n".encode()
    check = checking(served, LENGTH)
    framed = HEALTH + 2 * LENGTH + b"\r\n"
    for bad in (b"EHLO\r\n\r\n", framed, checking(served, CHUNKED, b"x")):
        assert accepted(served, poll + bad) == [200]
        assert accepted(served, poll * 3 + check + bad) == [200] * 4
        assert accepted(served, check + bad) == [200, 400]


BODIES: dict[str, bytes] = {
    "no UTF-8": CHECK.replace(b"air", b"\xff\xfe"),
    "an overlong form": CHECK.replace(b"air", b"\xc0\xaf"),
    "half a pair": CHECK.replace(b"air", b"\xed\xa0\x80"),
    "half a pair, escaped": CHECK.replace(b"air", b"\\ud800"),
    "half a pair in a name": CHECK[:-1] + b',"name":"\\udfff"}',
    "UTF-16": CHECK.decode().encode("utf-16"),
    "a mark before it": b"\xef\xbb\xbf" + CHECK,
    "nothing": b"",
    "nothing of ours": b"null",
    "two of them": CHECK + CHECK,
    "a NUL": CHECK + b"\0",
    "a comment": b"/**/" + CHECK,
    "a hundred thousand lists": b"[" * MANY,
    "lists in a name": CHECK[:-1] + b',"name":' + b"[" * MANY + b"]" * MANY + b"}",
    "a hundred thousand objects": b'{"document":' * MANY,
    "an integer of 400 places": CHECK[:-1] + b',"name":1' + b"0" * 400 + b"}",
    "an integer of 5,000 places": CHECK[:-1] + b',"name":1' + b"0" * 5_000 + b"}",
    "a number without end": CHECK[:-1] + b',"name":1e999}',
    "no number": CHECK[:-1] + b',"name":NaN}',
    "infinity": CHECK[:-1] + b',"name":-Infinity}',
    "a document twice": CHECK[:-1] + b',"document":' + LISTED_TOO + b"}",
    "a number twice": CHECK.replace(b'"number"', b'"number": "110105187912310024", "number"'),
    "a number twice, spelled": CHECK.replace(b'"number"', b'"n\\u0075mber": "1", "number"'),
    "a name twice, hidden": CHECK[:-1] + b',"name":"\\u003A\\u003a\\u003a","name":"x:"}',
    "a null twice": CHECK[:-1] + b',"name":null,"name":null}',
}  # fmt: skip


@pytest.mark.parametrize("path", ["/v1/check", "/v1/changes", "/v1/standing", "/v1/entries/find"])
def test_a_body_that_is_none_is_refused_and_the_connection_goes_on(
    served: Running, path: str
) -> None:
    with served.connect() as caller:
        for name, body in BODIES.items():
            head = caller.request("POST", path, b"", f"Content-Length: {len(body)}")
            status, headers, told = caller.ask(head + body)
            assert (status, headers["content-type"]) == (400, PROBLEM), name
            assert json.loads(told)["status"] == 400
        assert caller.ask(caller.check())[0] == 200
    assert "request failed" not in served.log


def posted(served: Running, path: str, body: bytes) -> Any:  # noqa: ANN401 -- JSON
    with served.connect() as caller:
        status, _, told = caller.ask(caller.request("POST", path, body))
        assert status in {200, 400}, told
        return json.loads(told)


@pytest.mark.parametrize("number", [b"1" + b"0" * 400, b"1e999", b"-0.0", b"NaN"])
def test_a_number_that_is_none_harms_no_other_change(served: Running, number: bytes) -> None:
    def change(revision: bytes) -> bytes:
        document = json.dumps(CLEAR).encode()
        return (
            b'{"op":"remove","list":"sx","entry_id":"none","revision":%s,"reason":"performed",'
            b'"document":%s}' % (revision, document)
        )

    told = posted(served, "/v1/changes", b'{"changes":[%s,%s]}' % (change(number), change(b"7")))
    if number == b"NaN":  # that is no JSON at all
        assert told["status"] == 400
    else:
        bad, good = told["results"]
        assert bad["outcome"] == "rejected" != good["outcome"]


@pytest.mark.parametrize("more", [b"", b',"journey":null'])
@pytest.mark.parametrize("reference", [b"a", b"\\u003a"])
def test_an_item_that_says_a_thing_twice_harms_no_other(
    served: Running, reference: bytes, more: bytes
) -> None:
    twice = CHECK.replace(b'"number"', b'"number": "1", "number"')
    other = CHECK[:-1] + b',"reference":"%s","name":null}' % reference
    items = b",".join([CHECK, other, twice, CHECK])
    told = posted(served, "/v1/check/batch", b'{"items":[%s]%s}' % (items, more))
    assert ["error" in each for each in told["results"]] == [False, False, True, False]
    assert told["results"][2]["error"]["detail"] == "a field is given twice in one object"
    whole = b'{"items":[%s],"items":[%s]%s}' % (twice, CHECK, more)
    assert posted(served, "/v1/check/batch", whole)["status"] == 400


@pytest.mark.parametrize("place", [0, 20, batches.MANY - 1])
def test_of_many_items_one_that_says_a_thing_twice_is_noticed(served: Running, place: int) -> None:
    items = [CHECK] * batches.MANY
    items[place] = CHECK.replace(b'"number"', b'"number": "1", "number"')
    told = posted(served, "/v1/check/batch", b'{"items":[%s]}' % b",".join(items))
    assert [at for at, each in enumerate(told["results"]) if "error" in each] == [place]


@pytest.mark.parametrize("more", [b"", b',"wait":null'])
def test_a_change_that_says_a_thing_twice_harms_no_other(served: Running, more: bytes) -> None:
    document = json.dumps(CLEAR).encode()
    change = (
        b'{"op":"remove","list":"sx","entry_id":"none","revision":7,"reason":"performed",'
        b'"document":%s}' % document
    )
    twice = change.replace(b'"list"', b'"list":"xgl","list"')
    body = b'{"changes":[%s,%s,%s]%s}' % (change, twice, change, more)
    outcomes = [each["outcome"] for each in posted(served, "/v1/changes", body)["results"]]
    assert outcomes[1] == "rejected"
    assert "rejected" not in {outcomes[0], outcomes[2]}


@pytest.mark.parametrize(
    "more",
    [
        b',"name":null,"at_least":null,"reference":null', b',"reference":"a:b:c"',
        b',"reference":"\\u003a:"', b',"name":"a:b","reference":":"', b',"name":"\\"name\\":1"',
    ],
)  # fmt: skip
def test_what_is_said_once_is_answered_however_it_is_said(served: Running, more: bytes) -> None:
    assert posted(served, "/v1/check", CHECK[:-1] + more + b"}")["decision"] == "allow"


def test_nobody_was_harmed(served: Running) -> None:
    eventually(served.ready)
    assert "request failed" not in served.log
    assert "Traceback" not in served.log
