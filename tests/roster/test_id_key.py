from __future__ import annotations

import stat
from pathlib import Path

import pytest

from roster.errors import SettingsError
from roster.id_key import read_or_make
from roster.settings import Settings, read_settings

KEY = bytes(range(32))
HERE = Path()


def test_a_given_key_is_read_from_the_environment_or_a_file(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(KEY.hex() + "\n")
    assert read_or_make(Settings(data_dir=HERE, id_key=KEY.hex().upper()), embedded=False) == KEY
    assert read_or_make(Settings(data_dir=tmp_path, id_key_file=path), embedded=True) == KEY


def test_an_embedded_server_gets_one_key_that_only_its_owner_reads(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    made = read_or_make(settings, embedded=True)
    assert len(made) == 32
    assert read_or_make(settings, embedded=True) == made
    assert [p.name for p in (tmp_path / "data").iterdir()] == ["id-key"]
    assert stat.S_IMODE((tmp_path / "data" / "id-key").stat().st_mode) == 0o600


@pytest.mark.parametrize("text", ["00", "zz" * 32, KEY.hex() + "00", "密钥"])
def test_a_bad_key_is_refused_without_being_repeated(text: str) -> None:
    settings = Settings(data_dir=HERE, id_key=text)
    with pytest.raises(SettingsError) as refused:
        read_or_make(settings, embedded=False)
    assert text not in str(refused.value)
    assert text not in repr(settings)


def test_a_server_of_ones_own_needs_a_key_of_ones_own(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="CLEARWAY_ID_KEY_FILE is required"):
        read_or_make(Settings(data_dir=tmp_path), embedded=False)
    with pytest.raises(SettingsError, match="both set"):
        read_settings({"CLEARWAY_ID_KEY": KEY.hex(), "CLEARWAY_ID_KEY_FILE": "x"})
    with pytest.raises(
        SettingsError, match=r"CLEARWAY_ID_KEY_FILE \S+nothing cannot be read: No such"
    ):
        read_or_make(Settings(data_dir=HERE, id_key_file=tmp_path / "nothing"), embedded=False)


def test_a_file_that_is_no_key_and_a_folder_that_is_none_are_told_by_name(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes("密钥".encode())
    with pytest.raises(SettingsError, match="key is not 32 bytes in hexadecimal"):
        read_or_make(Settings(data_dir=HERE, id_key_file=path), embedded=False)
    with pytest.raises(SettingsError, match="cannot be written"):
        read_or_make(Settings(data_dir=path / "data"), embedded=True)
