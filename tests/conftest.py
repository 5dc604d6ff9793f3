"""What every test shares: the soak's switch, and an environment without settings."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

# How long one example takes says something of the machine, and pytest's own limit is enough.
settings.register_profile("clearway", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("clearway")

pytest_plugins = ["tests.servers"]

SOAK_S = "CLEARWAY_SOAK_S"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak", action="store_true", help="run the tests marked soak too")
    parser.addoption(
        "--soak-s",
        type=float,
        default=float(os.environ.get(SOAK_S, "600")),
        help=f"how long each of them runs, in seconds (default: {SOAK_S}, or 600)",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "soak: runs for minutes; only with --soak")
    # A developer's own settings must change no test, and an unknown one stops a start.
    for name in [name for name in os.environ if name.startswith("CLEARWAY_")]:
        del os.environ[name]
    # Nor must the language of their terminal.
    os.environ.pop("LC_ALL", None)
    os.environ.pop("LC_MESSAGES", None)
    os.environ["LANG"] = "C.UTF-8"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("soak"):
        return
    for item in items:
        if item.get_closest_marker("soak"):
            item.add_marker(pytest.mark.skip(reason="a soak: runs with --soak"))


@pytest.fixture(scope="session")
def soak_s(pytestconfig: pytest.Config) -> float:
    return float(pytestconfig.getoption("soak_s"))
