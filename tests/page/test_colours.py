"""The page's colours, light and dark, stand out from each other as WCAG 2.2 asks."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.async_api import Page

    from tests.page.sites import Site


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
