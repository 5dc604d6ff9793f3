"""What a terminal cannot show gets a stand-in, and what it cannot send is told."""

from __future__ import annotations

import codecs
import io
import sys

from roster.errors import InvalidInput
from roster.speech.language import say
from service.commands.desk_texts import NO_NUMBER, OTHER_ENCODING, SEVERAL_LINES, TOO_MUCH

STAND_IN = "clearway-stand-in"
ASCII = "clearway-ascii"
LONGEST_INPUT = 4_096


def prepare() -> None:
    """Make whatever a command prints from now on printable.

    A character that the terminal's encoding lacks becomes its escape in JSON.
    """
    codecs.register_error(STAND_IN, _stand_in)
    codecs.register(_found)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding=_named(stream.encoding), errors=STAND_IN)


def read_line() -> str:
    """The one line of text on standard input; raises InvalidInput where it holds anything else.

    It is read to its end: what stands behind the line would be lost without a word.
    """
    data = sys.stdin.buffer.read(LONGEST_INPUT + 1)
    if len(data) > LONGEST_INPUT:
        raise InvalidInput("number", say(TOO_MUCH))
    encoding = sys.stdin.encoding
    try:
        text = data.removeprefix(codecs.BOM_UTF8).decode(encoding)
    except UnicodeDecodeError:
        raise InvalidInput("number", say(OTHER_ENCODING, encoding=encoding)) from None
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise InvalidInput("number", say(NO_NUMBER))
    if len(lines) > 1:
        raise InvalidInput("number", say(SEVERAL_LINES))
    return lines[0].strip()


def _stand_in(exc: UnicodeError) -> tuple[str, int]:
    if not isinstance(exc, UnicodeEncodeError):
        raise exc
    units = exc.object[exc.start : exc.end].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2)), exc.end


def _named(encoding: str) -> str:
    """The encoding, ASCII under a name of our own: click would print UTF-8 in its place."""
    return ASCII if codecs.lookup(encoding).name == "ascii" else encoding


def _found(name: str) -> codecs.CodecInfo | None:
    if name.replace("_", "-") != ASCII:
        return None
    plain = codecs.lookup("ascii")
    return codecs.CodecInfo(
        plain.encode,
        plain.decode,
        plain.streamreader,
        plain.streamwriter,
        plain.incrementalencoder,
        plain.incrementaldecoder,
        name=ASCII,
    )
