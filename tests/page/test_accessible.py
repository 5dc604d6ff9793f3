"""Axe finds nothing to object to, in any state of the page, in both languages and schemes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import expect

from tests.page.sites import ANNE
from tests.service.apps import make_key

if TYPE_CHECKING:
    from playwright.async_api import Page

    from tests.page.sites import Site
    from tests.servers import Server

PATIENT_MS = 20_000
DESK = ("ops", "list:read", "list:remove")


async def faults(page: Page) -> str:
    """What axe objects to, or nothing."""
    found = await Axe().run(page)
    return str(found.generate_report()) if found.violations_count else ""


@pytest.mark.parametrize(("lang", "scheme"), [("en", "light"), ("zh", "dark")])
async def test_axe_finds_nothing_in_any_state(
    site: Site, valkey: Server, lang: str, scheme: Literal["light", "dark"]
) -> None:
    page = site.page
    await page.emulate_media(color_scheme=scheme)
    await page.goto(f"{site.url}?lang={lang}")
    await expect(page.locator("#state[data-tone=ok]")).to_be_visible()
    assert await faults(page) == ""
    await page.locator("#key").fill(await make_key(site.settings, DESK))
    await page.locator("#show").click()
    await expect(page.locator("#chart-rate canvas")).to_be_visible()
    await expect(page.locator("#degraded")).to_contain_text("sx")
    await page.locator("#number").fill(ANNE)
    await page.locator("#desk-form button").first.click()
    await expect(page.locator(".entry")).to_have_count(2)
    await page.locator("summary").first.click()
    assert await faults(page) == ""
    await page.locator(".actions button").first.click()
    await expect(page.locator("#confirm")).to_be_visible()
    assert await faults(page) == ""
    await page.locator("#confirm-no").click()
    await page.set_viewport_size({"width": 360, "height": 700})
    assert await faults(page) == ""
    valkey.pause()
    try:
        await expect(page.locator("#notice")).to_be_visible(timeout=PATIENT_MS)
        assert await faults(page) == ""
    finally:
        valkey.resume()
    assert site.errors == [each for each in site.errors if "503" in each]


async def test_all_of_it_can_be_reached_and_done_with_the_keyboard(site: Site) -> None:
    page = site.page
    await site.show(*DESK)
    await expect(page.locator("#figures")).to_be_visible()
    await page.locator("#type").focus()
    await page.keyboard.press("Tab")
    await page.keyboard.type(ANNE)
    await page.keyboard.press("Enter")
    await expect(page.locator(".entry")).to_have_count(2)
    for _ in range(4):  # the name, find, clear, the first entry's first button
        await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("dialog")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_be_hidden()
    await expect(page.locator(".actions button").first).to_be_focused()
