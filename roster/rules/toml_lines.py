"""The line of a TOML text on which a table or a key stands, for messages about it."""

from __future__ import annotations

import re

TomlPath = tuple[str | int, ...]
"""Where a value stands: `("list", 2, "code")` is the code of the third `[[list]]`."""

_HEADER = re.compile(r"\s*(\[\[?)\s*([\w.-]+)\s*\]")
_KEY = re.compile(r"""\s*["']?([\w-]+)["']?\s*=""")
_STEP = re.compile(r"\.([\w-]+)|\[(\d+)\]")


def parse_path(text: str) -> TomlPath:
    """The path that msgspec writes as `$.list[2].code`."""
    return tuple(int(index) if index else name for name, index in _STEP.findall(text))


class TomlLines:
    """Finds lines by path; counted from 1."""

    def __init__(self, text: str) -> None:
        """Index the headers and keys of `text`, which is valid TOML."""
        self._lines: dict[TomlPath, int] = {}
        counts: dict[TomlPath, int] = {}
        prefix: TomlPath = ()
        for number, line in enumerate(text.splitlines(), 1):
            if header := _HEADER.match(line):
                prefix = _open(header[2].split("."), counts, array=header[1] == "[[")
                self._lines.setdefault(prefix, number)
            elif key := _KEY.match(line):
                self._lines.setdefault((*prefix, key[1]), number)

    def find(self, path: TomlPath) -> int:
        """The line of `path`, or of the nearest table around it."""
        for length in range(len(path), 0, -1):
            if line := self._lines.get(path[:length]):
                return line
        return 1


def _open(names: list[str], counts: dict[TomlPath, int], *, array: bool) -> TomlPath:
    path: TomlPath = ()
    for name in names[:-1]:
        path = (*path, name)
        if path in counts:
            path = (*path, counts[path])
    path = (*path, names[-1])
    if not array:
        return path
    counts[path] = counts.get(path, -1) + 1
    return (*path, counts[path])
