"""A check alone, the same in a batch, and the same step by step have the same answer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from roster import keys
from roster.documents.check_digits import check_digit
from roster.documents.identity import Document, normalise
from service.deciding.answers import answer_of
from service.deciding.questions import query_of
from service.web.bodies import INVALID, Body
from service.web.problems import problem_of
from service.web.shapes import Check
from tests.servers import DEADLINE_S
from tests.service.rosters import AIR, LISTED, OTHER, Desk, desk, edit

if TYPE_CHECKING:
    from pathlib import Path

    from roster.storage.api_keys import ApiKey
    from tests.servers import Server

PASSPORT = {"type": "passport", "number": "K12345678", "issuer": "HKG"}
ELSEWHERE = ("110105184912310020", LISTED["number"])
"""Of people whose partitions are others than that of `OTHER`."""
CHANGING = ("decision_id", "fresh_as_of", "position")
FOR_ALL = ("fresh_as_of", "stale")

CARDS = st.builds(
    lambda area, day, order: (digits := f"{area:06}{day:08}{order:03}") + check_digit(digits),
    st.integers(110_000, 119_999),
    st.integers(18_000_101, 18_791_231),
    st.integers(0, 999),
)
SPELLED = st.one_of(
    CARDS,
    CARDS.map(lambda number: f" {number[:6]}-{number[6:].lower()}"),
    CARDS.map(lambda number: number[:6] + number[8:17]),
    st.text("0123456789XxHMEK９<-（）* ", min_size=1, max_size=24),
    st.sampled_from([LISTED["number"], "K12345678", "ｋ12345678", "H1234567801", "12345678"]),
)
TYPES = (
    *("resident_id", "resident_id", "permanent_resident_id", "hk_macao_permit", "taiwan_permit"),
    *("passport", "passport", "other"),
)
ISSUERS = ("CHN", "HKG", "MAC", "USA", "GBR", "GBD", "D", "JPN", "usa", "CHN<", "ZZZ")
DOCUMENTS = st.one_of(
    st.sampled_from([LISTED, PASSPORT, {**PASSPORT, "issuer": "CHN"}]),
    CARDS.map(lambda number: {"type": "resident_id", "number": number}),
    st.tuples(st.sampled_from(TYPES), SPELLED, st.sampled_from(ISSUERS)).map(
        lambda parts: (
            {"type": parts[0], "number": parts[1]}
            | ({"issuer": parts[2]} if parts[0] in ("passport", "other") else {})
            | ({"kind": "seaman"} if parts[0] == "other" else {})
        )
    ),
)
SEATS = st.sampled_from(["O", "M", "wz", "3", "Y", "Ｏ", "WZZ"])
JOURNEYS = st.one_of(
    st.just({"mode": "air"}),
    st.sampled_from(["2018-02-01", "2030-05-01T08:00:00+08:00", "soon"]).map(
        lambda time: {"mode": "air", "departs_at": time}
    ),
    st.tuples(
        st.sampled_from(["G101", "d3", "K9", "77", "Q5", "GG1"]),
        SEATS | st.lists(SEATS, min_size=1, max_size=3),
    ).map(lambda parts: {"mode": "rail", "train": parts[0], "seat": parts[1]}),
    st.sampled_from(["first", "third"]).map(lambda cabin: {"mode": "ship", "cabin": cabin}),
)
CHECKS = st.fixed_dictionaries(
    {"document": DOCUMENTS, "journey": JOURNEYS},
    optional={
        "name": st.sampled_from(["张三", "李四", "Zhang/San", ""]),
        "reference": st.text(st.characters(codec="utf-8"), max_size=8),
    },
)


async def step_by_step(api: Desk, key: ApiKey, check: dict[str, Any]) -> Any:  # noqa: ANN401 -- JSON
    """What the parts make of a check one after the other, with nothing done for several."""
    service = api.service
    try:
        query = query_of(Body(Check).decode(msgspec.json.encode(check)))
        subject = service.desk.traveller(query)
    except INVALID as exc:
        return plain(problem_of(exc))
    await service.desk.freshen(subject.token)
    screening = service.desk.clear(query, subject) or await service.desk.ask(query, subject)
    told = plain(
        answer_of(screening, query, service.desk.pseudonym(key.id, screening), service.lists)
    )
    return {name: each for name, each in told.items() if name not in CHANGING} | {"stale": False}


def plain(value: object) -> Any:  # noqa: ANN401 -- JSON
    return msgspec.json.decode(msgspec.json.encode(value))


def as_item(answer: dict[str, Any]) -> dict[str, Any]:
    """The answer to a single check as one of a batch is (docs/api.md, Routes)."""
    if "decision" not in answer:
        return {"error": answer}
    empty = [name for name in ("reasons", "allowed_instead") if not answer[name]]
    return {n: each for n, each in answer.items() if n not in (*empty, *FOR_ALL, *CHANGING)}


async def compare(api: Desk, key: ApiKey, checks: list[dict[str, Any]]) -> None:
    answers = [(await api.client.post("/v1/check", json=check)).json() for check in checks]
    batch = await api.post("/v1/check/batch", {"items": checks})
    for check, answer, item in zip(checks, answers, batch["results"], strict=True):
        kept = {name: each for name, each in answer.items() if name not in CHANGING}
        assert kept == await step_by_step(api, key, check)
        if "decision" in answer:
            assert ("position" in item) == (answer["decision"] != "allow" or "reasons" in item)
        assert {n: each for n, each in item.items() if n not in CHANGING} == as_item(answer)
    told = [item.get("decision", "error") for item in batch["results"]]
    assert batch["counts"] == {n: told.count(n) for n in ("allow", "deny", "refer", "error")}


async def begin(api: Desk) -> ApiKey:
    """The key that the client calls with; the two of above are on list sx."""
    entry = {"name": "张三", "from": "2018-03-01"}
    puts = [
        edit("put", entry=entry),
        edit("put", document=PASSPORT, entry=entry, entry_id="e/2"),
    ]
    await api.change(*puts, wait="all")
    header = api.client.headers["authorization"].encode()
    return await api.service.access.authorise(header)


async def host(
    server: Server, folder: Path, begun: asyncio.Future[Desk], end: asyncio.Event
) -> None:
    patient = {"redis_timeout_ms": "5000", "fresh_ms": "4000"}  # a busy machine refers nobody
    async with desk(server, folder, **patient) as api:
        begun.set_result(api)
        await end.wait()


def test_alone_or_in_a_batch_a_check_has_one_answer(valkey: Server, tmp_path: Path) -> None:
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        begun, end = loop.create_future(), asyncio.Event()
        hosting = loop.create_task(host(valkey, tmp_path, begun, end))
        api = loop.run_until_complete(begun)
        key = runner.run(begin(api))

        @settings(suppress_health_check=list(HealthCheck), deadline=None, max_examples=60)
        @given(
            st.lists(CHECKS, min_size=1, max_size=2) | st.lists(CHECKS, min_size=30, max_size=36)
        )
        def ask(checks: list[dict[str, Any]]) -> None:
            runner.run(compare(api, key, checks))

        try:
            ask()
        finally:
            end.set()
            loop.run_until_complete(hosting)


async def test_nobody_of_a_rewound_partition_is_cleared_alone_or_in_a_batch(
    valkey: Server, tmp_path: Path
) -> None:
    async with desk(valkey, tmp_path) as api:
        document = Document("resident_id", OTHER["number"])
        token = api.service.desk.tokeniser.token(normalise(document).number)
        assert (await api.check(OTHER))["decision"] == "allow"
        with valkey.client() as link:
            link.hset(keys.META[token[1]], "rewound", 1)
        async with asyncio.timeout(DEADLINE_S):
            while (await api.check(OTHER))["decision"] == "allow":
                pass
        items = [{"document": OTHER}, *({"document": {**OTHER, "number": n}} for n in ELSEWHERE)]
        batch = await api.post("/v1/check/batch", {"items": items, "journey": AIR})
        first, *others = (item["decision"] for item in batch["results"])
        assert (first, set(others)) == ("refer", {"allow"})
        assert batch["results"][0]["reasons"][0]["code"] == "rewound"
