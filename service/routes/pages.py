"""GET / and GET /schema: the status page and the API described; neither loads from elsewhere."""

from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec
from litestar import MediaType, Response, get
from litestar.datastructures import CacheControlHeader
from litestar.static_files import create_static_files_router

from service.openapi.openapi import document

FOLDER = Path(str(files("service") / "page"))
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
async def status_page() -> Response[bytes]:
    """The page; its style and scripts lie under `/schema/files`."""
    return Response(
        (FOLDER / "index.html").read_bytes(),
        media_type=MediaType.HTML,
        headers=STATUS_HEADERS,
    )


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
    return Response(msgspec.json.encode(document()), media_type="application/json")


def page_routes() -> tuple[Any, ...]:
    """Both pages, the document, and the files of all pages, asked for anew after an update."""
    static = create_static_files_router(
        path="/schema/files", directories=[FOLDER], cache_control=CacheControlHeader(no_cache=True)
    )
    return status_page, schema_page, schema_document, static
