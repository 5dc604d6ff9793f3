"""An ASGI application that reads a request and says always the same: what HTTP alone costs."""

from __future__ import annotations

from typing import Any

BODY = b'{"decision":"allow"}'
_HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(BODY))]
_START = {"type": "http.response.start", "status": 200, "headers": _HEADERS}
_BODY = {"type": "http.response.body", "body": BODY}


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:  # noqa: ANN401 -- ASGI says no more
    """A 200 to everything."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body", False):
        pass
    await send(_START)
    await send(_BODY)
