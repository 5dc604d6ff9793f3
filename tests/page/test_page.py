"""The status page in a real Chromium, on a real service and a real Valkey."""

from __future__ import annotations

import asyncio
import re
import shutil
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx
import msgspec
import pytest
import uvicorn
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from service.app import create_app
from tests.servers import free_port
from tests.service.apps import ID_KEY, bearer, make_key, settings_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from roster.settings import Settings
    from tests.servers import Server

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium here: apt-get install chromium"
)

STARTED_S = 20
ANNE, BERT, CLEO = "110105180001010010", "110105181203040028", "310101185006070033"
LIST = f"""\
list,entry_id,document_type,document_number,state,from
sx,a/1,resident_id,{ANNE},,2020-01-01
sx,a/2,resident_id,{ANNE},,2020-01-01
sx,b/1,resident_id,{BERT},,2020-01-01
xgl,c/1,resident_id,{CLEO},suspended,2020-01-01
"""


class Site(msgspec.Struct):
    """A served roster, and the browser's view of it."""

    settings: Settings
    url: str
    context: BrowserContext
    page: Page
    requests: list[str] = []
    errors: list[str] = []

    async def show(self, *scopes: str) -> str:
        """Open the page with a new key of these scopes."""
        key = await make_key(self.settings, scopes or ["ops"])
        await self.page.goto(self.url)
        await self.enter(key)
        return key

    async def enter(self, key: str) -> None:
        await self.page.get_by_label("API key").fill(key)
        await self.page.get_by_role("button", name="Show").click()

    async def row(self, table: str, name: str) -> list[str]:
        """The texts of a row's cells, by the table's name and the row's."""
        row = self.page.get_by_role("table", name=table).get_by_role("row").filter(has_text=name)
        await expect(row).to_have_count(1)
        return [" ".join(text.split()) for text in await row.get_by_role("cell").all_inner_texts()]


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[str]:
    """The service's address; it runs in this process."""
    port = free_port()
    config = uvicorn.Config(
        create_app(settings), port=port, lifespan="on", ws="none", log_config=None, access_log=False
    )
    config.timeout_graceful_shutdown = 1
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    url = f"http://127.0.0.1:{port}/"
    try:
        async with asyncio.timeout(STARTED_S):
            while not await lives(url):  # noqa: ASYNC110 -- uvicorn sets no event when it listens
                await asyncio.sleep(0.02)
        yield url
    finally:
        server.should_exit = True
        await task


async def lives(url: str) -> bool:
    async with httpx.AsyncClient(base_url=url) as client:
        try:
            return (await client.get("/healthz")).is_success
        except httpx.ConnectError:
            return False


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM)
        try:
            yield browser
        finally:
            await browser.close()


async def load(server: Server, folder: Path, settings: Settings) -> None:
    """Load LIST with the command that an operator uses."""
    (folder / "list.csv").write_text(LIST)
    own = {
        "CLEARWAY_REDIS_URL": server.url,
        "CLEARWAY_DATA_DIR": str(settings.data_dir),
        "CLEARWAY_ID_KEY": ID_KEY,
    }
    command = ["-m", "clearway", "load", str(folder / "list.csv"), "--as-of", "2026-01-01"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, env=own, stderr=asyncio.subprocess.PIPE
    )
    _, told = await process.communicate()
    assert process.returncode == 0, told.decode()


@pytest.fixture
def settings(valkey: Server, tmp_path: Path) -> Settings:
    return settings_for(valkey, tmp_path / "data", required_lists="sx,xgl")


@pytest.fixture
async def bare(settings: Settings) -> AsyncIterator[Site]:
    """A site whose roster was never loaded."""
    async with serving(settings) as url, chromium() as browser:
        context = await browser.new_context(timezone_id="Asia/Shanghai")
        page = await context.new_page()
        site = Site(settings, url, context, page)
        page.on("request", lambda request: site.requests.append(request.url))
        page.on("console", lambda message: site.errors.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: site.errors.append(str(error)))
        yield site


@pytest.fixture
async def site(valkey: Server, tmp_path: Path, settings: Settings, bare: Site) -> Site:
    await load(valkey, tmp_path, settings)
    return bare


async def test_the_figures_of_a_loaded_roster_are_shown(site: Site) -> None:
    await site.show("ops")
    page = site.page
    await expect(page.get_by_role("heading", name="Ready", exact=True)).to_be_visible()
    await expect(page.locator("#counts div").first).to_have_text(re.compile("People restricted *3"))
    assert await page.locator("#counts dd").all_inner_texts() == ["3", "3", "1", "0", "0", "4"]
    sx = await site.row("Lists", "sx")
    assert sx[:3] == ["2", "3", "0"]
    assert sx[3].startswith("1 Jan 2026, 00:00")
    assert sx[4:] == ["–", "covered"]
    assert (await site.row("Lists", "xgl"))[:3] == ["1", "0", "1"]
    assert (await site.row("Lists", "bind"))[-1] == "not covered"
    assert await site.row("Removal lag", "Source") == ["–", "–", "–"]
    assert len(await site.row("Decisions so far", "rail")) == 3
    assert len(await page.locator("#processes tbody tr").all()) == 1
    await expect(page.locator("#digest")).to_have_text(re.compile("^[0-9a-f]{16}$"))
    await expect(page).to_have_title("Ready – Clearway")


async def test_the_page_asks_nobody_else_and_complains_of_nothing(site: Site) -> None:
    await site.show("ops")
    await expect(site.page.get_by_role("table", name="Lists")).to_be_visible()
    polls = site.requests.count(f"{site.url}v1/roster")
    while site.requests.count(f"{site.url}v1/roster") < polls + 2:
        await site.page.wait_for_event("request")
    assert [url for url in site.requests if not url.startswith(site.url)] == []
    assert site.errors == []


@pytest.mark.parametrize("key", ["cw_000000000000_nobody", "no key", "钥匙"])
async def test_a_wrong_key_is_told_in_words(bare: Site, key: str) -> None:
    await bare.page.goto(bare.url)
    await bare.enter(key)
    await expect(bare.page.get_by_role("alert")).to_have_text(
        "This key is unknown, expired or revoked."
    )
    await expect(bare.page.get_by_label("API key")).to_be_focused()
    await expect(bare.page.locator("#figures")).to_be_hidden()


async def test_a_key_without_the_scope_is_told_which_one(bare: Site) -> None:
    await bare.show("check")
    await expect(bare.page.get_by_role("alert")).to_have_text("This key lacks the scope “ops”.")


async def test_a_removal_shows_without_a_reload(site: Site) -> None:
    key = await site.show("ops", "list:remove")
    await expect(site.page.locator("#counts dd").first).to_have_text("3")
    change = {
        "op": "remove",
        "list": "sx",
        "entry_id": "b/1",
        "document": {"type": "resident_id", "number": BERT},
        "decided_at": "2026-01-02T00:00:00Z",
        "reason": "performed",
    }
    async with httpx.AsyncClient(base_url=site.url, headers=bearer(key)) as client:
        answer = await client.post("/v1/changes", json={"changes": [change]})
    assert answer.json()["results"][0]["outcome"] == "applied"
    await expect(site.page.locator("#counts dd").first).to_have_text("2")
    await expect(site.page.locator("#removals")).to_have_text(re.compile("^1 removal took effect"))
    assert re.search(r" (now|ago)$", (await site.row("Lists", "sx"))[4])
    source = await site.row("Removal lag", "Source")
    service = await site.row("Removal lag", "Service")
    assert all(re.fullmatch(r"\d+ d( \d+ h)?", each) for each in source)
    assert all(re.fullmatch(r"[\d.]+ ms", each) for each in service)


async def test_an_unready_service_says_why_before_any_key(bare: Site) -> None:
    await bare.page.goto(bare.url)
    state = bare.page.get_by_role("main").get_by_role("status").first
    await expect(state).to_have_attribute("aria-live", "polite")
    await expect(state).to_contain_text("Not ready")
    await expect(state).to_contain_text("not fully loaded: sx, xgl")
    await expect(bare.page.get_by_role("list", name="Conditions")).to_contain_text("covered")


async def test_a_silent_service_is_told_and_so_is_its_return(site: Site) -> None:
    await site.show("ops")
    await expect(site.page.get_by_role("table", name="Lists")).to_be_visible()
    await site.context.set_offline(offline=True)
    await expect(site.page.get_by_role("heading", name="No answer")).to_be_visible()
    await expect(site.page.locator("#because")).to_contain_text("Last heard at")
    await expect(site.page.locator("#notice")).to_contain_text("The figures below are those of")
    await expect(site.page.get_by_role("table", name="Lists")).to_be_visible()
    await site.context.set_offline(offline=False)
    await expect(site.page.get_by_role("heading", name="Ready", exact=True)).to_be_visible()
    await expect(site.page.locator("#notice")).to_be_hidden()


async def test_the_key_stays_in_its_tab_until_it_is_forgotten(site: Site) -> None:
    key = await site.show("ops")
    await expect(site.page.get_by_role("table", name="Lists")).to_be_visible()
    assert await site.page.evaluate("localStorage.length") == 0
    assert await site.context.cookies() == []
    assert all(key not in url for url in site.requests)
    await site.page.reload()
    await expect(site.page.get_by_role("table", name="Lists")).to_be_visible()
    other = await site.context.new_page()
    await other.goto(site.url)
    await expect(other.get_by_label("API key")).to_be_visible()
    await site.page.get_by_role("button", name="Forget the key").click()
    await expect(site.page.locator("#figures")).to_be_hidden()
    assert await site.page.evaluate("sessionStorage.length") == 0
    assert await site.page.locator("#lists tbody tr").count() == 0


async def test_a_narrow_screen_shows_the_same_without_scrolling_sideways(site: Site) -> None:
    await site.page.set_viewport_size({"width": 320, "height": 700})
    await site.show("ops")
    assert (await site.row("Lists", "sx"))[0].endswith("2")
    assert await site.page.evaluate("document.documentElement.scrollWidth") <= 320


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_text_stands_out_from_its_ground(bare: Site, scheme: str) -> None:
    await bare.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    await bare.page.goto(bare.url)
    grounds = ["ground", "card", "warn-ground", "bad-ground"]
    for text in ("text", "muted", "warn", "bad"):
        for ground in grounds:
            assert await contrast(bare.page, text, ground) >= 4.5, (text, ground)
    assert await contrast(bare.page, "ok", "card") >= 4.5
    assert await contrast(bare.page, "on-accent", "accent") >= 4.5


async def contrast(page: Page, text: str, ground: str) -> float:
    """The contrast of two of the page's colours (WCAG 2.2, relative luminance)."""
    lights = sorted([await luminance(page, text), await luminance(page, ground)])
    return (lights[1] + 0.05) / (lights[0] + 0.05)


async def luminance(page: Page, name: str) -> float:
    colour = await page.evaluate(
        """name => {
          const probe = document.body.appendChild(document.createElement("span"));
          probe.style.color = `var(--${name})`;
          const told = getComputedStyle(probe).color;
          probe.remove();
          return told;
        }""",
        name,
    )
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
