"""The documentation as a site: built strictly, whole, and by itself on a private network."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from playwright.async_api import expect

from tests.page.sites import CHROMIUM, chromium
from tests.source import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.async_api import Page

BESIDE = {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "clients/python/README.md"}
FETCHED = {"src", "srcset", "data", "poster"}
DEADLINE_MS = 60_000


def build(root: Path, to: Path) -> subprocess.CompletedProcess[str]:
    """What `make docs` does, into another folder."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(to)]
    env = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(
        command, cwd=root, env=env, capture_output=True, text=True, timeout=100, check=False
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    to = tmp_path_factory.mktemp("site")
    done = build(ROOT, to)
    assert done.returncode == 0, done.stderr
    return to


class Links(HTMLParser):
    """What a page links to, and what it would fetch."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in FETCHED or (name == "href" and tag == "link"):
                self.fetched.append(value or "")
            elif name == "href":
                self.links.append(value or "")


def papers() -> set[str]:
    return BESIDE | {path.relative_to(ROOT).as_posix() for path in ROOT.glob("docs/**/*.md")}


def place(paper: str) -> str:
    """Where a paper's page is in the site."""
    return re.sub(r"(^|/)(README|index)$", r"\1", paper.removesuffix(".md")).rstrip("/")


def test_every_paper_is_a_page_that_the_navigation_leads_to(site: Path) -> None:
    led = {link.rstrip("/").removeprefix(".") for link in Links(site / "index.html").links}
    assert {paper for paper in papers() if place(paper) not in led} == set()
    assert {p for p in papers() if not (site / place(p) / "index.html").is_file()} == set()


def test_each_is_told_of_by_the_name_that_it_is_given(site: Path) -> None:
    given = re.findall(
        r"^ +- ([^:\n]+): (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE
    )
    shown = (site / "index.html").read_text(encoding="utf-8").partition("<article")[0]
    entry = (
        r'<a href="([^"]+)" class="md-nav__link[^"]*">\s*<span class="md-ellipsis">\s*([^<]+?)\s*<'
    )
    told = {(name, led.rstrip("/").removeprefix(".")) for led, name in re.findall(entry, shown)}
    assert len(given) > 10
    assert {(name, place(paper)) for name, paper in given} - told == set()


def test_every_link_and_picture_is_there_and_none_of_it_elsewhere(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > len(papers())
    for page in pages:
        found = Links(page)
        assert [each for each in found.fetched if urlsplit(each).netloc] == [], page
        wanted = [urlsplit(each) for each in found.fetched + found.links]
        for each in wanted:
            if not each.scheme and not each.netloc and each.path and page.name != "404.html":
                assert (page.parent / each.path).exists(), (page, each.path)


def test_no_style_asks_another_host(site: Path) -> None:
    styles = list(site.rglob("*.css"))
    assert styles
    wanted = [
        url
        for each in styles
        for url in re.findall(r"""url\((?!["']?data:)([^)]*)|@import""", each.read_text("utf-8"))
    ]
    assert [url for url in wanted if "//" in url or not url] == []


def test_what_is_written_for_both_is_shown_as_it_is_meant(site: Path) -> None:
    """Lists and tables that only one of the two readers of Markdown knows would stay as typed."""
    for page in site.rglob("index.html"):
        text = page.read_text(encoding="utf-8")
        body = text[text.index("<article") : text.index("</article")]
        plain = re.sub(r"<(pre|code|script)\b.*?</\1>", "", body, flags=re.DOTALL)
        for block in re.findall(r"<(?:p|li|td)>([^<]*)", plain):
            assert not re.search(r"^\s*(- |\* |\||```|#+ )", block, re.MULTILINE), (page, block)
        assert not re.search(r"\]\(|\*\*|``", re.sub(r"<[^>]*>", "", plain)), page


WRONG = {
    "nowhere.md": "nowhere.md' is not found",
    "lists.md#nowhere": "the doc 'docs/lists.md' does not contain an anchor '#nowhere'",
    "#nowhere": "there is no such anchor on this page",
    "../README.md#nowhere": "the doc 'README.md' does not contain an anchor '#nowhere'",
    "../service/nowhere.py": "the target 'service/nowhere.py' is not found",
}


def test_a_link_that_leads_nowhere_and_a_paper_that_is_not_told_of_stop_it(tmp_path: Path) -> None:
    for name in ("docs", "mkdocs.yml", ".ci/docs_site.py", *BESIDE, "benchmarks/README.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        copy: Any = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    with (tmp_path / "docs/start.md").open("a", encoding="utf-8") as paper:
        paper.writelines(f"\n[wrong]({link})\n" for link in WRONG)
    (tmp_path / "docs" / "hidden.md").write_text("# Hidden\n", encoding="utf-8")
    done = build(tmp_path, tmp_path / "site")
    assert done.returncode == 1
    wrong = [line for line in done.stderr.splitlines() if "'docs/start.md'" in line]
    assert len(wrong) == len(WRONG)
    assert [said for said in WRONG.values() if said not in "\n".join(wrong)] == []
    assert "hidden.md" in done.stderr


def test_every_decision_is_told_of_where_they_begin() -> None:
    decisions = ROOT / "docs/decisions"
    told = re.findall(r"\]\(([^)]*)\)", (decisions / "README.md").read_text(encoding="utf-8"))
    assert told == sorted(path.name for path in decisions.glob("*.md") if path.name != "README.md")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Keep what was asked out of the test's output."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a plain web server of that folder."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def look(page: Page, url: str) -> None:
    """Read the architecture's diagrams, and search for a word of the courts."""
    await page.goto(url + "docs/architecture/")
    await expect(page.locator("div.mermaid")).to_have_count(7, timeout=DEADLINE_MS)
    await page.goto(url)
    await page.get_by_role("textbox", name="Search").fill("removal lag")
    await expect(page.locator(".md-search-result__link").first).to_be_visible(timeout=DEADLINE_MS)
    await page.goto(url + "docs/start/")
    await page.get_by_role("link", name="the codes", exact=True).click()
    await expect(page).to_have_url(url + "docs/api/#post-v1check", timeout=DEADLINE_MS)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium")
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_searches_draws_and_asks_no_other_host(site: Path, scheme: Any) -> None:  # noqa: ANN401 -- a word of the browser's
    asked: list[str] = []
    errors: list[str] = []
    with served(site) as url:
        async with chromium() as browser:
            context = await browser.new_context(color_scheme=scheme)
            page = await context.new_page()
            page.on("request", lambda request: asked.append(request.url))
            page.on("pageerror", lambda error: errors.append(str(error)))
            await look(page, url)
            colour = await page.evaluate("document.body.dataset.mdColorScheme")
            await context.close()
        assert colour == {"light": "default", "dark": "slate"}[scheme]
        assert len(asked) > 10
        assert [each for each in asked if not each.startswith((url, "blob:" + url, "data:"))] == []
    assert errors == []
