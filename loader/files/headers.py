"""What is wrong with the names of a file's columns, and what to do about it.

Names are shown as they are: a header is no person's data. What may be a number or a person's name
is not, and a first line that looks like data is never repeated.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches

from loader.columns.cells import SKIPPED, TYPES
from loader.columns.sheets import COLUMNS, REQUIRED, Dialect, Encoding
from roster.errors import LoadRefused

ZXGK: Mapping[str, str] = {
    "案号": "caseCode", "执行案号": "caseCode", "被执行人": "iname", "被执行人姓名": "iname",
    "姓名": "iname", "被执行人姓名/名称": "iname", "身份证号码": "cardNum", "身份证号": "cardNum",
    "身份证": "cardNum", "证件号码": "cardNum", "证件号": "cardNum", "公民身份号码": "cardNum",
    "身份证号码/组织机构代码": "cardNum", "执行法院": "courtName", "法院": "courtName",
    "发布时间": "publishDate", "发布日期": "publishDate", "序号": "id", "编号": "id",
    "法定代表人": "businessEntity", "更新时间": "lastmod",
}  # fmt: skip
"""What the courts' own tables call the fields of `zxgk`."""
_ZXGK_FIELDS = (
    "iname caseCode cardNum courtName partyTypeName businessEntity publishDate jsonObject XM AH "
    "ZXFYMC QY_MC sfzhm partyCardNum LASJStr"
)
_XYCJ_FIELDS = (
    "BZXRMC BZXRLXMC ZJLXMC ZJHM ZZJGDM FBSJ JZSJ PBSJ PBYYMC CXSJ CXYYMC LASTUPDATE AHDM AH "
    "ZXFYMC LASJ FYDM"
)
_FIELDS: Mapping[Dialect, frozenset[str]] = {
    "zxgk": frozenset(_ZXGK_FIELDS.split()),
    "xycj": frozenset(_XYCJ_FIELDS.split()),
}
_DATA_WORDS = frozenset((*TYPES, *SKIPPED, "sx", "xgl"))
_DIGITS = re.compile(r"(?:\D*\d){4}", re.ASCII)
_MASK = re.compile(r"[*＊•●×]{2}")
_SURNAMES = (
    "王李张刘陈杨黄赵吴周徐孙朱胡郭何林罗郑梁谢宋唐韩邓冯曹彭曾肖"
    "董潘袁蔡蒋杜魏苏吕丁卢姚沈姜崔谭廖邹熊孟秦邱薛闫覃"
)
_PERSON = re.compile(
    rf"(?:[{_SURNAMES}]|欧阳|上官|司马|诸葛|司徒|皇甫|尉迟|慕容)[\u4e00-\u9fff\u3400-\u4dbf]{{1,2}}"
)
"""What may be a Chinese name, by the surnames that most people have."""
_NAME_MAX, _NAMES_MAX, _SAID_MAX = 40, 12, 700
_NEAR = 0.75
_HIDDEN = "(unprintable)"
_SEPARATORS = {
    ";": "semicolons (;)", "\t": "tabs", "|": "bars (|)", ":": "colons (:)", "，": "，",
    "；": "；", "、": "、", " ": "blanks",
}  # fmt: skip
FIRST_LINE = f"the first line has to name the columns, such as list,{','.join(REQUIRED)},name"


def check_columns(
    names: Sequence[str], *, listed: bool, lines: Sequence[str] = ()
) -> tuple[str, ...]:
    """The columns of these names; raises LoadRefused where they are not a list's.

    `listed` if rows need not name their list; `lines` are the file's first ones, header first.
    """
    columns = tuple(name.strip().lower() for name in names)
    required = REQUIRED if listed else ("list", *REQUIRED)
    unknown = [name for name, column in zip(names, columns, strict=True) if column not in COLUMNS]
    hidden = is_data(columns) or "".join(lines[:1]).lstrip().startswith(("{", "["))
    wrong = {
        "lacks": [name for name in required if name not in columns],
        "has unknown": [] if hidden else _shown(unknown),
        "repeats": sorted({n for n in columns if n in COLUMNS and columns.count(n) > 1}),
    }
    said = [f"{what} {', '.join(names)}" for what, names in wrong.items() if names]
    if not said:
        return columns
    advice = _advice(names, lines)
    faults = "; ".join(said)[:_SAID_MAX]
    raise LoadRefused(f"the header {faults}{': ' if advice else ''}{advice}")


def check_keys(keys: Collection[str]) -> None:
    """Raise LoadRefused where a JSON object of these keys is no row of a list."""
    if "op" in keys:
        raise LoadRefused(
            "the file holds changes ('op'), not the rows of a list: `clearway push FILE` sends them"
        )
    if keys and not {*REQUIRED} & {*keys}:
        advice = _advice([*keys], ())
        if not advice and REQUIRED[0] in map(str.lower, keys):
            advice = "keys are in lower case here"
        advice = advice or f"a row needs the keys {', '.join(REQUIRED)}"
        raise LoadRefused(
            f"the rows have none of a list's keys, but {', '.join(_shown(keys))}: {advice}"
        )


def fields_of(names: Sequence[str], dialect: Dialect) -> tuple[str, ...]:
    """The dialect's names of these columns; raises LoadRefused where none is one of its fields."""
    fields = tuple(ZXGK.get(name, name) for name in names) if dialect == "zxgk" else tuple(names)
    if fields and not _FIELDS[dialect] & set(fields) and "id" not in map(str.lower, fields):
        shown = "" if is_data(fields) else f", but {', '.join(_shown(fields))}"
        advice = _advice(list(fields), ()) or "leave --format out where the columns are ours"
        raise LoadRefused(f"the file has none of the fields of {dialect}{shown}: {advice}")
    return fields


def key_hint(keys: Iterable[str]) -> str:
    """What to say where the first rows of a file have keys that no column has; else nothing."""
    unknown = [key for key in dict.fromkeys(keys) if key not in COLUMNS]
    if not unknown:
        return ""
    advice = _advice(unknown, ())
    return f"rows have keys that no column has: {', '.join(_shown(unknown))}" + (
        f" ({advice})" if advice else ""
    )


def is_data(columns: Collection[str]) -> bool:
    """Whether a first line is a row of data rather than a header; its cells are not repeated."""
    if any(name.lower() in COLUMNS for name in columns):
        return False
    return any(
        (name.strip() and not _may_be_shown(name)) or name.strip().lower() in _DATA_WORDS
        for name in columns
    )


def unreadable(line: str, hint: str, encoding: Encoding) -> LoadRefused:
    """The error for a header that is no text of this encoding, or whose quotes are not closed."""
    why = hint or next(_advices_by_lines([line]), "its quotes are not closed")
    return LoadRefused(f"the header cannot be read as {encoding}: {why}")


def _shown(names: Iterable[str]) -> list[str]:
    """Names as they are, but what may be a person's or a number, and what no terminal shows."""
    shown = [
        name[:_NAME_MAX] + ("…" if len(name) > _NAME_MAX else "")
        if _may_be_shown(name)
        else _HIDDEN
        for name in names
    ]
    return shown[:_NAMES_MAX] + (["…"] if len(shown) > _NAMES_MAX else [])


def _may_be_shown(name: str) -> bool:
    if not name.strip() or not name.isprintable():
        return False
    return not (_DIGITS.match(name) or _MASK.search(name) or _PERSON.fullmatch(name.strip()))


def _advice(columns: Sequence[str], lines: Sequence[str]) -> str:
    """What to do about these columns, or nothing."""
    return next(_advices(columns, lines))


def _advices(columns: Sequence[str], lines: Sequence[str]) -> Iterator[str]:
    """What may be done about them, the likeliest first."""
    yield from _advices_by_lines(lines)
    if dialect := dialect_of(columns):
        yield f"these are fields of the courts' own tables: --format {dialect} reads them"
    if is_data(columns):
        yield f"the first line looks like data, not like a header: {FIRST_LINE}"
    if len(columns) == 1 and "," in columns[0]:
        yield "each line is quoted as a whole: take the outer quotes away"
    yield _nearest(columns)


def _advices_by_lines(lines: Sequence[str]) -> Iterator[str]:
    first = lines[0] if lines else ""
    if re.match(r"(?i)\s*\"?sep=", first):
        yield f"take the first line ({first.strip()[:8]}) out; {FIRST_LINE}"
    if first.lstrip().startswith(("{", "[")):
        yield "the file looks like JSON: --format jsonl"
    if separator := _separator(first):
        dialect = dialect_of(re.findall(r"[\w/]+", first))
        also = f", and load it with --format {dialect}" if dialect else ""
        yield f"the columns are separated by {separator}: save the file as CSV with commas{also}"
    for number, line in enumerate(lines[1:], 2):
        if all(word in line.lower() for word in REQUIRED):
            yield f"the header stands in line {number}: take out what is before it"


def dialect_of(fields: Collection[str]) -> Dialect:
    """The dialect whose fields these are, if any."""
    names = {ZXGK.get(name.strip(), name.strip()).lower() for name in fields}
    hits: dict[Dialect, int] = {
        dialect: len(names & {field.lower() for field in known})
        for dialect, known in _FIELDS.items()
    }
    best = max(hits, key=lambda dialect: hits[dialect])
    return best if hits[best] > 1 else ""


def _separator(line: str) -> str:
    """What stands between the names that are known, where it is not a comma."""
    names = {*COLUMNS, *ZXGK}.union(*_FIELDS.values())
    known = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
    pattern = rf"(?i)(?<![\w])({known})[\"' ]*([^\w\"' ]{{1,3}}| +)[\"' ]*(?=({known})(?!\w))"
    found = {mark for _, mark, _ in re.findall(pattern, line)}
    if len(found) != 1 or found == {","}:
        return ""
    mark = found.pop()
    mark = mark.strip(" ") or " "
    return _SEPARATORS.get(mark, repr(mark))


def _nearest(columns: Sequence[str]) -> str:
    """Which columns the unknown ones may be meant to be."""
    hints = []
    for name in columns:
        word = re.sub(r"[\W_]+", "_", name.strip().lower()).strip("_")
        if name.strip().lower() not in COLUMNS and not _DIGITS.match(name):
            near = [word] if word in COLUMNS else get_close_matches(word, COLUMNS, 1, _NEAR)
            hints += [f"{_shown([name])[0]} is perhaps {near[0]}"] if near else []
    return ", ".join(hints[:_NAMES_MAX])
