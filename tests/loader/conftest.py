"""A roster on our own Valkey, empty."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.loader.loads import Roster, settings_for
from tests.servers import Server


@pytest.fixture
def roster(valkey: Server, tmp_path: Path) -> Roster:
    return Roster(settings_for(valkey, tmp_path), tmp_path)
