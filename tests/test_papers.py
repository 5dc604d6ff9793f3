"""What code, tests and papers cite is there: each paper, each section of it, each link.

A section is cited by its heading, as in `docs/domain.md, Passports`: a comma, and the heading as it
is written, from its capital on. One citation names one section.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.source import ROOT, tracked

PAPER = "docs/domain.md"
NOWHERE = PAPER.replace("domain", "nowhere")
SUFFIXES = {".py", ".lua", ".toml", ".md", ".js", ".html", ".css", ".yaml", ".yml", ".conf"}
CITED = re.compile(r"\bdocs/[\w/.-]*\.md")
SECTION = re.compile(r"`?,\s+(?:(?:#|--|//)\s+)?(?=[A-Z])(.{1,200})", re.DOTALL)
BREAK = re.compile(r"\s*\n\s*(?:(?:#|--|//)\s+)?")
FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)")


@cache
def headings(path: Path) -> list[str]:
    text = FENCED.sub("", path.read_text(encoding="utf-8"))
    return re.findall(r"^#+ (.+?)\s*$", text, re.MULTILINE)


def anchor(heading: str) -> str:
    """What addresses call a heading."""
    return re.sub(r"[^\w\s-]", "", heading.lower()).replace(" ", "-")


def is_headed(path: Path, text: str) -> bool:
    """Whether the text begins with a heading of that paper."""
    return any(re.match(re.escape(each) + r"(?![\w-])", text) for each in headings(path))


def wrong_citations(text: str) -> Iterator[str]:
    for cited in CITED.finditer(text):
        paper = ROOT / cited[0]
        if not paper.is_file():
            yield cited[0]
        elif section := SECTION.match(text, cited.end()):
            words = BREAK.sub(" ", section[1])
            if not is_headed(paper, words):
                yield f"{cited[0]}, {words[:40]}"


def leads_somewhere(target: Path, place: str) -> bool:
    if not place or not target.is_file():
        return target.exists()
    return any(place == anchor(each) for each in headings(target))


def wrong_links(path: Path, text: str) -> Iterator[str]:
    for name, place in LINK.findall(re.sub(r"`[^`\n]*`", "", FENCED.sub("", text))):
        target = path.parent / name if name else path
        if not re.match(r"[a-z]+:", name) and not leads_somewhere(target, place):
            yield f"{name}#{place}"


def papers_and_code() -> Iterator[tuple[str, Path, str]]:
    for path in tracked():
        if path.suffix in SUFFIXES or path.name in {"Makefile", "Dockerfile"}:
            yield path.relative_to(ROOT).as_posix(), path, path.read_text(encoding="utf-8")


def test_every_paper_and_section_that_is_cited_is_there() -> None:
    wrong = [(name, each) for name, _, text in papers_and_code() for each in wrong_citations(text)]
    assert wrong == []


def test_every_link_of_a_paper_leads_somewhere() -> None:
    papers = [each for each in papers_and_code() if each[1].suffix == ".md"]
    assert papers
    assert [(name, each) for name, path, text in papers for each in wrong_links(path, text)] == []


@pytest.mark.parametrize(
    ("text", "is_right"),
    [
        (f"{PAPER} says so", True),
        (f"see {PAPER}, which says so", True),
        (f"({PAPER}, Seats and trains)", True),
        (f"`{PAPER}`, Passports: two letters", True),
        (f"# {PAPER}, Seats\n    # and trains", True),
        (f"{PAPER},\n-- Passports", True),
        (NOWHERE, False),
        (f"{PAPER}, Bicycles", False),
        (f"{PAPER}, Passport", False),
        (f"{PAPER}, Seats\n# and bicycles", False),
    ],
)
def test_a_citation_of_what_is_not_there_is_found(text: str, is_right: bool) -> None:
    assert (not list(wrong_citations(text))) == is_right


@pytest.mark.parametrize(
    ("link", "is_right"),
    [
        (f"]({PAPER})", True),
        (f"]({PAPER}#seats-and-trains)", True),
        ("](service)", True),
        ("](https://example.org/nowhere.md#nothing)", True),
        (f"]({NOWHERE})", False),
        (f"]({NOWHERE}#nothing)", False),
        (f"]({PAPER}#bicycles)", False),
    ],
)
def test_a_link_to_what_is_not_there_is_found(link: str, is_right: bool) -> None:
    assert (not list(wrong_links(ROOT / "README.md", link))) == is_right
