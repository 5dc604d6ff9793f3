"""The desk on the page: what is found, what may be done, and that nothing of a person is left."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import httpx
from playwright.async_api import expect

from tests.page.sites import ANNE, BERT, LIST, load, operate

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.async_api import Locator, Route

    from roster.settings import Settings
    from tests.page.sites import Site
    from tests.servers import Server

ALL = ("list:read", "list:remove", "list:add")
NOBODY = "110105180001010037"


async def find(site: Site, number: str) -> Locator:
    """The entries that are shown for a document."""
    await site.page.get_by_label("Number").fill(number)
    await site.page.get_by_role("button", name="Find").click()
    await expect(site.page.locator("#told")).to_have_text(re.compile("entry|entries"))
    return site.page.locator(".entry")


async def do(site: Site, entry: Locator, op: str, reason: str) -> None:
    """Do it, as the desk asks for it."""
    await entry.get_by_role("button", name=op).click()
    dialog = site.page.get_by_role("dialog")
    await dialog.get_by_label("Reason").select_option(label=reason)
    await dialog.get_by_role("button", name=f"Yes, {op.lower()}").click()
    await expect(site.page.locator("#outcome")).to_contain_text("Done")


async def test_an_entry_is_suspended_resumed_and_removed_and_its_history_told(site: Site) -> None:
    await site.show(*ALL)
    page = site.page
    await expect(page.locator("#figures")).to_be_hidden()
    entries = await find(site, BERT)
    await expect(entries).to_have_count(1)
    await expect(entries).to_contain_text("b/1")
    await expect(entries.locator("dt").filter(has_text="Binds")).to_have_count(1)
    await do(site, entries, "Suspend", "a dispute is open")
    await expect(entries.locator(".badge")).to_have_text("suspended")
    await do(site, entries, "Resume", "under review")
    await expect(entries.locator(".badge")).to_have_text("active")
    await do(site, entries, "Remove", "performed")
    await expect(entries.locator(".badge")).to_have_text("removed")
    await expect(entries.locator("dt").filter(has_text="Binds")).to_have_count(0)
    await expect(site.page.locator("#outcome")).to_contain_text(
        "Under this document nothing binds now."
    )
    await expect(entries.get_by_role("button")).to_have_count(0)
    await entries.get_by_text("History").click()
    events = await entries.get_by_role("listitem").all_inner_texts()
    told = [re.sub(r"^.*? · ", "", event) for event in events]
    assert told[-3:] == [
        "suspend · a dispute is open · key test",
        "resume · under review · key test",
        "remove · performed · key test",
    ]
    assert site.errors == []


async def test_nothing_is_done_without_a_reason_or_after_a_no(site: Site) -> None:
    await site.show(*ALL)
    entries = await find(site, BERT)
    dialog = site.page.get_by_role("dialog")
    await entries.get_by_role("button", name="Remove").click()
    await expect(dialog).to_contain_text(f"{BERT[:6]} {BERT[6:10]} {BERT[10:14]} {BERT[14:]}")
    await dialog.get_by_role("button", name="Yes, remove").click()
    await expect(dialog).to_be_visible()
    await dialog.get_by_role("button", name="No, leave it").click()
    await expect(dialog).to_be_hidden()
    assert not [url for url in site.requests if url.endswith("/v1/changes")]
    await expect((await find(site, BERT)).locator(".badge")).to_have_text("active")


async def test_what_the_key_may_not_do_and_what_is_not_there_are_told_in_words(site: Site) -> None:
    await site.show("ops", "list:read", "list:remove@xgl")
    await expect(site.page.get_by_role("table", name="Lists")).to_be_visible()
    entries = await find(site, ANNE)
    await expect(entries).to_have_count(2)
    remove = entries.first.get_by_role("button", name="Remove")
    await expect(remove).to_be_disabled()
    await expect(remove).to_have_attribute("title", re.compile("list:remove"))
    await find(site, NOBODY)
    await expect(site.page.locator("#told")).to_have_text(
        "No entry of this document. 2 lists are loaded."
    )
    await site.page.get_by_label("Document").select_option("passport")
    await site.page.get_by_label("Issued by").fill("??")
    await site.page.get_by_role("button", name="Find").click()
    await expect(site.page.locator("#told")).to_contain_text("document.issuer")


async def test_who_may_only_read_entries_is_told_how_many_lists_are_loaded(site: Site) -> None:
    await site.show("list:read")
    await find(site, NOBODY)
    await expect(site.page.locator("#told")).to_have_text(
        "No entry of this document. 2 lists are loaded."
    )
    assert f"{site.url}v1/roster" not in site.requests
    assert site.errors == []


async def test_nothing_of_a_person_is_left_anywhere(site: Site) -> None:
    await site.show("ops", *ALL)
    page = site.page
    await find(site, ANNE)
    kept = await page.evaluate("JSON.stringify([{...sessionStorage}, {...localStorage}])")
    told = [*site.requests, *site.errors, page.url, await page.title(), kept]
    assert not [each for each in told if ANNE in each]
    await page.get_by_role("button", name="Clear").click()
    await expect(page.get_by_label("Number")).to_have_value("")
    assert ANNE[6:14] not in await page.content()
    await find(site, ANNE)
    await page.get_by_role("button", name="Forget the key").click()
    await expect(page.locator("#desk")).to_be_hidden()
    assert "a/1" not in await page.content()
    assert await page.evaluate("document.getElementById('number').value") == ""


async def test_who_is_not_free_after_a_removal_is_told_what_still_binds(site: Site) -> None:
    await site.show(*ALL)
    entries = await find(site, ANNE)
    first = entries.filter(has_text="a/1")
    await do(site, first, "Suspend", "a dispute is open")
    outcome = site.page.locator("#outcome")
    await expect(outcome).to_contain_text("1 entry still binds this person: sx a/2.")
    await do(site, entries.filter(has_text="a/2"), "Remove", "performed")
    await expect(outcome).to_contain_text(
        "Under this document nothing binds now. Not now, but could again"
    )
    await expect(outcome).to_contain_text("sx a/1")


async def test_no_entry_stands_under_another_number_than_its_own(site: Site) -> None:
    await site.show("ops", *ALL)
    page = site.page
    entries = await find(site, ANNE)
    await page.get_by_label("Number").fill(BERT)
    await expect(entries).to_have_count(0)
    await expect(page.locator("#told")).to_have_text("")
    await find(site, ANNE)
    await page.get_by_label("Document").select_option("passport")
    await expect(entries).to_have_count(0)
    await page.get_by_label("Issued by").fill("GBR")
    await page.get_by_role("button", name="Find").click()
    await expect(page.locator("#told")).to_contain_text("No entry of this document.")
    await page.get_by_label("Issued by").fill("FRA")
    await expect(page.locator("#told")).to_have_text("")
    assert site.errors == []


async def test_what_was_done_is_told_with_its_entry_also_when_another_number_is_typed(
    site: Site,
) -> None:
    await site.show(*ALL)
    page = site.page
    released = asyncio.Event()

    async def held(route: Route) -> None:
        await released.wait()
        await route.continue_()

    await page.route("**/v1/changes", held)
    entries = await find(site, BERT)
    await entries.get_by_role("button", name="Remove").click()
    await page.get_by_label("Reason").select_option("settled")
    await page.get_by_role("button", name="Yes, remove").click()
    await page.get_by_label("Number").fill(ANNE)
    released.set()
    await expect(page.locator("#outcome")).to_contain_text("Done: remove sx b/1.")
    await expect(entries).to_have_count(0)
    assert site.errors == []


async def test_an_entry_that_a_file_has_ended_is_put_back_by_an_undo_or_removed_for_good(
    valkey: Server, tmp_path: Path, settings: Settings, site: Site
) -> None:
    await load(valkey, tmp_path, settings, "2026-01-02", without(BERT))
    await operate(valkey, settings, "undo", "2")
    await site.show(*ALL)
    entries = await find(site, BERT)
    await expect(entries.locator(".facts")).to_contain_text("put back by undo of load 2")
    await entries.get_by_text("History").click()
    await expect(entries.locator("ol")).to_contain_text("put back by undo of load 2")
    assert "entered in error" not in await entries.inner_text()
    await load(valkey, tmp_path, settings, "2026-01-03", without(BERT))
    entries = await find(site, BERT)
    await expect(entries.locator(".badge")).to_have_text("absent")
    await expect(entries).to_contain_text("the next could bring it back")
    await expect(entries.locator("dt").filter(has_text="Binds")).to_have_count(0)
    await do(site, entries, "Remove", "performed")
    await load(valkey, tmp_path, settings, "2026-01-04")
    await expect((await find(site, BERT)).locator(".badge")).to_have_text("removed")


def without(number: str) -> str:
    """LIST as a file has it that lacks this person."""
    return "".join(line for line in LIST.splitlines(keepends=True) if number not in line)


DOUBTS = {
    NOBODY[:-1]: "This number cannot be valid: 17 characters; a resident ID has 18.",
    NOBODY[:-1] + "5": "This number cannot be valid: the check digit would be 7.",
    NOBODY.replace("0", "O", 1): "This number cannot be valid: a digit belongs in place 3.",
    NOBODY + "8": "This number cannot be valid: 19 characters; a resident ID has 18.",
}


async def test_a_number_that_can_be_nobodys_is_told_before_anything_and_in_red(site: Site) -> None:
    await site.show(*ALL)
    page = site.page
    for typed, said in DOUBTS.items():
        await page.get_by_label("Number").fill(typed)
        await page.get_by_role("button", name="Find").click()
        await expect(page.locator("#told > .bad")).to_contain_text(said)
        told = await page.locator("#told").inner_text()
        assert told.startswith(said)
        assert "No entry of this document. 2 lists are loaded." in told
    await page.get_by_label("Document").select_option("taiwan_permit")
    await page.get_by_label("Number").fill(BERT)
    await page.get_by_role("button", name="Find").click()
    said = "This is the number of a resident ID: choose that document."
    await expect(page.locator("#told > .bad")).to_contain_text(said)
    assert site.errors == []


async def test_whether_the_name_is_the_entrys_is_told_before_anything_is_done(site: Site) -> None:
    key = await site.show(*ALL)
    page = site.page
    put = {
        "op": "put",
        "list": "sx",
        "entry_id": "n/1",
        "revision": 1_770_000_000_000,
        "document": {"type": "resident_id", "number": NOBODY},
        "entry": {"name": "张某某"},
    }
    async with httpx.AsyncClient(base_url=site.url) as client:
        headers = {"authorization": f"Bearer {key}"}
        answer = await client.post("v1/changes", json={"changes": [put]}, headers=headers)
        assert answer.json()["results"][0]["outcome"] == "applied"
    await page.get_by_label("Name").fill("李某某")
    entries = await find(site, NOBODY)
    await expect(entries.locator(".facts")).to_contain_text("is not the entry’s")
    for op in ("Remove", "Suspend"):
        button = entries.get_by_role("button", name=op)
        await expect(button).to_be_disabled()
        await expect(button).to_have_attribute("title", re.compile("type number and name again"))
    await expect(entries.locator(".actions")).to_contain_text("type number and name again")
    await page.get_by_label("Name").fill("张某某")
    await expect(entries).to_have_count(0)
    await page.get_by_role("button", name="Find").click()
    await expect(entries.locator(".facts")).to_contain_text("is the entry’s")
    await expect(entries.get_by_role("button", name="Remove")).to_be_enabled()
    await page.get_by_role("button", name="Clear").click()
    assert await page.get_by_label("Name").input_value() == ""
    assert site.errors == []
