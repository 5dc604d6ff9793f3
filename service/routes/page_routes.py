"""GET /: the status page, which asks for a key itself and loads nothing from elsewhere."""

from litestar import MediaType, Response, get

from service.openapi.schema import FOLDER

HEADERS = {
    "content-security-policy": (
        "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}


@get("/", media_type=MediaType.HTML)
async def status_page() -> Response[bytes]:
    """The page; its style and scripts lie under `/schema/files`."""
    return Response(
        (FOLDER / "index.html").read_bytes(),
        media_type=MediaType.HTML,
        headers=HEADERS,
    )
