"""The page in English and Chinese: whole in both, by what the browser says and by the switch."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, get_args

import pytest
from playwright.async_api import expect

from roster.documents.doubts import DoubtCode
from roster.records.entry import CANARY
from roster.redis.requirements import ServerFacts, unfit
from roster.rules.lists import load_lists
from service.commands.desk_texts import REASONS
from service.routes.ops import NAMES
from service.routes.pages import FOLDER, preferred
from tests.service.apps import running
from tests.source import ROOT

if TYPE_CHECKING:
    from roster.settings import Settings
    from tests.page.sites import Site

WORST = ServerFacts(
    valkey=False, version=(6, 0, 0), aof=False, appendfsync="", maxmemory_policy="",
    listpack_entries=1, listpack_value_bytes=1, min_replicas=0, min_replicas_max_lag_s=0,
    replicas=0, full=True, full_coverage=True,
)  # fmt: skip


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "en"),
        ("de", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("en-GB,en;q=0.9,zh;q=0.8", "en"),
        ("fr, en;q=0.2, zh-Hant;q=0.7", "zh"),
        ("zh;q=0, en;q=0.1", "en"),
        ("zh;q=much, *", "zh"),
    ],
)
def test_the_language_is_the_one_that_the_browser_likes_best(accepted: str, language: str) -> None:
    assert preferred(accepted) == language


async def texts(site: Site, lang: str) -> dict[str, Any]:
    """The page's texts by their names, with those of lists of texts by place."""
    found: dict[str, Any] = await site.page.evaluate(
        """async lang => {
          const flat = (texts, before) => Object.entries(texts).flatMap(([name, text]) =>
            typeof text === "string" ? [[before + name, text]] : flat(text, `${before}${name}.`));
          return Object.fromEntries(flat((await import(`/schema/files/${lang}.js`)).default, ""));
        }""",
        lang,
    )
    return found


async def test_both_languages_have_every_text_and_the_same_values_in_it(bare: Site) -> None:
    await bare.page.goto(bare.url)
    english, chinese = await texts(bare, "en"), await texts(bare, "zh")
    assert english.keys() == chinese.keys()
    value = re.compile(r"\{\w+\}|`[^`]*`")
    wrong = [
        name
        for name in english
        if set(value.findall(english[name])) != set(value.findall(chinese[name]))
    ]
    assert wrong == []
    spoken = [name for name, text in chinese.items() if not re.search("[\u4e00-\u9fff]", text)]
    assert set(spoken) <= {"other_language", "redis.title", "lag.p99", "degraded.memory_policy.1",
                           "degraded.full_coverage.1", "lag.point", "between.names",
                           "between.faults"}  # fmt: skip
    await said_are_there(english, chinese)


async def said_are_there(english: dict[str, Any], chinese: dict[str, Any]) -> None:
    """Every text that the page asks for is there, each degraded name, and each condition.

    Reasons are called in Chinese as the commands call them.
    """
    code = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.*s")}
    code["index.html"] = (FOLDER / "index.html").read_text(encoding="utf-8")
    asked = {
        name
        for text in code.values()
        for name in re.findall(r'\bt\("([\w.]+)"|data-(?:t|name)="([\w.]+)"', text)
        for name in name
        if name
    }
    assert asked - english.keys() == set()
    ops = (ROOT / "service/routes/ops.py").read_text(encoding="utf-8")
    for lang, told in (("en", english), ("zh", chinese)):
        assert {code for code in REASONS if f"reasons.{code}" not in told} == set(), lang
    assert {code: chinese[f"reasons.{code}"] for code in REASONS} == {
        code: text.zh for code, text in REASONS.items()
    }
    assert {f"desk.doubt_{code}" for code in get_args(DoubtCode)} <= english.keys()
    titles = {f"titles.{rule.title}" for rule in load_lists(None).all if rule.code != CANARY}
    assert titles <= english.keys()
    degraded = {*unfit(WORST), *NAMES}
    assert {name for name in degraded if f"degraded.{name}.1" not in english} == set()
    conditions = set(re.findall(r'^        "(\w+)": _condition\(', ops, re.MULTILINE))
    assert len(conditions) > 4
    assert {name for name in conditions if f"conditions.{name}.2" not in english} == set()


async def test_the_switch_leads_to_the_other_language_and_keeps_the_key(site: Site) -> None:
    await site.show("ops")
    await expect(site.page.get_by_role("table", name="Lists")).to_be_visible()
    await site.page.get_by_role("link", name="中文").click()
    await expect(site.page.locator("html")).to_have_attribute("lang", "zh-CN")
    await expect(site.page.get_by_role("table", name="名单")).to_be_visible()
    await expect(site.page.get_by_role("heading", name="就绪")).to_be_visible()
    await site.page.get_by_role("link", name="English").click()
    await expect(site.page.get_by_role("heading", name="Ready", exact=True)).to_be_visible()
    await expect(site.page.locator("#degraded")).to_contain_text("sx is")
    assert site.errors == []


async def test_the_page_says_which_language_it_is_in(settings: Settings) -> None:
    async with running(settings) as client:
        answer = await client.get("/", headers={"accept-language": "zh-CN"})
        assert '<html lang="zh-CN">' in answer.text
        assert answer.headers["content-language"] == "zh-CN"
        assert "accept-language" in answer.headers["vary"]
        answer = await client.get("/?lang=en", headers={"accept-language": "zh-CN"})
        assert '<html lang="en">' in answer.text
