"""CLEARWAY_REDIS_URL: every form of the contract, and what a bad one is answered."""

from __future__ import annotations

import pytest
import rich.pretty

from roster.errors import SettingsError
from roster.redis.target import Target, parse_target

GOOD = {
    "redis://db.example": Target(kind="server", addresses=(("db.example", 6379),)),
    "redis://db.example:7000/3": Target(kind="server", addresses=(("db.example", 7000),), db=3),
    "redis://[::1]:7000?db=2": Target(kind="server", addresses=(("::1", 7000),), db=2),
    "redis://:p%40ss@h": Target(kind="server", addresses=(("h", 6379),), password="p@ss"),
    "rediss://u:p@h?ssl_ca_certs=/ca.pem": Target(
        kind="server",
        addresses=(("h", 6379),),
        username="u",
        password="p",
        tls=True,
        tls_options=(("ssl_ca_certs", "/ca.pem"),),
    ),
    "unix:///run/my%20dir/valkey.sock": Target(kind="server", path="/run/my dir/valkey.sock"),
    "unix://:p@/run/v.sock?db=1": Target(kind="server", path="/run/v.sock", password="p", db=1),
    "redis+sentinel://a,b:26380/roster": Target(
        kind="sentinel", addresses=(("a", 26379), ("b", 26380)), service="roster"
    ),
    "redis+sentinel://:p@a/r?sentinel_password=s&db=2": Target(
        kind="sentinel",
        addresses=(("a", 26379),),
        service="r",
        password="p",
        sentinel_password="s",
        db=2,
    ),
    "redis+cluster://a:7000,b:7001": Target(kind="cluster", addresses=(("a", 7000), ("b", 7001))),
    "rediss+cluster://a": Target(kind="cluster", addresses=(("a", 6379),), tls=True),
}

BAD = [
    "",
    "localhost:6379",
    "http://h",
    "redis://",
    "redis://h:0",
    "redis://h:66000",
    "redis://h:six",
    "redis://h/one",
    "redis://h/1?db=1",
    "redis://h?dbb=1",
    "redis://h?db",
    "redis://h?ssl_ca_certs=/ca.pem",
    "redis://:s3cret@[::1",
    "redis://:s3c/ret@h",
    "redis://:s3c#ret@h",
    "redis://:s3c?ret@h",
    "rediss://h?ssl_cert_reqs=maybe",
    "unix://run/v.sock",
    "unix:///",
    "redis+sentinel://a:1",
    "redis+sentinel://,a:1/r",
    "redis+cluster://a/1",
    "redis+cluster://a?db=1",
]


@pytest.mark.parametrize(("url", "target"), GOOD.items())
def test_every_form_of_the_contract_is_understood(url: str, target: Target) -> None:
    assert parse_target(url) == target


@pytest.mark.parametrize("url", BAD)
def test_a_bad_url_names_the_setting_and_repeats_nothing(url: str) -> None:
    with pytest.raises(SettingsError, match=r"^CLEARWAY_REDIS_URL ") as caught:
        parse_target(url)
    assert "s3c" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_target_never_shows_its_passwords() -> None:
    target = parse_target("redis+sentinel://u:s3cret@a:1/r?sentinel_password=s3cret2")
    shown = repr(target) + rich.pretty.pretty_repr(target)
    assert "s3cret" not in shown
    assert "a:1/r" in shown


def test_sentinel_and_clusters_are_replicated() -> None:
    kinds = {url: parse_target(url).replicated for url in ("redis://a", "redis+cluster://a")}
    assert kinds == {"redis://a": False, "redis+cluster://a": True}
