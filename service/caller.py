"""The service asked over HTTP, for the commands that a person types."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

import click
import httpx

from roster.settings import read_api_key, read_settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

TIMEOUT_S = 40.0
"""A change with `wait: all` may take 30 seconds."""
TRIES = 5
UNPROCESSED = 503

Command = TypeVar("Command", bound="Callable[..., Any]")


class Caller:
    """A connection to the service; whatever it refuses ends the command with status 1."""

    def __init__(self, url: str, key: str) -> None:
        """`url` is the service's root."""
        self._client = httpx.Client(
            base_url=url, headers={"authorization": f"Bearer {key}"}, timeout=TIMEOUT_S
        )

    def get(self, path: str) -> dict[str, Any]:
        """The answer's JSON."""
        return self._ask("GET", path, None)

    def post(self, path: str, content: dict[str, Any]) -> dict[str, Any]:
        """The same for a request with a body."""
        return self._ask("POST", path, content)

    def change(self, change: dict[str, Any]) -> dict[str, Any]:
        """What one change amounted to; where it was not acknowledged it is sent again."""
        for _ in range(TRIES):
            response = self._send("POST", "/v1/changes", {"changes": [change]})
            if response.status_code != UNPROCESSED:
                break
            revisions = _json(response).get("revisions")
            if revisions:
                change = change | {"revision": revisions[0]}
        (result,) = _checked(response)["results"]
        return dict(result)

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connection."""
        self._client.close()

    def _ask(self, method: str, path: str, content: dict[str, Any] | None) -> dict[str, Any]:
        return _checked(self._send(method, path, content))

    def _send(self, method: str, path: str, content: dict[str, Any] | None) -> httpx.Response:
        try:
            return self._client.request(method, path, json=content)
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            raise click.ClickException(
                f"{self._client.base_url} does not answer: {type(exc).__name__}"
            ) from exc


def open_caller(url: str | None, key_file: Path | None) -> Caller:
    """A caller for a command's options and the environment; raises SettingsError."""
    settings = read_settings(os.environ)
    return Caller(url or settings.url, read_api_key(settings, key_file))


def over_http(command: Command) -> Command:
    """The options of every command that speaks HTTP."""
    command = click.option("--url", help="The service; default: CLEARWAY_URL, or this machine.")(
        command
    )
    return click.option(
        "--key-file",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="A file with the API key; default: CLEARWAY_API_KEY.",
    )(command)


def _json(response: httpx.Response) -> dict[str, Any]:
    try:
        content = response.json()
    except ValueError:
        content = None
    return content if isinstance(content, dict) else {}


def _checked(response: httpx.Response) -> dict[str, Any]:
    content = _json(response)
    if response.is_success:
        return content
    errors = [f"{each.get('field')}: {each.get('message')}" for each in content.get("errors", [])]
    told = "; ".join(errors) or content.get("detail") or content.get("title") or ""
    raise click.ClickException(f"{response.status_code} {told}".strip())
