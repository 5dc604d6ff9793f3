"""Every state of the page, in both languages, light and dark, wide and on a phone.

`PAGE_PICTURES=FOLDER` has all pictures of it taken into that folder, to be looked at.
"""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import httpx
import pytest
from playwright.async_api import expect

from tests.page.sites import CLEO, load, operate, until_ready
from tests.page.test_accessible import faults
from tests.service.apps import bearer, make_key

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Page

    from roster.settings import Settings
    from tests.page.sites import Site
    from tests.servers import Server

WIDE, PHONE = 1280, 360
COURT = "上海市黄浦区人民法院"
FLIGHT = {"document": {"type": "resident_id", "number": CLEO}, "journey": {"mode": "air"}}
PATIENT_MS = 20_000
CLIPPED = """() => [...document.querySelectorAll("main *, header *, footer *, dialog[open] *")]
  .filter(each => each.checkVisibility() && !each.closest("thead, .plot, .tracks, .axis"))
  .filter(each => {
    const {left, right} = each.getBoundingClientRect();
    return left < -1 || right > innerWidth + 1 || (each.scrollWidth > each.clientWidth + 1
      && getComputedStyle(each).overflowX !== "visible");
  })
  .map(each => `${each.tagName} ${each.id} ${each.textContent.slice(0, 60)}`)"""


class Look(NamedTuple):
    """How the page is looked at."""

    scheme: Literal["light", "dark"]
    width: int


LOOKS = {"en": Look("light", WIDE), "zh": Look("dark", PHONE)}
ALL_LOOKS = [
    *(Look("light", width) for width in (WIDE, PHONE)),
    *(Look("dark", width) for width in (WIDE, PHONE)),
]


class View(NamedTuple):
    """An open page, in one language, and what its console has said."""

    lang: str
    page: Page
    errors: list[str]

    async def look(self, state: str, folder: Path) -> None:
        """Look at it in each way, take pictures, and find nothing to object to."""
        wanted = os.environ.get("PAGE_PICTURES")
        for look in ALL_LOOKS if wanted else [LOOKS[self.lang]]:
            await self.page.emulate_media(color_scheme=look.scheme)
            await self.page.set_viewport_size({"width": look.width, "height": 900})
            name = f"{state}-{self.lang}-{look.scheme}-{look.width}"
            path = Path(wanted or folder) / f"{name}.png"
            await self.page.screenshot(path=path, full_page=True)
            assert await self.page.evaluate("document.documentElement.scrollWidth") <= look.width
            assert (name, await self.page.evaluate(CLIPPED)) == (name, [])
            assert (name, await faults(self.page)) == (name, "")


@asynccontextmanager
async def viewed(site: Site, lang: str) -> AsyncIterator[View]:
    browser = site.context.browser
    assert browser is not None
    context = await browser.new_context(
        locale={"en": "en-GB", "zh": "zh-CN"}[lang], timezone_id="Asia/Shanghai"
    )
    page, errors = await context.new_page(), list[str]()
    page.on("console", lambda message: errors.append(message.text))
    page.on("pageerror", lambda error: errors.append(str(error)))
    await page.goto(site.url)
    yield View(lang, page, errors)
    await context.close()


class Story:
    """The states, one after the other, in pages that stay open."""

    def __init__(self, site: Site, views: list[View], folder: Path) -> None:
        self.site = site
        self.views = views
        self.folder = folder

    async def is_told(self, state: str, en: list[str], zh: list[str]) -> None:
        """Both pages say this, and can be looked at."""
        for view in self.views:
            for text in {"en": en, "zh": zh}[view.lang]:
                await expect(view.page.locator("body")).to_contain_text(
                    text, timeout=PATIENT_MS, use_inner_text=True
                )
            await view.look(state, self.folder)

    async def enter(self, key: str) -> None:
        for view in self.views:
            await view.page.locator("#key").fill(key)
            await view.page.locator("#show").click()
            await expect(view.page.locator("#figures")).to_be_visible()


@pytest.mark.timeout(600)
async def test_each_state_is_told_with_its_remedy_and_looks_well(
    valkey: Server, tmp_path: Path, settings: Settings, bare: Site
) -> None:
    async with viewed(bare, "en") as english, viewed(bare, "zh") as chinese:
        story = Story(bare, [english, chinese], tmp_path)
        await story.is_told(
            "unloaded",
            ["Not ready", "not fully loaded: sx, xgl", "clearway load FILE --list LIST"],
            ["未就绪", "尚未完整载入：sx、xgl", "clearway load FILE --list LIST"],
        )
        await load(valkey, tmp_path, settings)
        await until_ready(bare.url)
        await story.is_told("no-key", ["shows with a key"], ["输入密钥后"])
        key = await make_key(
            settings, ["ops:read", "list:read", "list:remove", "check", "list:add"]
        )
        await story.enter(key)
        await story.is_told(
            "old",
            ["sx is ", "It should be 7 days old at most", "clearway load FILE --list sx"],
            ["sx 已有", "应不超过 7 天", "clearway load FILE --list sx"],
        )
        await load(valkey, tmp_path, settings, as_of=datetime.now(UTC).date().isoformat())
        await story.is_told("well", ["everything is as it should be"], ["一切正常"])
        await deny_late(bare, key)
        await story.is_told("late", [COURT], [COURT])
        valkey.pause()
        try:
            await story.is_told(
                "paused",
                ["No recent news from Redis", "See whether Redis runs", "Redis does not answer"],
                ["近期未收到 Redis 消息", "请检查 Redis 是否运行", "Redis 没有应答"],
            )
        finally:
            valkey.resume()
        await story.is_told("back", ["everything is as it should be"], ["一切正常"])
        await operate(valkey, settings, "restored")
        await story.is_told(
            "rewound",
            ["Redis is behind what was known before", "clearway accept --reason R"],
            ["Redis 的数据早于此前已知状态", "clearway accept --reason R"],
        )
        valkey.empty()
        await story.is_told(
            "emptied",
            ["Not ready", "not fully loaded: sx, xgl", "restore its backup first"],
            ["未就绪", "尚未完整载入：sx、xgl", "请先恢复其备份"],
        )
        for view in story.views:
            assert [each for each in view.errors if "503" not in each] == []


async def deny_late(site: Site, key: str) -> None:
    """Deny somebody between the decision to remove the entry and its removal."""
    entry = {
        "list": "sx",
        "entry_id": "d/1",
        "document": {"type": "resident_id", "number": CLEO},
    }
    put = {"op": "put", "revision": 1, **entry, "entry": {"from": "2020-01-01", "court": COURT}}
    async with httpx.AsyncClient(base_url=site.url, headers=bearer(key)) as client:

        async def change(change: dict[str, object]) -> None:
            answer = await client.post("/v1/changes", json={"changes": [change], "wait": "all"})
            assert answer.json()["results"][0]["outcome"] == "applied", answer.text

        await change({**put, "revision": int(datetime.now(UTC).timestamp() * 1000)})
        decided_at = datetime.now(UTC).isoformat()
        assert (await client.post("/v1/check", json=FLIGHT)).json()["decision"] == "deny"
        await change({"op": "remove", **entry, "decided_at": decided_at, "reason": "performed"})
