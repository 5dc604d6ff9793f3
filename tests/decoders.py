"""Everything that reads bytes or texts which others wrote, and what each may raise for them.

Where it lies in Redis, in a file, in an environment or in a request: whatever is there, a decoder
gives a value or one of its own errors, and never says what was in a list or a key.
"""

from __future__ import annotations

import datetime as dt
from base64 import b64encode
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from hypothesis import strategies as st
from structlog.testing import capture_logs

from loader.jobs.manifest import private_key_of, read_manifest
from roster.errors import (
    ListsError,
    LoadRefused,
    PositionError,
    SettingsError,
    Unreadable,
)
from roster.id_key import public_key_of, read_or_make
from roster.records import audited, blocks, cursor, position, replies
from roster.records.content import pack_content
from roster.records.entry import Content, Provenance
from roster.records.record import (
    Dictionaries,
    PackedEntry,
    pack_provenance,
    pack_record,
    parse_record,
    readable,
    unpack_provenance,
)
from roster.rules.lists import load_lists
from roster.settings import read_settings
from roster.storage.high_water import read_marks
from service.audit.pages import AuditCursor, cursor_of
from service.server.certificates import fingerprint_of_file
from service.web import shapes
from service.web.bodies import INVALID, Body
from service.web.ended import Ended
from tests.loader.fuzzing import mutated
from tests.source import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hypothesis.strategies import SearchStrategy

KEY = bytes(range(32))
NUMBER = "11010519121231002X"
COURT = bytes(4)
LOADS = {7: Provenance("load", "list.csv")}


class Decoder(NamedTuple):
    """What is read, good bytes to begin from, and the errors that say that it cannot be."""

    read: Callable[[bytes], object]
    good: tuple[bytes, ...]
    errors: tuple[type[Exception], ...] = ()


@contextmanager
def _file(data: bytes) -> Iterator[Path]:
    with TemporaryDirectory(prefix="cw-fuzz-", dir="/tmp") as folder:
        path = Path(folder) / "file"
        path.write_bytes(data)
        yield path


def _in_file(read: Callable[[Path], object]) -> Callable[[bytes], object]:
    def reads(data: bytes) -> object:
        with _file(data) as path:
            return read(path)

    return reads


def _text(read: Callable[[str], object]) -> Callable[[bytes], object]:
    return lambda data: read(data.decode("utf-8", "replace"))


def _record() -> bytes:
    content = Content("(2018)京0105执1号/1", (), 0, None, "(2018)京0105执1号")
    packed = pack_content(content, {})
    tail = pack_provenance(Provenance("api", "desk"), 7)
    return pack_record([PackedEntry(1, bytes(6), bytes(8), (9, 8, 7, 6, 5), packed, tail)])


def _stored(data: bytes) -> None:
    try:
        parse_record(data, Dictionaries({COURT: "法院"}, LOADS))
    except KeyError as exc:  # a court that is not known yet
        assert isinstance(exc.args[0], bytes), exc  # noqa: PT017 -- it need not be raised


def _provenance(data: bytes) -> None:
    with readable():
        unpack_provenance(data, LOADS)


def _events(data: bytes) -> None:
    with readable():
        replies.events(3, data)


def _block(data: bytes) -> None:
    blocks.claimed(data)
    blocks.kinds_of(data)
    blocks.read(data, KEY, 3).records()


def _manifest(path: Path) -> None:
    path.rename(path.with_name("list.manifest.json"))
    manifest = read_manifest(str(path.with_name("list")), None)
    if manifest is not None:
        _ = manifest.as_of_ms


def _id_key(path: Path) -> None:
    environ = {"CLEARWAY_ID_KEY_FILE": str(path), "HOME": "/nowhere"}
    read_or_make(read_settings(environ), embedded=False)


def _settings(data: bytes) -> None:
    lines = data.decode("utf-8", "replace").replace("\0", "").splitlines()
    pairs = (line.partition("=") for line in lines)
    read_settings({name: text for name, _, text in pairs} | {"HOME": "/nowhere"})


def _ended(data: bytes) -> None:
    with capture_logs():  # what cannot be read is logged
        Ended().start_anew(data)


def _feed(text: str) -> None:
    given = cursor.from_feed(text)
    assert cursor.from_feed(given.text) == given


SETTINGS = b"""CLEARWAY_REDIS_URL=redis+sentinel://a:1,b:2/service
CLEARWAY_REQUIRED_LISTS=sx,xgl
CLEARWAY_REDIS_TIMEOUT_MS=50
CLEARWAY_DATA_DIR=~/data
CLEARWAY_KEEP_ALIVE_S=100
CLEARWAY_ALLOW_PLAIN_HTTP=true"""
MANIFEST = b'{"as_of": "2026-01-01", "lists": ["sx"], "rows": 7, "sha256": "' + b"a" * 64 + b'"}'
PEM = b"""-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=
-----END PUBLIC KEY-----
"""
_UNKNOWN = b64encode(bytes.fromhex("302a300506032b6578032100") + KEY)
PEM_OF_NONE = b"-----BEGIN PUBLIC KEY-----\n%s\n-----END PUBLIC KEY-----\n" % _UNKNOWN
"""Of an algorithm that there is not."""
SIGNING_KEY = Ed25519PrivateKey.from_private_bytes(KEY)
PRIVATE_PEM = SIGNING_KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
PRIVATE_PEM_OF_NONE = PRIVATE_PEM.replace(b"K2Vw", b"K2Vv")  # X448, and too short
_NOBODY = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "nobody")])
CERTIFICATE = (
    x509.CertificateBuilder()
    .subject_name(_NOBODY)
    .issuer_name(_NOBODY)
    .public_key(SIGNING_KEY.public_key())
    .serial_number(1)
    .not_valid_before(dt.datetime(2020, 1, 1, tzinfo=dt.UTC))
    .not_valid_after(dt.datetime(2040, 1, 1, tzinfo=dt.UTC))
    .sign(SIGNING_KEY, None)
    .public_bytes(Encoding.PEM)
)
_POSITIONS = [position.Position(n, 5 + n % 2, n, bytes(4)) for n in range(64)]
_CURSOR = cursor.Cursor(tuple(_POSITIONS)).text.encode()
_PLAIN = position.to_text(_POSITIONS[:3]).encode()
_AUDITED = [
    audited.written(5, audited.RecordsLost(3, 4, 5)),
    audited.written(6, audited.ChainClosed((1, 2))),
]
_BLOCK = blocks.Chain("ab" * 6, KEY).seal(3, _AUDITED, 9)
_MARK = _POSITIONS[3].wire + (9).to_bytes(6) + b"roster".ljust(16, b"\0") + bytes([1, 2])
_EVENT = replies.EVENT.pack(1, 1, 0, 0, bytes(14), 1, 1, 1, 1, 2) + b"ab"
_ENDED = b'{"revoked": {"ab": 5}, "texts": {"ab": ["YQ=="]}, "lists": {"sx": 7}}'
_DOCUMENT = b'{"type": "passport", "number": "%s", "issuer": "RUS"}' % NUMBER.encode()
_CHECK = (
    b'{"document": %s, "name": "N", "reference": "r", "journey":'
    b' {"mode": "rail", "train": "G1", "seat": ["O"], "departs_at": "2026-01-01"}}' % _DOCUMENT
)
_ENTRY = b'{"name": "N", "from": "2018-01-01", "until": null, "case": "c", "lifts": ["sx"]}'
_CHANGE = (
    b'{"op": "put", "list": "sx", "entry_id": "e", "revision": 5, "document": %s, "replaces": [],'
    b' "entry": %s}' % (_DOCUMENT, _ENTRY)
)
BODIES: dict[type[Any], bytes] = {
    shapes.Check: _CHECK,
    shapes.BatchShape: b'{"items": [%s, %s], "at_least": ["AQ"]}' % (_CHECK, _CHECK),
    shapes.StandingShape: b'{"document": %s, "name": "N"}' % _DOCUMENT,
    shapes.ChangesShape: b'{"changes": [%s], "wait": "all", "timeout_ms": 5}' % _CHANGE,
    shapes.ChangeShape: _CHANGE,
    shapes.FindShape: b'{"document": %s}' % _DOCUMENT,
    shapes.HistoryShape: b'{"document": %s, "list": "sx"}' % _DOCUMENT,
}

DECODERS: dict[str, Decoder] = {
    f"body of {shape.__name__}": Decoder(Body(shape).decode, (good,), INVALID)
    for shape, good in BODIES.items()
} | {
    "record": Decoder(_stored, (_record(),), (Unreadable,)),
    "provenance": Decoder(_provenance, (pack_provenance(LOADS[7], 7),), (Unreadable,)),
    "history": Decoder(_events, (len(_EVENT).to_bytes(2) + _EVENT,), (Unreadable,)),
    "audit block": Decoder(_block, (_BLOCK,), (ValueError,)),
    "audit records": Decoder(
        lambda data: audited.unpack(data, 9), (audited.pack(_AUDITED, 9),), (msgspec.MsgspecError,)
    ),
    "audit cursor": Decoder(
        _text(lambda text: cursor_of(text, KEY)),
        (AuditCursor().text(KEY).encode(),),
        (PositionError,),
    ),
    "position": Decoder(_text(cursor.from_text), (_PLAIN, _CURSOR, b"AQ"), (PositionError,)),
    "feed cursor": Decoder(_text(_feed), (_CURSOR, _PLAIN), (PositionError,)),
    "marks": Decoder(_in_file(read_marks), (bytes((3, len(_MARK))) + _MARK,)),
    "what had ended": Decoder(_ended, (_ENDED,)),
    "manifest": Decoder(_in_file(_manifest), (MANIFEST,), (LoadRefused,)),
    "ID key": Decoder(_in_file(_id_key), (KEY.hex().encode(), KEY), (SettingsError,)),
    "signature key": Decoder(
        _in_file(public_key_of), (PEM, KEY.hex().encode(), PEM_OF_NONE), (SettingsError,)
    ),
    "signing key": Decoder(
        _in_file(private_key_of), (PRIVATE_PEM, PRIVATE_PEM_OF_NONE), (LoadRefused,)
    ),
    "certificate": Decoder(_in_file(fingerprint_of_file), (CERTIFICATE,), (ValueError,)),
    "settings": Decoder(
        _settings, (SETTINGS, b"CLEARWAY_DATA_DIR=~nobody-of-this-name/x"), (SettingsError,)
    ),
    "lists": Decoder(
        _in_file(load_lists), ((ROOT / "roster/lists.toml").read_bytes(),), (ListsError,)
    ),
}
ODD = (
    b"", b"\0", b"\xff" * 50, b"[" * 5_000, b"{" * 5_000, b'{"a":' * 5_000, b"x = " + b"[" * 5_000,
    b"x = " + b"9" * 5_000, b"9" * 5_000, NUMBER.encode(), b"\x81" * 5_000, b"\x91" * 5_000,
)  # fmt: skip
"""What is at times put in the place of all."""


@st.composite
def damaged(draw: st.DrawFn, decoder: Decoder) -> bytes:
    """Good bytes, mostly with something of them changed; at times quite other ones."""
    kind = draw(st.integers(0, 19))
    if kind == 0:
        return draw(st.binary(max_size=200))
    if kind == 1:
        return draw(st.sampled_from(ODD))
    data = draw(st.sampled_from(decoder.good))
    return data if kind == 2 else draw(mutated(data))


def read(decoder: Decoder, data: bytes) -> None:
    """Read it; whatever is raised is one of the decoder's errors, and repeats no number."""
    try:
        decoder.read(data)
    except decoder.errors as exc:
        assert NUMBER not in str(exc)  # noqa: PT017 -- it need not be raised


def cases() -> SearchStrategy[tuple[str, bytes]]:
    """Any decoder, and what it is to read."""
    return st.one_of([st.tuples(st.just(name), damaged(each)) for name, each in DECODERS.items()])
