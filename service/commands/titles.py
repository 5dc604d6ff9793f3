"""What the lists are called, for people: as the `lists.toml` of these settings says."""

from __future__ import annotations

import os
from functools import cache

from roster.rules.lists import load_lists
from roster.settings import read_settings


def titled(name: str) -> str:
    """A list's id with its title; the id alone of a list that is not known here."""
    return f"{name} {_titles().get(name, '')}".strip()


@cache
def _titles() -> dict[str, str]:
    rules = load_lists(read_settings(os.environ).lists_file).all
    return {rule.id: rule.title for rule in rules}
