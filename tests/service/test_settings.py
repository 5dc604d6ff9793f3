"""Settings: a typo stops the start, and nothing that is told repeats a value."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from roster.address import read_api_key
from roster.errors import ClearwayError, SettingsError
from roster.opening import Opening
from roster.settings import read_settings
from service.app import look_before
from tests.service.apps import settings_for

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import Server

KEY = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"


def test_the_defaults_are_those_of_the_contract() -> None:
    settings = read_settings({"HOME": "/home/somebody"})
    assert str(settings.data_dir) == "/home/somebody/.local/share/clearway"
    assert settings.redis_url is None
    assert settings.required_lists == ("sx",)
    assert (settings.redis_timeout_ms, settings.fresh_ms, settings.serve_stale_s) == (50, 3000, 900)
    assert (settings.tombstone_days, settings.log_days, settings.audit_days) == (30, 7, 90)
    assert (settings.log_format, settings.log_level) == ("json", "info")
    assert settings.allow_plain_http is False
    assert settings.url == "http://127.0.0.1:8080"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CLEARWAY_FRESH", "3000"),
        ("CLEARWAY_FRESH_MS", "499"),
        ("CLEARWAY_FRESH_MS", "4001"),
        ("CLEARWAY_FRESH_MS", "soon"),
        ("CLEARWAY_FRESH_MS", ""),
        ("CLEARWAY_SERVE_STALE_S", "-1"),
        ("CLEARWAY_REQUIRED_LISTS", "sx,,xgl"),
        ("CLEARWAY_LOG_FORMAT", "xml"),
        ("CLEARWAY_ALLOW_PLAIN_HTTP", "perhaps"),
        ("CLEARWAY_ID_KEY", "0011"),
        ("CLEARWAY_REDIS_URL", "http://localhost"),
        ("CLEARWAY_MIN_REPLICAS", "one"),
        ("CLEARWAY_TLS_CERT", "/cert.pem"),
    ],
)
def test_a_bad_setting_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        read_settings({name: value})


@pytest.mark.parametrize("setting", ["lists_file", "signature_key_file", "id_key_file"])
async def test_no_process_starts_with_a_file_that_is_not_there(
    valkey: Server, tmp_path: Path, setting: str
) -> None:
    settings = settings_for(valkey, tmp_path)
    id_key = None if setting == "id_key_file" else settings.id_key
    wrong = replace(settings, id_key=id_key, **{setting: tmp_path / "nothing"})
    with Opening(wrong) as opening, pytest.raises(ClearwayError) as caught:
        await look_before(wrong, opening)
    said = str(caught.value)
    assert said.startswith(f"CLEARWAY_{setting.upper()} {tmp_path}")
    assert "No such file" in said


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CLEARWAY_ID_KEY", "zz" + KEY[2:]),
        ("CLEARWAY_LOG_LEVEL", "s3cret"),
        ("CLEARWAY_REDIS_URL", "redis://:s3cret@host:99999/0"),
    ],
)
def test_no_message_repeats_a_value(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_settings({name: value})
    assert "s3cret" not in str(caught.value)
    assert KEY[2:] not in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        "CLEARWAY_SERVICE_HOST",
        "CLEARWAY_SERVICE_PORT",
        "CLEARWAY_SERVICE_PORT_HTTP",
        "CLEARWAY_PORT",
        "CLEARWAY_PORT_8080_TCP_ADDR",
        "CLEARWAY_VALKEY_SERVICE_HOST",
        "CLEARWAY_VALKEY_PORT",
    ],
)
def test_what_kubernetes_injects_is_let_be(name: str) -> None:
    read_settings({name: "tcp://10.0.0.1:8080"})


def test_lists_are_separated_by_commas() -> None:
    settings = read_settings({"CLEARWAY_REQUIRED_LISTS": "sx, xgl"})
    assert settings.required_lists == ("sx", "xgl")


@pytest.mark.parametrize(
    ("url", "replicas"),
    [
        ("redis://localhost", 0),
        ("redis+sentinel://a:1,b:2/service", 1),
        ("redis+cluster://a:1,b:2", 1),
    ],
)
def test_replicas_follow_the_kind_of_redis(url: str, replicas: int) -> None:
    assert read_settings({"CLEARWAY_REDIS_URL": url}).replicas == replicas
    stated = {"CLEARWAY_REDIS_URL": url, "CLEARWAY_MIN_REPLICAS": "2"}
    assert read_settings(stated).replicas == 2


def test_settings_that_exclude_each_other_are_refused() -> None:
    both = {"CLEARWAY_ID_KEY": KEY, "CLEARWAY_ID_KEY_FILE": "/key"}
    with pytest.raises(SettingsError, match="CLEARWAY_ID_KEY_FILE"):
        read_settings(both)


def test_settings_show_nothing_of_themselves() -> None:
    settings = read_settings({"CLEARWAY_ID_KEY": KEY, "CLEARWAY_API_KEY": "cw_secret"})
    assert KEY not in repr(settings)
    assert "cw_secret" not in repr(settings)


def test_an_api_key_comes_from_the_environment_or_a_file(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    file = tmp_path_factory.mktemp("keys") / "key"
    file.write_text("cw_from_file\n")
    settings = read_settings({"CLEARWAY_API_KEY": "cw_from_environment"})
    assert read_api_key(settings, None) == "cw_from_environment"
    assert read_api_key(settings, file) == "cw_from_file"
    with pytest.raises(SettingsError, match="CLEARWAY_API_KEY"):
        read_api_key(read_settings({}), None)
