"""The function library, named by its content: versions live side by side and never fight.

Two versions with one name would replace each other for as long as both run, and a new
version's code would wait for the last process of the old one. So the library and each of its
functions carry a hash of the code: what a process calls is what it brought with it.
"""

from __future__ import annotations

from functools import cache
from hashlib import blake2s
from importlib import resources
from typing import NamedTuple

FILES = (
    "head",
    "bytes",
    "records",
    "law",
    "counts",
    "partition",
    "log",
    "rewinds",
    "floors",
    "seals",
    "changes",
    "snapshots",
    "rows",
    "buckets",
    "merges",
    "reads",
    "state",
    "forgetting",
)
"""The files of roster/lua/ in the order in which they are joined: each after those it calls."""
PREFIX = "clearway_"
_FIRST_LINE = "#!lua name=clearway\n"
_VERSION = "local VERSION = ''"
HASH_BYTES = 6


class Library(NamedTuple):
    """The library's name, what its functions' names end with, and the code to load."""

    name: str
    suffix: str
    code: str


def library_of(text: str) -> Library:
    """The library that this code becomes; raises ValueError where it has no place for a name."""
    if not text.startswith(_FIRST_LINE) or text.count(_VERSION) != 1:
        raise ValueError("the library's first line or its VERSION is not as it should be")
    suffix = blake2s(text.encode(), digest_size=HASH_BYTES).hexdigest()
    name = PREFIX + suffix
    code = text.replace(_FIRST_LINE, f"#!lua name={name}\n", 1)
    return Library(name, f"_{suffix}", code.replace(_VERSION, f"local VERSION = '_{suffix}'"))


@cache
def library() -> Library:
    """The library that this version of Clearway calls."""
    folder = resources.files("roster").joinpath("lua")
    texts = (folder.joinpath(f"{name}.lua").read_text("utf-8") for name in FILES)
    return library_of("\n".join(texts))
