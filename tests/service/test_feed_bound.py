"""Whoever was refused by one of several bound documents hears of a change through any of them."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.service.apps import bearer, make_key
from tests.service.rosters import LISTED, OTHER, PASSPORT, Desk, desk, edit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from roster.storage.store import Store
    from tests.servers import Server


def document(number: int) -> dict[str, str]:
    return {"type": "passport", "issuer": "FRA", "number": f"T{number:08d}"}


def binding(op: str, revision: int, *documents: Any, entry_id: str = "b") -> dict[str, Any]:  # noqa: ANN401 -- JSON
    return {"op": op, "entry_id": entry_id, "revision": revision, "documents": list(documents)}


class Carrier:
    """One that may check and read the feed; `api` is the maintainers' desk."""

    def __init__(self, api: Desk, headers: dict[str, str]) -> None:
        self.api = api
        self._headers = headers
        self._position = ""

    async def get(self, **query: Any) -> Any:  # noqa: ANN401 -- JSON
        answer = await self.api.client.get("/v1/changes", params=query, headers=self._headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def start(self) -> None:
        self._position = (await self.get(after="now"))["position"]

    async def told(self) -> list[str]:
        """The pseudonyms of all changes since the last time."""
        found: list[str] = []
        while (page := await self.get(after=self._position, limit=7))["changes"]:
            found += [change["subject"] for change in page["changes"]]
            self._position = page["position"]
        return found

    async def refused(self, asked: Any) -> str:  # noqa: ANN401 -- JSON
        body = {"document": asked, "journey": {"mode": "air"}}
        answer = (await self.api.client.post("/v1/check", json=body, headers=self._headers)).json()
        assert answer["decision"] == "deny"
        return str(answer["subject"])


class Counted:
    """A store that notes how many records are looked up."""

    def __init__(self, store: Store, asked: list[int]) -> None:
        self._store = store
        self._asked = asked

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 -- the store's own
        return getattr(self._store, name)

    async def lookup(self, *given: Any) -> Any:  # noqa: ANN401 -- the store's own
        self._asked.append(len(given[0]))
        return await self._store.lookup(*given)


@asynccontextmanager
async def carrier(server: Server, folder: Path) -> AsyncIterator[Carrier]:
    async with desk(server, folder) as api:
        key = await make_key(api.service.settings, ["check", "feed"])
        yield Carrier(api, bearer(key))


async def test_who_was_refused_by_one_document_hears_of_a_change_of_another(
    valkey: Server, tmp_path: Path
) -> None:
    async with carrier(valkey, tmp_path) as one:
        await one.api.change(edit("put"), binding("bind", 5, LISTED, PASSPORT), wait="all")
        listed, passport = await one.refused(LISTED), await one.refused(PASSPORT)
        await one.start()
        await one.api.change(edit("remove", 11))
        assert await one.told() == [listed, passport]


async def test_bindings_are_told_to_all_and_followed_to_their_end(
    valkey: Server, tmp_path: Path
) -> None:
    async with carrier(valkey, tmp_path) as one:
        await one.start()
        await one.api.change(edit("put"), binding("bind", 5, LISTED, PASSPORT))
        await one.api.change(binding("bind", 5, PASSPORT, OTHER, entry_id="second"), wait="all")
        subjects = {await one.refused(each) for each in (LISTED, PASSPORT, OTHER)}
        assert set(await one.told()) == subjects
        await one.api.change(edit("suspend", 11, reason="dispute"))
        assert set(await one.told()) == subjects
        await one.api.change(binding("bind", 6, PASSPORT, OTHER, entry_id="second"))
        assert set(await one.told()) == subjects


async def test_who_was_bound_before_hears_that_it_is_over(valkey: Server, tmp_path: Path) -> None:
    async with carrier(valkey, tmp_path) as one:
        await one.api.change(edit("put"), binding("bind", 5, LISTED, PASSPORT, OTHER), wait="all")
        subjects = [await one.refused(each) for each in (LISTED, PASSPORT, OTHER)]
        await one.start()
        # It names two of three, so that nothing binds any two of them any more.
        await one.api.change(binding("unbind", 6, LISTED, PASSPORT))
        assert set(await one.told()) == set(subjects)
        await one.api.change(edit("remove", 11))
        assert await one.told() == subjects[:1]


async def test_a_binding_that_only_one_side_has_tells_nobody_else(
    valkey: Server, tmp_path: Path
) -> None:
    async with carrier(valkey, tmp_path) as one:
        await one.api.change(edit("put"), binding("bind", 5, LISTED, PASSPORT), wait="all")
        listed = await one.refused(LISTED)
        await one.api.change(binding("unbind", 6, PASSPORT, OTHER))
        await one.start()
        await one.api.change(edit("remove", 11))
        assert await one.told() == [listed]


async def test_at_most_sixteen_documents_are_told_of_a_change(
    valkey: Server, tmp_path: Path
) -> None:
    async with carrier(valkey, tmp_path) as one:
        await one.api.change(edit("put"), binding("bind", 5, LISTED, PASSPORT), wait="all")
        listed = await one.refused(LISTED)
        pairs = [(PASSPORT, document(0)), *((document(n), document(n + 1)) for n in range(30))]
        await one.api.change(
            *(binding("bind", 5, *pair, entry_id=f"b{n}") for n, pair in enumerate(pairs))
        )
        await one.start()
        await one.api.change(edit("remove", 11))
        told = await one.told()
        assert told[0] == listed
        assert len(told) == len(set(told)) == 16


async def test_a_page_ends_and_goes_on_within_a_change_that_is_about_several(
    valkey: Server, tmp_path: Path
) -> None:
    async with carrier(valkey, tmp_path) as one:
        documents = [LISTED, PASSPORT, OTHER, *map(document, range(4))]
        await one.api.change(edit("put"), binding("bind", 5, *documents), wait="all")
        await one.start()
        await one.api.change(edit("remove", 11), edit("put", 5, document=document(9)))
        whole = (await one.get(after=one._position))["changes"]
        assert len(whole) == 8
        for limit in (1, 2, 3, 5):
            after, found = one._position, []
            while (page := await one.get(after=after, limit=limit))["changes"]:
                assert len(page["changes"]) <= limit
                found += page["changes"]
                after = page["position"]
            assert [each["subject"] for each in found] == [each["subject"] for each in whole]
            for read, change in enumerate(found):
                rest = (await one.get(after=change["position"]))["changes"]
                left = [each["subject"] for each in rest]
                assert left == [each["subject"] for each in whole[read + 1 :]]


async def test_records_are_looked_up_once_and_only_where_there_are_bindings(
    valkey: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with carrier(valkey, tmp_path) as one:
        asked: list[int] = []
        bound = one.api.service.feed.pages._bound
        monkeypatch.setattr(bound, "_store", Counted(bound._store, asked))
        await one.start()
        await one.api.change(*(edit("put", document=document(n)) for n in range(50)))
        await one.told()
        assert sum(asked) == 0
        await one.api.change(binding("bind", 5, LISTED, PASSPORT))
        await one.told()
        await one.start()
        asked.clear()
        before = one._position
        await one.api.change(edit("put"), wait="all")
        for _ in range(5):
            assert len((await one.get(after=before))["changes"]) == 2
        key = await make_key(one.api.service.settings, ["feed"])
        headers = bearer(key)
        query = {"after": before}
        answer = await one.api.client.get("/v1/changes", params=query, headers=headers)
        assert len(answer.json()["changes"]) == 2
        assert sum(asked) == 2  # the document's record, and that of the one bound to it
