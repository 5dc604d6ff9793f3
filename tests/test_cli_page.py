"""docs/cli.md is what the commands say of themselves now."""

from __future__ import annotations

import re
import runpy

import clearway
from tests.source import ROOT


def test_the_page_of_commands_is_as_they_are() -> None:
    page: str = runpy.run_path(str(ROOT / ".ci/cli_page.py"))["page"]()
    assert (ROOT / "docs/cli.md").read_text(encoding="utf-8") == page, "run `make cli`"
    told = set(re.findall(r"^## `clearway (\w+)`$", page, re.MULTILINE))
    assert told == set(clearway.COMMANDS)
    assert "## `clearway keys create`" in page
