"""The service asked over HTTP, for the commands that a person types."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

import click
import httpx

from roster.address import (
    ServiceAddress,
    address_of,
    checked_url,
    fault_of,
    open_client,
    silence_of,
)
from roster.settings import read_settings
from roster.times import boot_s

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

TIMEOUT_S = 6.0
"""Until an answer begins: longer than the service waits for a Redis that is silent."""
PATIENCE_S = 3.0
"""So long, a search or a change that the service cannot do now is sent again."""
PAUSE_S = 0.2
UNPROCESSED = 503
INVALID = 400
WRONG_USAGE = 2
"""The exit status of a command whose options say what cannot be."""
_NOWHERE = frozenset({404, 405})
HUNG_UP = (httpx.RemoteProtocolError, httpx.ReadError)
NOT_CLEARWAY = "what answers there is not Clearway: look at the URL"

Command = TypeVar("Command", bound="Callable[..., Any]")


class RefusedCall(click.ClickException):
    """What the service has answered in place of what it was asked for; `status` is HTTP's."""

    def __init__(self, message: str, status: int) -> None:
        """The message for the person, without anything that was sent."""
        super().__init__(message)
        self.status = status


class InvalidCall(RefusedCall):
    """A 400: an option is missing, or says what cannot be."""

    exit_code = WRONG_USAGE


class Caller:
    """A connection to the service; whatever it refuses ends the command: see `InvalidCall`."""

    def __init__(self, address: ServiceAddress) -> None:
        """The service there."""
        self._client = open_client(address, TIMEOUT_S)

    def get(self, path: str) -> dict[str, Any]:
        """The answer's JSON."""
        return self._ask("GET", path, None)

    def post(self, path: str, content: dict[str, Any]) -> dict[str, Any]:
        """The JSON of the answer to a request with a body."""
        return self._ask("POST", path, content)

    def find(self, document: dict[str, Any], name: str | None = None) -> dict[str, Any]:
        """What is known of a document: its entries, beside this name; which lists are loaded."""
        named = {} if name is None else {"name": name}
        return self._insist("/v1/entries/find", {"document": document} | named)

    def history(self, document: dict[str, Any], entry: dict[str, Any]) -> list[dict[str, Any]]:
        """What happened to one entry of a document, oldest first."""
        which = {name: entry[name] for name in ("list", "entry_id")}
        answer = self._insist("/v1/entries/history", {"document": document} | which)
        return list(answer["history"])

    def change(self, change: dict[str, Any]) -> dict[str, Any]:
        """What one change amounted to; sent again, it has the revision that it had been given."""
        sent = dict(change)

        def heed(refusal: dict[str, Any]) -> None:
            if revisions := refusal.get("revisions"):
                sent["revision"] = revisions[0]

        (result,) = self._insist("/v1/changes", {"changes": [sent]}, heed)["results"]
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

    def _insist(
        self,
        path: str,
        content: dict[str, Any],
        heed: Callable[[dict[str, Any]], None] = lambda _: None,
    ) -> dict[str, Any]:
        """The answer to what is sent again while it is refused for now; `heed` gets a refusal."""
        until_s = boot_s() + PATIENCE_S
        while True:
            response = self._send("POST", path, content)
            if response.status_code != UNPROCESSED or boot_s() > until_s:
                return self._checked(response)
            heed(_json(response))
            time.sleep(PAUSE_S)

    def _ask(self, method: str, path: str, content: dict[str, Any] | None) -> dict[str, Any]:
        return self._checked(self._send(method, path, content))

    def _checked(self, response: httpx.Response) -> dict[str, Any]:
        content = _json(response)
        if response.is_success and content:
            return content
        reason = _told(response, content)
        if response.status_code == UNPROCESSED:  # which of several, and whom to look at
            reason = f"{reason} ({self._client.base_url})"
        refused = InvalidCall if response.status_code == INVALID else RefusedCall
        raise refused(reason, response.status_code)

    def _send(self, method: str, path: str, content: dict[str, Any] | None) -> httpx.Response:
        try:
            return self._client.request(method, path, json=content)
        except UnicodeEncodeError:
            raise click.ClickException("an option is no text in this terminal's encoding") from None
        except httpx.HTTPError as exc:
            root = str(self._client.base_url) if isinstance(exc, HUNG_UP) else ""
            why = fault_of(exc, root) or silence_of(exc)
            raise click.ClickException(f"{self._client.base_url} does not answer: {why}") from exc


def open_caller(url: str | None, key_file: Path | None) -> Caller:
    """A caller for a command's options and the environment; raises SettingsError."""
    return Caller(address_of(read_settings(os.environ), url, key_file))


def over_http(command: Command) -> Command:
    """The options of every command that speaks HTTP."""
    command = click.option(
        "--url", callback=_url, help="The service; default: CLEARWAY_URL, or this machine."
    )(command)
    return click.option(
        "--key-file",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="A file with the API key; default: CLEARWAY_API_KEY.",
    )(command)


def _url(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    try:
        return value if value is None else checked_url(value)
    except ValueError as exc:
        raise click.BadParameter(str(exc)) from None


def _json(response: httpx.Response) -> dict[str, Any]:
    try:
        content = response.json()
    except ValueError:
        content = None
    return content if isinstance(content, dict) else {}


def _told(response: httpx.Response, content: dict[str, Any]) -> str:
    """What the service said instead of an answer, for people."""
    if response.is_success or response.is_redirect:
        return f"{response.status_code}: {NOT_CLEARWAY}"
    errors = [f"{each.get('field')}: {each.get('message')}" for each in content.get("errors", [])]
    detail = "; ".join(errors) or content.get("detail") or content.get("title") or ""
    if response.status_code in _NOWHERE and not content:
        detail = NOT_CLEARWAY
    return f"{response.status_code} {detail}".strip()
