"""Sites for the page's tests; without a Chromium they are skipped."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.page.sites import CHROMIUM, Site, chromium, load, serving, until_ready
from tests.service.apps import settings_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from roster.settings import Settings
    from tests.servers import Server


@pytest.fixture(autouse=True)
def _needs_chromium() -> None:
    if CHROMIUM is None:
        pytest.skip("no Chromium here: apt-get install chromium")


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
    await until_ready(bare.url)
    return bare
