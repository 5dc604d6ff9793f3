"""What a file is that is no list, by its name and its first bytes, and what to do about it."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable
from pathlib import PurePath

from loader.columns.sheets import Encoding
from roster.errors import LoadRefused

SAVE = "open it and save it as 'CSV UTF-8 (comma delimited)', then load that file"
HEAD_BYTES = 64 << 10
_ASK = "a list comes as CSV, JSON Lines or Parquet"
_UNPACK = "unpack it first: .gz, .zst and .zip are read as they are"
_WORKBOOKS = {
    *(".xlsx", ".xlsm", ".xlsb", ".xls", ".xlt", ".ods", ".numbers", ".et", ".ett", ".dif", ".slk"),
}
_NAMED = {
    ".gz": (b"\x1f\x8b", "gzip"),
    ".zst": (b"\x28\xb5\x2f\xfd", "zstd"),
    ".zip": (b"PK", "a zip"),
    ".parquet": (b"PAR1", "Parquet"),
}
_OTHER_NAMES = {
    ".manifest.json": "a manifest: name the file that it describes",
    ".manifest.json.sig": "a manifest's signature: name the file that it describes",
}
_CONTENT = (
    (rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", f"an Excel or WPS workbook (.xls): {SAVE}"),
    (rb"\s*<\?xml[^\0]*(?:Excel\.Sheet|office:spreadsheet)", f"an Excel workbook (XML): {SAVE}"),
    (rb"(?i)\s*<(?:!doctype\s+)?html",
     f"an HTML page: an error or a login page of a site, or a table called .xls; {_ASK}"),
    (rb"\s*<[?!a-zA-Z]", f"XML or a web page: {_ASK}"),
    (rb"%PDF", f"a PDF: {_ASK}"),
    (rb"{\\rtf", f"a text document (RTF): {_ASK}"),
    (rb"\x89PNG|\xff\xd8\xff|GIF8", f"a picture: {_ASK}"),
    (rb"BZh[1-9]1AY&SY", f"compressed by bzip2: {_UNPACK}"),
    (rb"\xfd7zXZ\0|\x5d\0\0", f"compressed by xz or lzma: {_UNPACK}"),
    (rb"7z\xbc\xaf\x27\x1c", f"a 7-Zip archive: {_UNPACK}"),
    (rb"Rar!\x1a\x07", f"a RAR archive: {_UNPACK}"),
    (rb"\x04\x22\x4d\x18|\x1f\x9d|\xff\x06\0\0sNaPpY", f"compressed in a rare way: {_UNPACK}"),
    (rb"[^\0]{1,100}\0.{155,255}ustar", f"a tar archive: {_UNPACK}"),
    (rb"SQLite format 3\0", f"an SQLite database: {_ASK}"),
    (rb"Obj\x01|ARROW1|ORC[\0-\x1f]", f"Avro, Arrow or ORC: {_ASK}"),
    (rb"-----BEGIN PGP|age-encryption\.org", "encrypted or signed: decrypt it first"),
    (rb"version https://git-lfs", "a pointer of Git LFS: fetch the file itself"),
)  # fmt: skip
_PACKED = (
    (rb"PK\x03\x04", "a zip"),
    (rb"\x1f\x8b", "a gzip"),
    (rb"\x28\xb5\x2f\xfd", "a zstd file"),
    (rb"PAR1", "a Parquet file"),
)
_ARCHIVES = (
    (re.compile(r"xl/|\[Content_Types\]\.xml"), f"an Excel workbook (.xlsx): {SAVE}"),
    (re.compile(r"content\.xml|mimetype"), f"an OpenDocument file (.ods): {SAVE}"),
    (re.compile(r"Index/"), f"a Numbers document: {SAVE}"),
)
_CONTROL = re.compile(rb"[\0-\x08\x0e-\x1f]")
_LIST = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:[{[<]|[^\n]*[,;\t|])")
_NULS = 0.2
_LETTERS = re.compile(r"[\u4e00-\u9fff]")
_LETTERS_MIN = 4


def check_name(name: str, head: bytes) -> None:
    """Raise LoadRefused where the name promises what the first bytes are not."""
    name, suffix = name.lower(), PurePath(name).suffix.lower()
    for end, what in _OTHER_NAMES.items():
        if name.endswith(end):
            raise LoadRefused(f"the file is {what}")
    if suffix in _WORKBOOKS:
        check_content(b"" if head.startswith(b"PK") else head)
        if is_text(head):
            raise LoadRefused(
                f"the file is called {suffix} as a workbook is, and holds text: if that is CSV, "
                "call it .csv"
            )
        raise LoadRefused(f"the file is a workbook by its name ({suffix}): {SAVE}")
    magic, what = _NAMED.get(suffix, (b"", ""))
    looks = is_text(head) and _LIST.match(head)
    if magic and looks and not head.startswith(magic[: len(head)]):
        check_content(head)
        raise LoadRefused(
            f"the file is called {suffix}, but is not {what}: if it is CSV as it lies there, "
            f"call it {PurePath(name).stem.removesuffix('.csv')}.csv"
        )


def is_text(head: bytes) -> bool:
    """Whether the bytes may be those of a text."""
    return bool(head) and not _CONTROL.search(head[:4096])


def check_content(head: bytes) -> None:
    """Raise LoadRefused where the bytes begin something that is no list."""
    text = head.removeprefix(codecs.BOM_UTF8)[:4096]
    for pattern, what in _CONTENT:
        if re.match(pattern, text, re.DOTALL):
            raise LoadRefused(f"the file is {what}")
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or _is_wide(head):
        raise LoadRefused(f"the file is UTF-16, not UTF-8 or GB18030: {SAVE}")


def check_unpacked(head: bytes) -> None:
    """Raise LoadRefused where what was packed is packed again, or no list."""
    for pattern, what in _PACKED:
        if re.match(pattern, head):
            raise LoadRefused(f"the file holds {what} in which something is packed: unpack it")
    check_content(head)


def check_archive(names: Iterable[str]) -> None:
    """Raise LoadRefused where a zip of these files is an office document."""
    names = list(names)
    for pattern, what in _ARCHIVES:
        if any(pattern.match(name) for name in names):
            raise LoadRefused(f"the file is {what}")


def encoding_hint(head: bytes, encoding: Encoding) -> str:
    """What to say of a text's encoding where it is another than was said; else nothing."""
    lines = [line for line in head.rpartition(b"\n")[0].split(b"\n") if not line.isascii()]
    lines = lines or [head]
    wrong = [line for line in lines if not _is(line, encoding)]
    if encoding == "gb18030":
        letters = _LETTERS.findall(head.decode(errors="ignore"))
        if len(letters) >= _LETTERS_MIN and all(_is(line, "utf-8") for line in lines):
            return "the file is UTF-8, not GB18030: load it without --encoding"
        return ""
    if not wrong:
        return ""
    if not all(_is(line, "gb18030") for line in wrong) or not _is_chinese(b"".join(wrong)):
        return f"the file is neither UTF-8 nor GB18030: {SAVE}"
    if len(wrong) < len(lines):
        return "some lines are UTF-8, others GB18030: was the file put together from two?"
    return "the file is GB18030, not UTF-8: load it with --encoding gb18030"


def _is(line: bytes, encoding: Encoding) -> bool:
    try:
        line.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _is_chinese(data: bytes) -> bool:
    """Whether most of it, read as GB18030, is everyday Chinese: another encoding's seldom is."""
    letters = [letter for letter in data.decode("gb18030", "ignore") if not letter.isascii()]
    usual = "".join(letters).encode("gb2312", "ignore")
    return len(usual) > len(letters)  # two bytes each


def _is_wide(head: bytes) -> bool:
    """Whether every second byte is often zero, and the others seldom are: UTF-16, or -32."""
    shares = sorted(half.count(0) / max(1, len(half)) for half in (head[:4096:2], head[1:4096:2]))
    return shares[1] > _NULS and shares[1] - shares[0] > _NULS
