"""The documentation site has the repository's places, so that one link works in both.

`mkdocs.yml` calls it. The site's papers are those of `docs/` and those that the navigation names;
what else they link to (code, pictures) lies in the site as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from posixpath import normpath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from mkdocs.utils import get_relative_url

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"(?<=\]\()([^)#\s:]+)(?=[)#])")
FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
INDEXES = ("README.md", "__init__.py")
DIAGRAMS = "docs/mermaid/mermaid.tiny.js"
"""@mermaid-js/tiny 11.17.2 draws diagrams; without it the theme would fetch one from elsewhere."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """The theme's files, and ours in the repository's places."""
    theirs = [each for each in files if each.src_dir != config.docs_dir]
    papers = {*named(config.nav), *(path(each) for each in (ROOT / "docs").rglob("*.md"))}
    linked = {target for paper in papers for target in targets(paper)}
    ours = sorted({*papers, *linked, DIAGRAMS})
    made = [File(uri, str(ROOT), config.site_dir, config.use_directory_urls) for uri in ours]
    return Files([*theirs, *made])


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """The paper, with each link to a folder led to what says what is in it."""
    folder = PurePosixPath(page.file.src_uri).parent

    def led(link: re.Match[str]) -> str:
        return link[0].rstrip("/") + index_in(ROOT / folder / link[0])

    return LINK.sub(led, markdown)


def on_post_page(output: str, page: Page, **_: object) -> str:
    """The page, with what draws diagrams where it has any."""
    if 'class="mermaid"' not in output:
        return output
    script = f'<script src="{get_relative_url(DIAGRAMS, page.url)}"></script>'
    return output.replace("</head>", f"{script}</head>", 1)


def named(nav: object) -> Iterator[str]:
    """The papers that a navigation names."""
    if isinstance(nav, str):
        yield nav
    elif isinstance(nav, list | dict):
        for each in nav.values() if isinstance(nav, dict) else nav:
            yield from named(each)


def targets(paper: str) -> Iterator[str]:
    """The files that a paper links to, from the repository's root."""
    text = FENCED.sub("", (ROOT / paper).read_text(encoding="utf-8"))
    for link in LINK.findall(text):
        target = normpath(PurePosixPath(paper).parent / link)
        found = target + index_in(ROOT / target)
        if (ROOT / found).is_file():
            yield found


def index_in(folder: Path) -> str:
    """What to add to a link to a folder; nothing to one to a file."""
    there = (f"/{name}" for name in INDEXES if (folder / name).is_file())
    return next(there, "")


def path(file: Path) -> str:
    """Where a file is in the repository."""
    return file.relative_to(ROOT).as_posix()
