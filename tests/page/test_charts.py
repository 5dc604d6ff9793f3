"""The charts: drawn in the page's colours, as wide as their place, and told in words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import httpx
from playwright.async_api import expect

from tests.page.sites import BERT
from tests.page.test_live import remove
from tests.service.apps import bearer, make_key

if TYPE_CHECKING:
    from playwright.async_api import Page

    from tests.page.sites import Site

FLIGHT = {"document": {"type": "resident_id", "number": BERT}, "journey": {"mode": "air"}}
DRAWN = """([id, name]) => new Promise(found => {
  const pen = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  pen.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(`--${name}`);
  pen.fillRect(0, 0, 1, 1);
  const wanted = pen.getImageData(0, 0, 1, 1).data.join();
  const look = () => {
    const canvas = document.querySelector(`#${id} canvas`);
    if (!canvas) return setTimeout(look, 100);
    Object.assign(pen.canvas, {width: canvas.width, height: canvas.height});
    pen.drawImage(canvas, 0, 0);
    const {data} = pen.getImageData(0, 0, canvas.width, canvas.height);
    for (let at = 0; at < data.length; at += 4) {
      if (data.subarray(at, at + 4).join() === wanted) return found(true);
    }
    setTimeout(look, 100);
  };
  look();
})"""
FITS = """id => new Promise(found => {
  const wide = element => element.getBoundingClientRect().width;
  const look = () => {
    const figure = document.getElementById(id);
    if (wide(figure.querySelector("canvas")) <= wide(figure)) return found(true);
    setTimeout(look, 100);
  };
  look();
})"""


async def is_drawn(page: Page, chart: str, *colours: str) -> None:
    """Wait until the chart has all of these colours, as they are now."""
    for each in colours:
        assert await page.evaluate(DRAWN, [chart, each])


async def test_charts_are_drawn_in_the_colours_of_the_page_and_told_in_words(site: Site) -> None:
    key = await make_key(site.settings, ["check", "list:remove"])
    async with httpx.AsyncClient(base_url=site.url, headers=bearer(key)) as client:
        for _ in range(5):
            assert (await client.post("/v1/check", json=FLIGHT)).is_success
    await remove(site, key)
    await site.show("ops:read")
    page = site.page
    await is_drawn(page, "chart-latency", "service", "source", "line")
    await is_drawn(page, "chart-lag", "service", "band")
    await page.emulate_media(color_scheme="dark")
    await is_drawn(page, "chart-latency", "service", "source", "line")
    told = page.locator("#chart-latency .told")
    latest = re.compile(r"^p50 [\d.]+, at most [\d.]+p99 [\d.]+, at most")
    await expect(told).to_have_text(latest)
    await page.locator("#chart-latency .u-over").hover()
    await expect(told).to_have_text(re.compile(r"^\d\d:\d\d:\d\dp50 ([\d.]+|–)p99 ([\d.]+|–)$"))
    await page.mouse.move(0, 0)
    await expect(told).to_have_text(latest)
    await page.locator("#chart-lag .u-over").hover()
    await expect(page.locator("#chart-lag .told")).to_have_text(re.compile(r", \d\d:\d\d"))
    await page.set_viewport_size({"width": 360, "height": 700})
    for chart in ("chart-rate", "chart-latency", "chart-lag"):
        await expect(page.locator(f"#{chart} .plot")).to_have_attribute("aria-hidden", "true")
        assert await page.evaluate(FITS, chart)
    assert site.errors == []
