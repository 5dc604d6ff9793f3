"""A served roster, and a real Chromium that looks at it."""

from __future__ import annotations

import asyncio
import shutil
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx
import msgspec
import uvicorn
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from roster.settings import Settings
from service.app import create_app
from tests.servers import free_port
from tests.service.apps import ID_KEY, make_key

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.servers import Server

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
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


async def lives(url: str, path: str = "/healthz") -> bool:
    async with httpx.AsyncClient(base_url=url) as client:
        try:
            return (await client.get(path)).is_success
        except httpx.ConnectError:
            return False


async def until_ready(url: str) -> None:
    """Wait until the service decides checks: within 2 s after a load."""
    async with asyncio.timeout(STARTED_S):
        while not await lives(url, "/readyz"):  # noqa: ASYNC110 -- as above
            await asyncio.sleep(0.02)


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM)
        expect.set_options(timeout=10_000)
        try:
            yield browser
        finally:
            await browser.close()


async def load(
    server: Server, folder: Path, settings: Settings, as_of: str = "2026-01-01", text: str = LIST
) -> None:
    """Load LIST, or another, with the command that an operator uses."""
    (folder / "list.csv").write_text(text)
    command = ["load", str(folder / "list.csv"), "--list", "sx", "--list", "xgl", "--as-of", as_of]
    await operate(server, settings, *command)


async def operate(server: Server, settings: Settings, *arguments: str) -> None:
    """What a command of an operator's does to the roster."""
    own = {
        "CLEARWAY_REDIS_URL": server.url,
        "CLEARWAY_DATA_DIR": str(settings.data_dir),
        "CLEARWAY_ID_KEY": ID_KEY,
    }
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "clearway", *arguments),
        env=own,
        stdout=quiet,
        stderr=asyncio.subprocess.PIPE,
    )
    _, told = await process.communicate()
    assert process.returncode == 0, told.decode()
