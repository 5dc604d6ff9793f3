"""What docs/architecture.md tells of Redis is all of it: every key, every field of `meta`."""

from __future__ import annotations

import re

from roster import keys
from tests.source import ROOT, lua

PAGE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")


def rows(section: str) -> set[str]:
    """What the first cells of a section's tables name."""
    text = PAGE.split(f"\n## {section}\n", 1)[1].split("\n## ", 1)[0]
    return set(re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE))


def made() -> set[str]:
    """The pattern of every key that `roster/keys.py` makes."""
    values = [value for name, value in vars(keys).items() if name.isupper()]
    found = {value for value in values if isinstance(value, str)}
    found |= {value[0] for value in values if isinstance(value, tuple)}
    found |= {keys.doorbell(b"ID"), keys.bucket(0, 0), keys.history(0, 0)}
    return {key.replace("{00}", "{NN}").replace(":0000", ":BBBB") for key in found}


def fields(code: str) -> set[str]:
    """The fields of `meta` that these functions spell; those of each list end in a colon."""
    calls = re.findall(r"'H(?:SET|GET|MGET|DEL|INCRBY)', (?:meta|keys\[1\]), ([^()]*)", code)
    plain = {name for call in calls for name in re.findall(r"'([a-z_]+)'", call)}
    counted = re.findall(r"\badd\([\w.]+, '([a-z_]+)'", code)
    return plain | set(counted) | set(re.findall(r"'([a-z]{1,2}:)'", code))


def test_every_key_is_told_with_who_writes_it() -> None:
    told = {name for name in rows("Redis keys") if name.startswith("clearway:")}
    drawn = set(re.findall(r"^\| (clearway:[^\s|]+)", keys.__doc__ or "", re.MULTILINE))
    assert told == made() == drawn


def test_every_field_of_meta_is_told() -> None:
    told = {re.sub(r":[A-Z:]+$", ":", name) for name in rows("Fields of meta")}
    assert told == fields("\n".join(lua().values()))
