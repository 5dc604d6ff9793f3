"""Everything that Clearway reads from its environment, for all of its programs.

One Struct for all, so that a typo stops every command, and no command stops at a setting
that is another's.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta

from roster.errors import SettingsError
from roster.parse_errors import complaint_of
from roster.redis.target import Target, parse_target

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "CLEARWAY_"
DATA_DIR = ".local/share/clearway"

# What Kubernetes injects for a service called clearway, or clearway-something.
_INJECTED = re.compile(rf"{PREFIX}(?:.*SERVICE_HOST|(?:.*_)?PORT(?:_.*)?)")

Days = Annotated[int, Meta(ge=1, le=36_500)]
ListNames = Annotated[tuple[Annotated[str, Meta(min_length=1)], ...], Meta(min_length=1)]
HexKey = Annotated[str, Meta(pattern="^[0-9a-fA-F]{64}$")]


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings, checked; a field is the setting `CLEARWAY_` and its name.

    `data_dir` has no default here because that lies in the user's home, which is in the
    environment; `min_replicas` None leaves the choice to the kind of Redis.
    """

    data_dir: Path
    redis_url: str | None = None
    redis_server: str | None = None
    redis_timeout_ms: Annotated[int, Meta(ge=1, le=10_000)] = 50
    id_key: HexKey | None = None
    id_key_file: Path | None = None
    required_lists: ListNames = ("sx",)
    fresh_ms: Annotated[int, Meta(ge=500, le=4_000)] = 3_000
    serve_stale_s: Annotated[int, Meta(ge=1, le=604_800)] = 900
    min_replicas: Annotated[int, Meta(ge=0, le=100)] | None = None
    tombstone_days: Days = 30
    log_days: Days = 7
    audit_days: Days = 90
    signature_key_file: Path | None = None
    keep_alive_s: Annotated[float, Meta(ge=1, le=3_600)] = 75
    drain_s: Annotated[float, Meta(ge=0, le=600)] = 5
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None
    allow_plain_http: bool = False
    lists_file: Path | None = None
    log_format: Literal["json", "console"] = "json"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    url: str = "http://127.0.0.1:8080"
    api_key: str | None = None
    proxy: str | None = None

    def __repr__(self) -> str:
        """Only where the data is: the rest holds keys and passwords."""
        return f"<Settings {self.data_dir}>"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """No fields, for rich's tracebacks."""
        return []

    @property
    def target(self) -> Target | None:
        """The Redis to connect to, or None where it is the embedded one."""
        return parse_target(self.redis_url) if self.redis_url else None

    @property
    def replicas(self) -> int:
        """How many replicas must have a change before it is acknowledged."""
        if self.min_replicas is not None:
            return self.min_replicas
        return 1 if self.target is not None and self.target.replicated else 0


def read_settings(environ: Mapping[str, str]) -> Settings:
    """The settings in `environ`; raises SettingsError, which names what is wrong, not its value."""
    given: dict[str, Any] = {
        name.removeprefix(PREFIX).lower(): text
        for name, text in environ.items()
        if name.startswith(PREFIX) and not _INJECTED.fullmatch(name)
    }
    _refuse_odd(given)
    home = environ.get("HOME")
    given.setdefault("data_dir", str((Path(home) if home else Path.home()) / DATA_DIR))
    if "required_lists" in given:
        given["required_lists"] = [name.strip() for name in given["required_lists"].split(",")]
    settings = _convert(given)
    _refuse_contradictions(settings)
    return settings


def _refuse_odd(given: Mapping[str, str]) -> None:
    """Refuse unknown names and empty values: both are typos somewhere."""
    known = {field.name for field in msgspec.structs.fields(Settings)}
    for name, text in given.items():
        if name not in known:
            raise SettingsError(f"unknown setting {PREFIX}{name.upper()}")
        if not text.strip():
            raise SettingsError(f"{PREFIX}{name.upper()} is empty; leave it out for the default")


def _convert(given: Mapping[str, Any]) -> Settings:
    try:
        return msgspec.convert(given, Settings, strict=False, dec_hook=_path)
    except msgspec.ValidationError as exc:
        complaint = complaint_of(exc)
        name = str(complaint.path[0]).upper()
        what = complaint.expected or "it is none of those that there are"
        raise SettingsError(f"{PREFIX}{name} has a bad value: {what}") from None


def _path(kind: type, text: str) -> Path:
    if kind is not Path:
        raise NotImplementedError
    try:
        return Path(text).expanduser()
    except RuntimeError as exc:
        raise ValueError("its ~ is of nobody here") from exc


def _refuse_contradictions(settings: Settings) -> None:
    if settings.id_key and settings.id_key_file:
        raise SettingsError("CLEARWAY_ID_KEY and CLEARWAY_ID_KEY_FILE are both set; one is enough")
    if (settings.tls_cert is None) != (settings.tls_key is None):
        raise SettingsError("CLEARWAY_TLS_CERT and CLEARWAY_TLS_KEY belong together")
    if settings.tls_client_ca is not None and settings.tls_cert is None:
        raise SettingsError("CLEARWAY_TLS_CLIENT_CA needs CLEARWAY_TLS_CERT")
    _ = settings.target  # raises SettingsError
