"""The status page in a real Chromium, on a real service and a real Valkey."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import httpx
import pytest
from playwright.async_api import expect

from loader.jobs.load_records import refused
from loader.jobs.manifest import Manifest
from loader.jobs.session import Session
from roster.times import now_ms
from tests.page.relay import through_a_relay
from tests.page.sites import BERT, load, until_ready
from tests.service.apps import bearer, make_key

if TYPE_CHECKING:
    from pathlib import Path

    from roster.settings import Settings
    from tests.page.sites import Site
    from tests.servers import Server

PATIENT_MS = 20_000
"""The page itself waits for an answer for five seconds."""


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
    for _ in range(2):  # it is told again and again
        before = await site.page.locator("#heard").inner_text()
        await expect(site.page.locator("#heard")).not_to_have_text(before)
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
    alert = bare.page.get_by_role("alert")
    await expect(alert).to_have_text("This key lacks the scope “ops:read” (or “ops”).")


async def test_a_test_key_is_told_that_it_sees_no_figures(bare: Site) -> None:
    await bare.page.goto(bare.url)
    await bare.enter(await make_key(bare.settings, ["check"], sandbox=True))
    await expect(bare.page.get_by_role("alert")).to_contain_text("This is a test key")


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
    async with through_a_relay(site) as relay:
        await site.show("ops")
        await expect(site.page.get_by_role("table", name="Lists")).to_be_visible()
        await site.context.set_offline(offline=True)
        relay.cut()  # a browser that goes offline keeps what is open
        await expect(site.page.get_by_role("heading", name="No answer")).to_be_visible()
        await expect(site.page.locator("#because")).to_contain_text("Last heard at")
        await expect(site.page.locator("#notice")).to_contain_text("The figures below are those of")
        await expect(site.page.get_by_role("table", name="Lists")).to_be_visible()
        await site.context.set_offline(offline=False)
        await expect(site.page.get_by_role("heading", name="Ready", exact=True)).to_be_visible()
        await expect(site.page.locator("#notice")).to_be_hidden()


async def test_while_redis_is_silent_the_last_figures_stay_and_say_so(
    site: Site, valkey: Server
) -> None:
    await site.show("ops")
    await expect(site.page.get_by_role("table", name="Lists")).to_be_visible()
    valkey.pause()
    try:
        await expect(site.page.get_by_role("heading", name="Ready, but degraded")).to_be_visible()
        await expect(site.page.get_by_role("list", name="Degraded")).to_contain_text("stale")
        await expect(site.page.locator("#notice")).to_contain_text(
            "No new figures.", timeout=PATIENT_MS
        )
        assert (await site.row("Lists", "sx"))[0] == "2"
    finally:
        valkey.resume()
    await expect(site.page.locator("#notice")).to_be_hidden(timeout=PATIENT_MS)
    await expect(site.page.get_by_role("heading", name="Ready", exact=True)).to_be_visible()


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


async def test_an_old_list_is_not_called_as_it_should_be_and_the_remedy_is_told(site: Site) -> None:
    await site.page.goto(site.url)
    await expect(site.page.locator("#because")).to_contain_text("How old the lists are shows")
    await site.enter(await make_key(site.settings, ["ops"]))
    told = site.page.get_by_role("list", name="Degraded")
    await expect(told).to_contain_text(
        re.compile("sx is .* days old: .* It should be 7 days old at most")
    )
    await expect(told).to_contain_text("clearway load FILE --list sx")
    await expect(site.page.locator("#because")).to_contain_text("Not as it should be")
    await expect(site.page.locator("#lists .bad")).to_have_count(2)


async def test_a_list_that_is_little_older_than_a_day_is_told_in_hours(bare: Site) -> None:
    await bare.page.goto(bare.url)
    told = await bare.page.evaluate(
        """async () => {
          const words = await import("/schema/files/words.js");
          const hours = [26, 47.9, 48, 200].map((each) => words.daysOld(each * 3_600_000));
          return [...hours, words.days(1), words.days(7)];
        }"""
    )
    assert told == ["26 hours", "47 hours", "2 days", "8 days", "1 day", "7 days"]


async def test_a_list_within_its_rhythm_is_as_it_should_be_until_its_next_file_is_refused(
    valkey: Server, tmp_path: Path, bare: Site
) -> None:
    today = datetime.now(UTC).date().isoformat()
    await load(valkey, tmp_path, bare.settings, as_of=today)
    await until_ready(bare.url)
    await bare.show("ops")
    await expect(bare.page.locator("#because")).to_contain_text("everything is as it should be")
    told = bare.page.get_by_role("list", name="Degraded")
    await expect(told).to_be_hidden()
    await asyncio.to_thread(refuse, bare.settings)
    await expect(told).to_contain_text("new.csv was refused at ", timeout=PATIENT_MS)
    await expect(told).to_contain_text(": 7 rows, not 8")
    await expect(bare.page.locator("#because")).to_contain_text("Not as it should be")


def refuse(settings: Settings) -> None:
    """Note of a file of the list `sx` that it was refused."""
    with Session(settings) as session:
        load = refused("new.csv", Manifest(lists=("sx",)), now_ms(), "7 rows, not 8", {"sx"})
        session.run(session.dictionary.open_load(load))


async def test_loads_redis_and_checks_over_time_are_shown(site: Site) -> None:
    key = await make_key(site.settings, ["check"])
    flight = {
        "document": {"type": "resident_id", "number": BERT},
        "journey": {"mode": "air"},
    }
    async with httpx.AsyncClient(base_url=site.url, headers=bearer(key)) as client:
        for _ in range(5):
            assert (await client.post("/v1/check", json=flight)).is_success
    await site.show("ops")
    latency = site.page.locator("#chart-latency")
    await expect(latency).to_contain_text(re.compile(r"p99 [\d.]+, at most"))
    await expect(latency.locator("canvas")).to_be_visible()
    sx = await site.row("Last loads", "sx")
    assert re.fullmatch(r".+@.+", sx[1])
    assert sx[2].startswith("list.csv")
    assert sx[3:7] == ["3", "0", "0", "0"]
    (server,) = await site.page.locator("#redis tbody tr").all_inner_texts()
    assert re.search(r"Valkey \d+\.\d+\.\d+\s+[\d.]+ MiB", server)
