"""The page is told by itself, and says and mends it where it is not."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import httpx
from playwright.async_api import expect

from roster.opening import Opening
from roster.storage.api_keys import KeyStore, key_id
from service.background import live
from tests.page.relay import through_a_relay
from tests.page.sites import BERT
from tests.service.apps import bearer, make_key
from tests.service.parts import WAIT

if TYPE_CHECKING:
    import pytest

    from tests.page.sites import Site

PATIENT_MS = 20_000


def asked(site: Site, path: str) -> int:
    """How often the page has asked for this path."""
    return sum(url.partition("?")[0].endswith(path) for url in site.requests)


async def remove(site: Site, key: str, entry_id: str = "b/1") -> None:
    """Remove an entry as another client does."""
    change = {
        "op": "remove",
        "list": "sx",
        "entry_id": entry_id,
        "document": {"type": "resident_id", "number": BERT},
        "reason": "performed",
    }
    async with httpx.AsyncClient(base_url=site.url, headers=bearer(key)) as client:
        answer = await client.post("/v1/changes", json={"changes": [change]})
    assert answer.json()["results"][0]["outcome"] == "applied"


async def test_a_removal_is_told_without_being_asked_for(site: Site) -> None:
    key = await make_key(site.settings, ["list:remove"])
    await site.show("ops:read")
    people = site.page.locator("#counts dd").first
    await expect(people).to_have_text("3")
    await expect(site.page.locator("#heard")).to_have_text(re.compile("^live, heard at"))
    roster, state = asked(site, "/v1/roster"), asked(site, "/readyz")
    began_s = time.monotonic()
    await remove(site, key)
    await expect(people).to_have_text("2")
    assert time.monotonic() - began_s < 8  # a second is promised; docs/operations.md says what was
    assert (asked(site, "/v1/roster"), asked(site, "/readyz")) == (roster, state)
    assert asked(site, "/v1/live") == 1
    assert all(key not in url for url in site.requests)
    await expect(site.page.locator("#live")).to_be_hidden()
    assert site.errors == []


async def test_a_stream_that_breaks_is_told_of_and_comes_back(site: Site) -> None:
    async with through_a_relay(site) as relay:
        key = await site.show("ops:read", "list:remove")
        people = site.page.locator("#counts dd").first
        await expect(people).to_have_text("3")
        relay.refuses = True
        relay.cut()
        told = site.page.locator("#live")
        await expect(told).to_have_text(re.compile("Not live: .* asked every second.*Next try at"))
        await remove(site, key)
        await expect(people).to_have_text("2")  # by asking
        await expect(site.page.get_by_role("heading", name="Ready", exact=True)).to_be_visible()
        relay.refuses = False
        await expect(told).to_be_hidden(timeout=PATIENT_MS)
        await expect(site.page.locator("#heard")).to_contain_text("live")
        assert asked(site, "/v1/live") > 1


async def test_where_a_proxy_holds_streams_back_the_page_asks(site: Site) -> None:
    async with through_a_relay(site) as relay:
        relay.holds = True
        key = await site.show("ops:read", "list:remove")
        people = site.page.locator("#counts dd").first
        await expect(people).to_have_text("3")
        held = site.page.locator("#live")
        await expect(held).to_contain_text("nothing comes through", timeout=PATIENT_MS)
        await remove(site, key)
        await expect(people).to_have_text("2")
        relay.holds = False
        await expect(site.page.locator("#live")).to_be_hidden(timeout=PATIENT_MS)
        assert site.errors == []


async def test_where_too_many_streams_are_open_the_page_asks(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "STREAMS_A_KEY", 0)
    await site.show("ops:read")
    await expect(site.page.locator("#live")).to_contain_text("too many of these pages are open")
    await expect(site.page.locator("#counts dd").first).to_have_text("3")
    assert all("429" in each for each in site.errors)


async def test_a_key_that_is_revoked_while_it_is_told_is_refused_in_words(site: Site) -> None:
    key = await site.show("ops:read")
    await expect(site.page.locator("#heard")).to_contain_text("live")
    with Opening(site.settings) as opening:
        nodes = opening.change_nodes()
        await KeyStore(nodes, WAIT).revoke(str(key_id(key.encode())), 1)
        await nodes.close()
    await expect(site.page.get_by_role("alert")).to_contain_text("unknown, expired or revoked")
    await expect(site.page.locator("#figures")).to_be_hidden()
    await expect(site.page.locator("#live")).to_be_hidden()


async def test_a_tab_that_nobody_sees_holds_no_stream(site: Site) -> None:
    key = await site.show("ops:read")
    await expect(site.page.locator("#heard")).to_contain_text("live")
    hide = """hidden => {
      Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
      document.dispatchEvent(new Event("visibilitychange", {bubbles: true}));
    }"""
    await site.page.evaluate(hide, True)
    await open_streams(site, key, 0)
    await site.page.evaluate(hide, False)
    await open_streams(site, key, 1)


async def open_streams(site: Site, key: str, count: int) -> None:
    """Wait until there are so many."""
    line = f"\nclearway_live_streams {count}\n"
    async with httpx.AsyncClient(base_url=site.url, headers=bearer(key)) as client:
        for _ in range(200):
            if line in (await client.get("/metrics")).text:
                return
            await site.page.wait_for_timeout(50)
    raise AssertionError(line)
