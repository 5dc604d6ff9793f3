"""The page of the API: readable in light and dark, wide and on a phone, and quiet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import expect

from tests.page.test_colours import luminance

if TYPE_CHECKING:
    from playwright.async_api import Page

    from tests.page.sites import Site

READABLE = {"runOnly": ["color-contrast"]}
GROUND = """() => {
  const told = getComputedStyle(document.documentElement).backgroundColor;
  document.documentElement.style.setProperty("--seen", told === "rgba(0, 0, 0, 0)" ? "#fff" : told);
}"""

AT_REST = """async () => {
  await new Promise(requestAnimationFrame);
  await Promise.allSettled(document.getAnimations().map(each => each.finished));
}"""


async def test_the_api_can_be_read_in_light_and_dark_and_on_a_phone(bare: Site) -> None:
    page = bare.page
    await page.set_viewport_size({"width": 360, "height": 800})
    await page.emulate_media(color_scheme="light")
    await page.goto(f"{bare.url}schema")
    await page.locator("#operations-checks-check .opblock-summary-control").click()
    await page.locator("#operations-operations-follow_figures .opblock-summary-control").click()
    await expect(page.locator(".opblock-body .responses-table")).to_have_count(2)
    assert await ground(page) > 0.9
    assert await unreadable(page) == ""
    assert await page.evaluate("document.documentElement.scrollWidth") <= 360
    await page.emulate_media(color_scheme="dark")
    await expect(page.locator("html.dark-mode")).to_have_count(1)
    assert await ground(page) < 0.1
    assert await unreadable(page) == ""
    assert [url for url in bare.requests if not url.startswith(bare.url)] == []
    assert bare.errors == []


async def ground(page: Page) -> float:
    """How light the page's ground is."""
    await page.evaluate(GROUND)
    return await luminance(page, "seen")


async def unreadable(page: Page) -> str:
    """What stands out too little from its ground, or nothing; colours have come to rest."""
    await page.evaluate(AT_REST)
    found = await Axe().run(page, options=READABLE)
    nodes = [node for each in found.response["violations"] for node in each["nodes"]]
    return "\n".join(f"{node['target'][0]}: {node['any'][0]['message']}" for node in nodes)
