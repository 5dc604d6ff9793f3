"""Requests that nobody would send, and what must hold for every answer to one.

Schemathesis makes them from the API's own description, rightly and wrongly; Hypothesis bends
requests that are right: nulls, other types, ID numbers and names where they do not belong,
bytes that are no JSON. Each is sent with a key of every scope.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx
import msgspec
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.core import NotSet
from schemathesis.core.result import Ok

from roster.storage.api_keys import SCOPES, KeyStore, KeyTerms
from service.openapi.openapi import document
from tests.service.rosters import AIR, LISTED, OTHER, PASSPORT, Desk, desk, edit
from tests.source import modules

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from hypothesis.strategies import SearchStrategy
    from schemathesis.schemas import APIOperation, BaseSchema

    from tests.servers import Server

NUMBER = LISTED["number"]
NAME = "欧阳并无此人"
LONGEST_WAIT_MS = 5
SHORTEST_ECHO = 6
PROBLEM = "application/problem+json"
INTERNAL = 500

Request = dict[str, Any]
"""The arguments of `httpx.AsyncClient.request`."""


class Faults(NamedTuple):
    """How often each status was answered, and what is wrong with answers, with the request."""

    statuses: Counter[int]
    found: list[tuple[str, str]]

    @property
    def requests(self) -> int:
        return self.statuses.total()


class Caller:
    """Sends each request with a key of every scope, and looks at the answers."""

    def __init__(self, api: Desk, keys: dict[str, str]) -> None:
        self._client = api.client
        self._keys = keys
        self._loop = asyncio.get_running_loop()
        self._own = json.dumps(document_json()) + "".join(
            module.text for module in modules("service/**/*.py", "roster/**/*.py")
        )
        self.faults = Faults(Counter(), [])

    def send(self, request: Request) -> None:
        """Send it, from another thread than the application's."""
        asyncio.run_coroutine_threadsafe(self._send(request), self._loop).result()

    async def _send(self, request: Request) -> None:
        sent = [text for text in _texts(request) if self._is_foreign(text)]
        stated = {name.lower(): value for name, value in request.get("headers", {}).items()}
        for key in self._keys.values():
            headers = stated | ({"authorization": key} if key else {})
            try:
                answer = await self._client.request(**request | {"headers": headers})
            except (httpx.InvalidURL, httpx.LocalProtocolError, UnicodeEncodeError, ValueError):
                return  # the client does not send it
            self.faults.statuses[answer.status_code] += 1
            for fault in wrong(answer, sent):
                self.faults.found.append((fault, repr(request)))

    def _is_foreign(self, text: str) -> bool:
        """Whether this would be an echo: it is long enough, and no text of ours has it."""
        return len(text) >= SHORTEST_ECHO and text not in self._own


def wrong(answer: httpx.Response, sent: list[str]) -> Iterator[str]:
    """What is wrong with an answer."""
    if answer.status_code >= INTERNAL:
        yield f"{answer.status_code} {answer.text[:200]}"
    if answer.status_code >= httpx.codes.BAD_REQUEST:
        if answer.headers["content-type"] != PROBLEM:
            yield f"{answer.status_code} is {answer.headers['content-type']}"
        told = [answer.text, *_strings(_json(answer.text))]
    else:
        told = [text for problem in _problems(_json(answer.text)) for text in _strings(problem)]
    told += [f"{name}: {value}" for name, value in answer.headers.items()]
    for text in sent:
        if any(text in each for each in told):
            yield f"{answer.status_code} repeats what was sent"


def _json(text: str) -> Any:  # noqa: ANN401 -- JSON
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _problems(content: Any) -> Iterator[Any]:  # noqa: ANN401 -- JSON
    """The problems within an answer that is a success as a whole."""
    for each in content.get("results", []) if isinstance(content, dict) else []:
        yield from (each[name] for name in ("error", "errors") if name in each)


def _strings(content: Any) -> Iterator[str]:  # noqa: ANN401 -- JSON
    if isinstance(content, str):
        yield content
    for each in content.values() if isinstance(content, dict) else ():
        yield from _strings(each)
    for each in content if isinstance(content, dict | list) else ():
        yield from _strings(each)


def _texts(request: Request) -> Iterator[str]:
    """Every text of a request: fields and their names, parameters, its path and headers."""
    content = request.get("content", b"")
    yield from _strings(_json(content.decode("utf-8", "replace")))
    yield from _strings(request.get("params", {}))
    yield from _strings(request.get("headers", {}))
    yield request["url"].strip("/")


def document_json() -> Any:  # noqa: ANN401 -- JSON
    """The API's description."""
    return json.loads(msgspec.json.encode(document()))


@asynccontextmanager
async def caller(server: Server, folder: Path) -> AsyncIterator[Caller]:
    """A service with a listed person; a key for each scope, for all, for none, and a test key."""
    async with desk(server, folder) as api:
        await api.change(edit("put", entry={"name": NAME, "court": "某某法院"}), wait="all")
        store = KeyStore(api.service.changes_store.nodes, api.service.applier.wait)
        scopes = {scope: (scope,) for scope in SCOPES} | {"every": SCOPES, "some": ("list:add@sx",)}
        keys = {"none": "", "wrong": f"Bearer {NUMBER}"}
        for name, each in scopes.items():
            keys[name] = f"Bearer {(await store.create(KeyTerms(name=name, scopes=each), 1))[1]}"
        terms = KeyTerms(name="sandbox", scopes=("check", "standing"))
        keys["sandbox"] = f"Bearer {(await store.create(terms, 1, sandbox=True))[1]}"
        await api.service.access.refresh()
        del api.client.headers["authorization"]
        yield Caller(api, keys)


def run(strategy: SearchStrategy[Any], send: Callable[[Any], None], examples: int) -> None:
    """Draw so many examples, and send each."""

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def each(drawn: Any) -> None:  # noqa: ANN401 -- whatever is drawn
        send(drawn)

    each()


# What the API's own description allows, and what it does not ------------------------------


def described(caller: Caller, examples: int) -> None:
    """Send so many requests of every operation, right ones and wrong ones."""
    schema: BaseSchema = schemathesis.openapi.from_dict(document_json())
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        operation: APIOperation[Any, Any, Any, Any] = found.ok()
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            try:
                run(
                    operation.as_strategy(generation_mode=mode),
                    lambda case: caller.send(_request(case)),
                    examples,
                )
            except Unsatisfiable:
                continue  # a GET without parameters cannot be asked wrongly


def _shorten(query: dict[str, Any]) -> None:
    """Let no request be held for long: the feed's poll, and the page's stream."""
    for name in ("wait_ms", "for_ms"):
        if isinstance(query.get(name), int):
            query[name] = min(query[name], LONGEST_WAIT_MS)


def _request(case: Any) -> Request:  # noqa: ANN401 -- schemathesis' own
    request: Request = {"method": case.method, "url": case.formatted_path}
    query = dict(case.query or {})
    _shorten(query)
    if query:
        request["params"] = {name: _parameter(value) for name, value in query.items()}
    body = case.body
    if isinstance(body, bytes):
        request["content"] = body
    elif not isinstance(body, NotSet):
        request["content"] = json.dumps(body).encode()
    headers = {name: str(value) for name, value in (case.headers or {}).items()}
    request["headers"] = {
        name: value for name, value in headers.items() if value.isascii() and value.isprintable()
    }
    return request


def _parameter(value: Any) -> Any:  # noqa: ANN401 -- JSON
    return value if isinstance(value, str | int | float | None) else json.dumps(value)


# Right requests, bent -------------------------------------------------------------------

CHECK = {"document": LISTED, "journey": AIR, "name": NAME, "reference": "r", "at_least": "AQ"}
RAIL = {"mode": "rail", "train": "G1", "seat": ["O", "9"], "departs_at": "2026-01-01T00:00:00Z"}
BIND = {"op": "bind", "entry_id": "b", "revision": 3, "documents": [LISTED, PASSPORT]}
LIFT = edit("put", 5, list="lift", entry={"until": "2030-01-01", "lifts": ["sx"], "modes": ["air"]})
ENTRY = {"name": NAME, "from": "2018-01-01", "until": None, "case": "c", "court": "k"}
RIGHT: dict[str, list[Any]] = {
    "/v1/check": [CHECK, {"document": PASSPORT, "journey": RAIL}],
    "/v1/check/batch": [
        {"items": [CHECK, {"document": OTHER}], "journey": RAIL, "at_least": ["AQ"]}
    ],
    "/v1/standing": [{"document": LISTED, "name": NAME, "departs_at": "2026-01-01"}],
    "/v1/changes": [
        {"changes": [edit("put", entry=ENTRY), edit("remove", 3, reason="performed")]},
        {"changes": [BIND, LIFT, edit("suspend", None)], "wait": "all", "timeout_ms": 50},
        {"changes": [edit("put", 9, document=OTHER, replaces=[PASSPORT])], "wait": "durable"},
    ],
    "/v1/entries/find": [{"document": PASSPORT}],
    "/v1/entries/history": [{"document": LISTED, "list": "sx", "entry_id": "e/1"}],
}
QUERIES: dict[str, list[dict[str, Any]]] = {
    "/v1/changes": [{"after": "now"}, {"limit": 3, "wait_ms": 1}, {"after": "AQ", "limit": 1}],
    "/v1/audit": [{"decision": "d", "limit": 5}, {"key": "k", "late": "true"}],
    "/v1/roster": [{}],
    "/metrics": [{}],
    "/readyz": [{}],
    "/healthz": [{}],
    "/": [{}],
    "/schema": [{}],
}
PLACES = st.sampled_from([*RIGHT, *QUERIES])
ODD: Any = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=200),
    st.sampled_from([NUMBER, NAME, f" {NUMBER}\u200b", "", "\0", "\ud800", "9" * 70, "sx", "lift"]),
    st.sampled_from([[], {}, [[]], [NUMBER], {NUMBER: NAME}, [None], -0.0, 2**63, 1e400]),
)


@st.composite
def bent(draw: st.DrawFn, right: Any) -> Any:  # noqa: ANN401 -- JSON, or nearly
    """This, with some of it left out, made null, doubled, or something else."""
    if draw(st.integers(0, 9)) == 0:
        return draw(ODD)
    if isinstance(right, dict):
        kept = [name for name in right if draw(st.integers(0, 15))]
        whole = {name: draw(bent(right[name])) for name in kept}
        if draw(st.integers(0, 15)) == 0:
            whole[draw(st.sampled_from([NUMBER, NAME, "nmae", "list", "op", "name"]))] = draw(ODD)
        return whole
    if isinstance(right, list):
        return [draw(bent(each)) for each in right for _ in range(draw(st.sampled_from([1, 1, 2])))]
    return right


@st.composite
def requests(draw: st.DrawFn) -> Request:
    """A right request that was bent: its body, its parameters, its method, its path."""
    path = draw(PLACES | st.just("/v1/changes"))
    request: Request = {"method": "GET", "url": path, "headers": {}}
    if path in RIGHT and (path not in QUERIES or draw(st.booleans())):
        request["method"] = "POST"
        text = json.dumps(draw(bent(draw(st.sampled_from(RIGHT[path])))))
        request["content"] = draw(bytes_like(text.encode("utf-8", "surrogatepass")))
    if path in QUERIES:
        query = draw(bent(draw(st.sampled_from(QUERIES[path]))))
        request["params"] = _flat(query)
    if draw(st.integers(0, 20)) == 0:
        request["method"] = draw(st.sampled_from(["HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"]))
    if draw(st.integers(0, 20)) == 0:
        request["url"] = f"{path}/{draw(st.sampled_from([NUMBER, NAME, '..', '%00', '%ff', '//']))}"
    if draw(st.integers(0, 10)) == 0:
        kinds = ["text/plain", "application/xml", "multipart/form-data", f"x/{NUMBER}", ""]
        request["headers"]["content-type"] = draw(st.sampled_from(kinds))
    return request


def _flat(query: Any) -> dict[str, Any]:  # noqa: ANN401 -- JSON
    pairs = query.items() if isinstance(query, dict) else [("after", query)]
    found = {name: _parameter(value) for name, value in pairs}
    _shorten(found)
    return {
        name: value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
        for name, value in found.items()
    }


@st.composite
def bytes_like(draw: st.DrawFn, text: bytes) -> bytes:
    """Mostly these bytes; else cut, with others in between, deep, or nothing of the kind."""
    kind = draw(st.integers(0, 20))
    at = draw(st.integers(0, len(text)))
    if kind == 0:
        return text[:at]
    if kind == 1:
        return text[:at] + draw(st.binary(max_size=4)) + text[at:]
    if kind == 2:
        return draw(st.binary(max_size=100))
    if kind == 3:
        return b"[" * 100_000 if at % 2 else text.replace(b"null", b"[" * 3_000 + b"]" * 3_000, 1)
    return text
