"""What `push` says of files that hold no changes, before anything is sent."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from clearway import main
from tests.loader.loads import HEADER, number, row

if TYPE_CHECKING:
    from pathlib import Path

LISTED = {"list": "sx", "entry_id": "a", "document_type": "resident_id"}
LIST = f"{HEADER}\n{row(1)}\n"
TO_LOAD = "the rows of a list, not changes: `clearway load FILE`"


def workbook() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("xl/workbook.xml", "x")
    return packed.getvalue()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (LIST.encode(), TO_LOAD),
        (b"\xef\xbb\xbf\n" + LIST.encode(), TO_LOAD),
        (LIST.upper().encode(), TO_LOAD),
        (json.dumps(LISTED | {"document_number": number(1)}).encode(), TO_LOAD),
        (json.dumps([{"op": "put"}]).encode(), "a JSON array: changes come one JSON object a line"),
        (gzip.compress(LIST.encode()), "unpack it"),
        (workbook(), "unpack it"),
        (b"<html>", "an HTML page"),
        (json.dumps({"op": "put"}).encode("utf-16"), "UTF-16"),
    ],
)
def test_a_file_that_holds_no_changes_is_told_so(data: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "changes.jsonl"
    path.write_bytes(data)
    env = {"CLEARWAY_API_KEY": "cw_0123456789ab_" + "a" * 43, "CLEARWAY_DATA_DIR": str(tmp_path)}
    for source in (str(path), "-"):
        done = CliRunner().invoke(
            main, ["push", source, "--url", "http://127.0.0.1:9"], input=data, env=env
        )
        assert done.exit_code == 1
        assert said in done.output
        assert number(1) not in done.output


def test_the_help_of_load_names_what_it_does_with_the_same_file_and_with_rejects() -> None:
    done = CliRunner().invoke(main, ["load", "--help"])
    assert "--again" in done.output
    assert "data folder" in " ".join(done.output.split())
