from __future__ import annotations

import stat
from pathlib import Path

import pytest

from roster.documents.id_key import KeySource, read_or_make
from roster.errors import SettingsError

KEY = bytes(range(32))


def test_a_given_key_is_read_from_the_environment_or_a_file(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(KEY.hex() + "\n")
    assert read_or_make(KeySource(key=KEY.hex().upper())) == KEY
    assert read_or_make(KeySource(key_file=str(path), data_dir=tmp_path)) == KEY


def test_an_embedded_server_gets_one_key_that_only_its_owner_reads(tmp_path: Path) -> None:
    source = KeySource(data_dir=tmp_path / "data")
    made = read_or_make(source)
    assert len(made) == 32
    assert read_or_make(source) == made
    assert [p.name for p in (tmp_path / "data").iterdir()] == ["id-key"]
    assert stat.S_IMODE((tmp_path / "data" / "id-key").stat().st_mode) == 0o600


@pytest.mark.parametrize("text", ["00", "zz" * 32, KEY.hex() + "00", "密钥"])
def test_a_bad_key_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(SettingsError) as refused:
        read_or_make(KeySource(key=text))
    assert text not in str(refused.value)
    assert text not in repr(KeySource(key=text))


def test_a_server_of_ones_own_needs_a_key_of_ones_own(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="CLEARWAY_ID_KEY_FILE is required"):
        read_or_make(KeySource())
    with pytest.raises(SettingsError, match="both set"):
        read_or_make(KeySource(key=KEY.hex(), key_file="x"))
    with pytest.raises(SettingsError, match="cannot be read"):
        read_or_make(KeySource(key_file=str(tmp_path / "nothing")))


def test_a_file_that_is_no_key_and_a_folder_that_is_none_are_told_by_name(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes("密钥".encode())
    with pytest.raises(SettingsError, match="key is not 32 bytes in hexadecimal"):
        read_or_make(KeySource(key_file=str(path)))
    with pytest.raises(SettingsError, match="cannot be written"):
        read_or_make(KeySource(data_dir=path / "data"))
