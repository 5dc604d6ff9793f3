"""What `deploy/` ships, as its tests read it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import yaml
from jsonschema_rs import Draft7Validator

from tests.source import ROOT

if TYPE_CHECKING:
    from pathlib import Path

DEPLOY = ROOT / "deploy"
MANUAL = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
SCHEMAS = ROOT / "tests" / "deploy" / "schemas"


def loaded(path: Path) -> Any:  # noqa: ANN401 -- YAML
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def schema(name: str) -> Any:  # noqa: ANN401 -- JSON
    return json.loads((SCHEMAS / name).read_text(encoding="utf-8"))


def faults(schema: Any, document: Any) -> list[str]:  # noqa: ANN401 -- JSON
    """What a schema says against a document, with the place of each."""
    found = Draft7Validator(schema).iter_errors(document)
    return [f"{'/'.join(map(str, each.instance_path))}: {each.message}" for each in found]


def lines(name: str) -> list[str]:
    """What a sample says, without comments."""
    text = (DEPLOY / name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def config(name: str) -> dict[str, str]:
    """The lines of a server's configuration, by their first word."""
    return {word: value for word, _, value in (line.partition(" ") for line in lines(name))}


def section(title: str) -> str:
    """A part of the manual, by its heading."""
    found = re.search(
        rf"^(#+) {re.escape(title)}\n(.*?)(?=^#{{1,3}} |\Z)", MANUAL, re.MULTILINE | re.DOTALL
    )
    assert found is not None, title
    return found[2]
