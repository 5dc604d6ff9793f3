"""GET / and GET /schema: the status page and the API described; neither loads from elsewhere."""

import re
from functools import cache
from importlib.resources import files
from operator import itemgetter
from pathlib import Path
from typing import Any

import msgspec
from litestar import MediaType, Request, Response, get
from litestar.datastructures import CacheControlHeader
from litestar.static_files import create_static_files_router

from service.openapi.openapi import document

FOLDER = Path(str(files("service") / "page"))
_SPOKEN = {"en": "en", "zh": "zh-CN"}
SCHEMA_HEADERS = {
    "content-security-policy": (
        "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:"
    ),
    "referrer-policy": "no-referrer",
}
STATUS_HEADERS = {
    "content-security-policy": "default-src 'self'",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}
"""Beside what is on every answer (`service/server/server.py`)."""


@get("/", media_type=MediaType.HTML)
async def status_page(request: Request[Any, Any, Any]) -> Response[bytes]:
    """The page in English or Chinese; its style and scripts lie under `/schema/files`.

    `?lang=` says which; without it the browser does.
    """
    accepted = preferred(request.headers.get("accept-language", ""))
    spoken = _SPOKEN.get(request.query_params.get("lang", ""), _SPOKEN[accepted])
    page = (FOLDER / "index.html").read_text(encoding="utf-8")
    return Response(
        page.replace('<html lang="en">', f'<html lang="{spoken}">', 1).encode(),
        media_type=MediaType.HTML,
        headers={**STATUS_HEADERS, "content-language": spoken, "vary": "accept-language"},
    )


def preferred(accepted: str) -> str:
    """Which of our languages an Accept-Language header likes best (RFC 9110, 12.5.4)."""
    liked = [(_quality(each), each.strip()[:2].lower()) for each in accepted.split(",")]
    ours = [(quality, name) for quality, name in liked if quality and name in _SPOKEN]
    return max(ours, key=itemgetter(0), default=(0.0, "en"))[1]


def _quality(preference: str) -> float:
    given = re.search(r";\s*q=([01](?:\.\d{0,3})?)\s*$", preference)
    return float(given[1]) if given else 1.0


@get("/schema", media_type=MediaType.HTML)
async def schema_page() -> Response[bytes]:
    """The page."""
    return Response(
        (FOLDER / "schema.html").read_bytes(),
        media_type=MediaType.HTML,
        headers=SCHEMA_HEADERS,
    )


@get("/schema/openapi.json")
async def schema_document() -> Response[bytes]:
    """The OpenAPI 3.1 document."""
    return Response(_described(), media_type="application/json")


@cache
def _described() -> bytes:
    """The document does not change: who asks again, with no key, costs those who check nothing."""
    return msgspec.json.encode(document())


def page_routes() -> tuple[Any, ...]:
    """Both pages, the document, and the files of all pages, asked for anew after an update."""
    static = create_static_files_router(
        path="/schema/files", directories=[FOLDER], cache_control=CacheControlHeader(no_cache=True)
    )
    return status_page, schema_page, schema_document, static
