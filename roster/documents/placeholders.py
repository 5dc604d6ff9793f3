"""Words in the place of a name that say that there is none, and titles that are no part of one."""

from __future__ import annotations

TITLES = frozenset(
    ("mr", "mrs", "ms", "miss", "mx", "mstr", "mdm", "mme", "dr", "prof", "adt", "chd", "inf")
)
"""Beside a Latin name, as ticketing systems have them."""

HAN_TITLES = ("先生", "女士", "小姐", "太太", "同志", "儿童", "婴儿")
"""Behind a Han name."""

_NO_HAN_NAME = """
无 無 空 缺 略 某 某某 某某某 未知 不详 不詳 不明 暂无 暫無 空值 空白 缺失 保密 待定 待补
待补充 待查 待核 待核实 无名 無名 无名氏 無名氏 佚名 匿名 未填 未填写 未填寫 未提供 未登记
未登記 未录入 未采集 无姓名 無姓名 姓名 姓名不详 姓名不詳 姓名不明 姓名未知 名字不详 名称不详
名称未知 无数据 无信息 无记录 没有 沒有
"""
# Alone only: with another word beside them these are names, such as Na Na.
_ALONE = """
na nan nul nil nill void empty blank missing xx xxx xxxx xxxxx noname nodata notavailable
notapplicable notprovided notknown
"""
_NEVER = "null none unknown undefined unnamed noname tba tbd fnu lnu"
_TOGETHER = frozenset(
    ("n a", "no name", "no names", "not available", "not applicable", "not provided", "not known",
     "not given", "no data", "name unknown", "no name given", "without name")
)  # fmt: skip

_HAN = frozenset(_NO_HAN_NAME.split())
_WORDS = frozenset(_NEVER.split())
_PHRASES = _TOGETHER | frozenset(_ALONE.split())
_LONGEST_FIRST = sorted(TITLES, key=len, reverse=True)


def is_no_name(text: str) -> bool:
    """Whether a text in lower case is a database's or a spreadsheet's mark that there is none.

    A backslash and an N are MySQL's and PostgreSQL's null, `#N/A` and `#REF!` a sheet's errors.
    """
    return text.startswith("#") or text.strip() == "\\n"


def is_no_han_name(text: str) -> bool:
    """Whether Han characters, without anything between them, only say that there is no name."""
    return text in _HAN


def is_plain_han(text: str) -> bool:
    """Whether Han characters, without anything between them, are a name and nothing else."""
    return text not in _HAN and not text.endswith(HAN_TITLES)


def is_no_latin_name(words: list[str]) -> bool:
    """Whether Latin words in lower case only say so: each of them, or all together."""
    return " ".join(words) in _PHRASES or _WORDS.issuperset(words)


def without_glued_titles(word: str) -> list[str]:
    """What is left of a Latin word before titles at its end: `sanfengmr` may be `sanfeng`.

    Each reading in its turn, the longest first; none where no title stands at the end.
    """
    found: list[str] = []
    while title := next((t for t in _LONGEST_FIRST if word.endswith(t) and word != t), None):
        word = word.removesuffix(title)
        found.append(word)
    return found
