"""Which entry the desk means where several are there, or a file has ended one, and what it says."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.servers import eventually
from tests.service.test_desk import BEIJING, DOCUMENT, GROUPS, SCOPES, WRONG, ok, run, states
from tests.source import ROOT
from tests.terminals import terminal
from tests.test_clearway import LIST, NUMBER, PUT, Cli, ready

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import Server

YEAR_MS = 31_557_600_000
NAME = "张某某"
COURT = "沈阳市和平区人民法院"
LASTS = "suspended until `clearway resume`, which needs a key with list:add"
RESTING = "not now, but could again (suspended, or absent from the last file): sx e1 {}"
NOBODY = "110105187001010012"


@pytest.fixture
def desk(valkey: Server) -> Iterator[Cli]:
    """A service that has one list in full, as of 2019, and nobody on it."""
    with tempfile.TemporaryDirectory(prefix="cw-", dir="/tmp") as folder:
        cli = Cli(Path(folder), redis_url=valkey.url, id_key="ab" * 32)
        load(cli, "2019-01-01", "")
        cli.env["CLEARWAY_API_KEY"] = cli.make_key(SCOPES)
        with cli.serving() as url:
            cli.env["CLEARWAY_URL"] = url
            eventually(lambda: ready(url))
            yield cli


def load(cli: Cli, as_of: str, rows: str) -> None:
    """Load a file with these rows."""
    header = LIST.partition("\n")[0]
    (cli.folder / "list.csv").write_text(f"{header}\n{rows}")
    guards = ("--allow-empty", "--max-removals", "100%")
    ok(cli, "load", str(cli.folder / "list.csv"), "--list", "sx", "--as-of", as_of, *guards)


def put(cli: Cli, *entry_ids: str, years: int = 2, **entry: str) -> None:
    """List the person under these ids, so many years after 2018."""
    headers = {"authorization": f"Bearer {cli.env['CLEARWAY_API_KEY']}"}
    about = {"revision": 1_514_764_800_000 + years * YEAR_MS, "entry": {"court": COURT} | entry}
    puts = [PUT | about | {"entry_id": each} for each in entry_ids]
    url = f"{cli.env['CLEARWAY_URL']}/v1/changes"
    answer = httpx.post(url, json={"changes": puts, "wait": "all"}, headers=headers)
    assert {each["outcome"] for each in answer.json()["results"]} == {"applied"}


def test_who_pays_while_the_last_file_lacks_the_entry_stays_off(desk: Cli) -> None:
    put(desk, "e1")
    load(desk, "2021-01-01", "")
    assert states(desk) == {"e1": "absent"}
    with terminal(desk.env, desk.folder, "remove", *DOCUMENT) as typed:
        typed.answer("Number: ", NUMBER)
        typed.wait_for("the next could bring it back: remove it for good")
        typed.answer("Reason: ", "performed")
        typed.answer("Remove this entry? [y/N]: ", "n")
        assert typed.end() == 1, typed.shown
    assert ok(desk, "remove", *DOCUMENT, stdin=NUMBER) == "applied  sx  e1\n"
    load(desk, "2022-01-01", f"sx,e1,resident_id,{NUMBER}\n")
    assert states(desk) == {"e1": "removed"}


def test_one_that_is_absent_is_not_passed_over_beside_one_that_binds(desk: Cli) -> None:
    put(desk, "e1")
    load(desk, "2021-01-01", "")
    put(desk, "e2", years=4)
    done = run(desk, "remove", *DOCUMENT, stdin=NUMBER)
    assert done.exit_code == 1
    told = {tuple(line.split("\t")[1:3]) for line in done.stderr.splitlines() if "\t" in line}
    assert told == {("e1", "absent"), ("e2", "active")}
    assert "no single entry to remove" in done.stderr
    assert states(desk) == {"e1": "absent", "e2": "active"}


@pytest.mark.parametrize(("op", "state"), [("remove", "removed"), ("suspend", "suspended")])
def test_the_same_line_again_takes_no_other_entry(desk: Cli, op: str, state: str) -> None:
    put(desk, "e1", "e2")
    ok(desk, op, *DOCUMENT, "--entry-id", "e1", stdin=NUMBER)
    again = run(desk, op, *DOCUMENT, stdin=NUMBER)
    assert (again.exit_code, again.stdout) == (1, "")
    told = again.stderr.splitlines()[-1]
    assert re.fullmatch(
        rf"Error: already {state} on {BEIJING}: sx e1; also active: sx e2 {COURT}: name it with "
        r"--list and --entry-id",
        told,
    ), told
    assert states(desk) == {"e1": state, "e2": "active"}
    assert ok(desk, op, *DOCUMENT, "--entry-id", "e2", stdin=NUMBER) == "applied  sx  e2\n"


def test_a_removal_by_mistake_is_taken_back_by_hand(desk: Cli) -> None:
    put(desk, "e1", "e2")
    check = ("check", *DOCUMENT, "--mode", "air")
    for entry_id in ("e1", "e2"):
        ok(desk, "remove", *DOCUMENT, "--entry-id", entry_id, stdin=NUMBER)
    assert ok(desk, *check, stdin=NUMBER) == "allow\n"
    which = run(desk, "reinstate", *DOCUMENT, stdin=NUMBER)
    assert (which.exit_code, which.stdout) == (1, "")
    assert "no single entry to reinstate" in which.stderr
    with terminal(desk.env, desk.folder, "reinstate", *DOCUMENT, "--entry-id", "e1") as typed:
        typed.answer("Number: ", NUMBER)
        typed.answer("Reason: ", "mistaken_removal")
        typed.answer("Put this entry back on its list? [y/N]: ", "y")
        assert typed.end() == 0, typed.shown
    assert GROUPS in typed.shown
    assert states(desk) == {"e1": "active", "e2": "removed"}
    assert ok(desk, *check, stdin=NUMBER).startswith("deny\n")
    again = run(desk, "reinstate", *DOCUMENT, stdin=NUMBER)
    assert again.exit_code == 1
    assert re.search(
        rf"binds already, since {BEIJING}: sx e1 .*; also removed: sx e2", again.stderr
    )
    twice = run(desk, "reinstate", *DOCUMENT, "--entry-id", "e1", stdin=NUMBER)
    assert (twice.exit_code, twice.stdout) == (1, "")
    assert "binds already" in twice.stderr
    weak = desk.folder / "weak"
    weak.write_text(ok(desk, "keys", "create", "--name", "w", "--scopes", "list:read,list:remove"))
    as_weak = ("--entry-id", "e2", "--key-file", str(weak))
    refused = run(desk, "reinstate", *DOCUMENT, *as_weak, stdin=NUMBER)
    assert refused.exit_code == 1
    assert "list:add" in refused.stderr


def test_who_is_not_free_after_a_removal_is_told_what_still_binds(desk: Cli) -> None:
    put(desk, "e1", "e2", "e3")
    for op, entry_id, told in (
        ("suspend", "e1", {LASTS, "2 more entries still bind this person: sx e2 {}; sx e3 {}"}),
        ("remove", "e2", {"1 more entry still binds this person: sx e3 {}", RESTING}),
        ("remove", "e3", {"under this document nothing binds now", RESTING}),
        ("remove", "e1", {"under this document nothing binds now"}),
    ):
        done = run(desk, op, *DOCUMENT, "--entry-id", entry_id, stdin=NUMBER)
        assert done.stdout == f"applied  sx  {entry_id}\n"
        assert {line.replace(COURT, "{}") for line in done.stderr.splitlines()} == told


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ("suspended", "was suspended before it was removed: it will bind"),
        ("absent", "was absent from the last file before it was removed: it will bind"),
    ],
)
def test_what_a_reinstated_entry_was_is_told_and_what_binds_then(
    desk: Cli, state: str, told: str
) -> None:
    put(desk, "e1")
    if state == "absent":
        load(desk, "2021-01-01", "")
    else:
        ok(desk, "suspend", *DOCUMENT, stdin=NUMBER)
    assert states(desk) == {"e1": state}
    ok(desk, "remove", *DOCUMENT, stdin=NUMBER)
    with terminal(desk.env, desk.folder, "reinstate", *DOCUMENT) as typed:
        typed.answer("Number: ", NUMBER)
        typed.wait_for(told)
        typed.answer("Reason: ", "mistaken_removal")
        typed.answer("Put this entry back on its list? [y/N]: ", "n")
        assert typed.end() == 1, typed.shown
    done = run(desk, "reinstate", *DOCUMENT, stdin=NUMBER)
    assert (done.exit_code, done.stdout) == (0, "applied  sx  e1\n")
    assert done.stderr == f"1 entry binds this person now: sx e1 {COURT}\n"
    assert states(desk) == {"e1": "active"}


def test_what_a_file_has_ended_is_not_there_to_be_reinstated(desk: Cli) -> None:
    put(desk, "e1")
    load(desk, "2021-01-01", "")
    for which in ((), ("--entry-id", "e1")):
        done = run(desk, "reinstate", *DOCUMENT, *which, stdin=NUMBER)
        assert (done.exit_code, done.stdout) == (1, "")
        assert "not removed; nothing to reinstate: sx e1, absent" in done.stderr
    assert states(desk) == {"e1": "absent"}


def test_no_more_is_claimed_free_than_the_document_that_was_looked_at(desk: Cli) -> None:
    put(desk, "e1")
    other = PUT | {"entry_id": "e2", "document": {"type": "hk_macao_permit", "number": "H12345678"}}
    (desk.folder / "line.jsonl").write_text(json.dumps(other | {"revision": 1_764_000_000_000}))
    ok(desk, "push", str(desk.folder / "line.jsonl"))
    done = run(desk, "remove", *DOCUMENT, stdin=NUMBER)
    assert (done.exit_code, done.stdout) == (0, "applied  sx  e1\n")
    assert done.stderr == "under this document nothing binds now\n"
    permit = ("--type", "hk_macao_permit", "--number", "-")
    assert ok(desk, "check", *permit, "--mode", "air", stdin="H12345678").startswith("deny\n")


def test_whose_name_the_entry_has_is_told_but_not_the_name(desk: Cli) -> None:
    put(desk, "e1", name=NAME)
    for name, told in ((NAME, "match"), ("李某某", "mismatch"), ("ZHANG", "not_compared")):
        row = ok(desk, "find", *DOCUMENT, "--name", name, stdin=NUMBER)
        assert row.endswith(f"\t{told}\n")
        (entry,) = json.loads(ok(desk, "find", *DOCUMENT, "--name", name, "--json", stdin=NUMBER))[
            "entries"
        ]
        assert entry["name_check"] == told
        assert NAME not in row + json.dumps(entry, ensure_ascii=False)
    other = run(desk, "remove", *DOCUMENT, "--name", "李某某", stdin=NUMBER)
    assert (other.exit_code, other.stdout) == (1, "")
    told = "the name is not the entry's: nothing was changed; type number and name again\n"
    assert other.stderr == f"Error: {told}"
    assert states(desk) == {"e1": "active"}
    assert ok(desk, "remove", *DOCUMENT, "--name", NAME, stdin=NUMBER) == "applied  sx  e1\n"
    assert not ok(desk, "find", *DOCUMENT, stdin=NUMBER).endswith("match\n")


def readme_lines() -> list[str]:
    """What README has somebody do who has been paid."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    block = text.split("Somebody has paid?", 1)[1].split("```", 2)[1]
    return [line.removeprefix("$ clearway ") for line in block.splitlines() if "clearway " in line]


def test_what_readme_says_of_somebody_who_has_paid_makes_them_free(desk: Cli) -> None:
    put(desk, "e1")
    find, remove, check = readme_lines()
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (scopes,) = re.findall(r"keys create --name counter --scopes (\S+)\n", text)
    made = run(desk, "keys", "create", "--name", "counter", "--scopes", scopes)
    desk.env["CLEARWAY_API_KEY"] = made.stdout.strip()
    assert f"for counter: {scopes.replace(',', ', ')}\n" in text
    assert f"for counter: {scopes.replace(',', ', ')}\n" in made.stderr
    assert "\te1\tactive\t" in ok(desk, *find.split(), stdin=NUMBER)
    assert ok(desk, *remove.split(), stdin=NUMBER) == "applied  sx  e1\n"
    assert ok(desk, *check.split(), stdin=NUMBER) == "allow\n"


def test_a_number_that_was_typed_unseen_is_shown_where_nothing_is_found_too(desk: Cli) -> None:
    put(desk, "e1")
    with terminal(desk.env, desk.folder, "find", *DOCUMENT) as typed:
        typed.answer("Number: ", NUMBER)
        assert typed.end() == 0, typed.shown
    assert GROUPS in typed.shown
    for command in ("find", "remove"):
        with terminal(desk.env, desk.folder, command, *DOCUMENT) as typed:
            typed.answer("Number: ", NOBODY)
            typed.end()
        assert "110105 1870 0101 0012" in typed.shown
        assert "no entry of this person; 1 list is loaded" in typed.shown


DOUBTS = {
    WRONG: "the check digit would be 0",
    NUMBER[:-1]: "17 characters; a resident ID has 18",
    NUMBER.replace("0", "O", 1): "a digit belongs in place 3",
}


def test_what_can_be_nobodys_number_is_said_first(desk: Cli) -> None:
    headers = {"authorization": f"Bearer {desk.env['CLEARWAY_API_KEY']}"}
    url = f"{desk.env['CLEARWAY_URL']}/v1/entries/find"
    codes = []
    for number, why in DOUBTS.items():
        doubt = f"this number cannot be valid: {why}"
        for command in ("find", "remove"):
            told = run(desk, command, *DOCUMENT, stdin=number).stderr.removeprefix("Error: ")
            assert told == f"{doubt}; no entry of this person; 1 list is loaded\n"
        body = {"document": {"type": "resident_id", "number": number}}
        answer = httpx.post(url, json=body, headers=headers)
        codes.append(answer.json()["doubt"]["code"])
        assert number not in answer.text
    assert codes == ["check_digit", "length", "letter"]


def test_a_resident_number_under_another_type_is_said_first(desk: Cli) -> None:
    put(desk, "e1")
    other = ("--type", "other", "--issuer", "CHN", "--kind", "military", "--number", "-")
    for which in (other, ("--type", "taiwan_permit", "--number", "-")):
        for command in ("find", "remove"):
            told = run(desk, command, *which, stdin=NUMBER).stderr.removeprefix("Error: ")
            assert told == (
                "this is the number of a resident ID: look under the type resident_id; "
                "no entry of this person; 1 list is loaded\n"
            )
    assert states(desk) == {"e1": "active"}


def test_a_reason_is_taken_as_it_is_called_once_the_entry_was_shown(desk: Cli) -> None:
    put(desk, "e1", "e2")
    for reason, entry_id in (("已履行", "e1"), ("the obligation is performed", "e2")):
        lang = "zh" if reason == "已履行" else "en"
        command = ("remove", *DOCUMENT, "--entry-id", entry_id, "--lang", lang)
        with terminal(desk.env, desk.folder, *command) as typed:
            typed.answer("证件号码: " if lang == "zh" else "Number: ", NUMBER)
            typed.wait_for(COURT)
            typed.answer("理由: " if lang == "zh" else "Reason: ", reason)
            typed.answer("[y/N]: ", "y")
            assert typed.end() == 0, typed.shown
    suspended = ("suspend", *DOCUMENT, "--entry-id", "e3", "--reason", "异议处理中")
    put(desk, "e3")
    ok(desk, *suspended, stdin=NUMBER)
    found = json.loads(ok(desk, "find", *DOCUMENT, "--json", stdin=NUMBER))["entries"]
    reasons = {each["entry_id"]: each["reason"] for each in found}
    assert reasons == {"e1": "performed", "e2": "performed", "e3": "dispute"}
    wrong = run(desk, "remove", *DOCUMENT, "--reason", "异议处理中", stdin=NUMBER)
    assert wrong.exit_code == 2


def test_the_line_that_the_manual_has_for_push_lists_somebody(desk: Cli) -> None:
    manual = (ROOT / "docs/api.md").read_text(encoding="utf-8")
    section = manual.split("\n### The desk\n", 1)[1].split("\n### ", 1)[0]
    (line,) = re.findall(r"```json\n\s*(\{.*\})\n", section)
    (desk.folder / "line.jsonl").write_text(line + "\n")
    ok(desk, "push", str(desk.folder / "line.jsonl"))
    (entry,) = json.loads(ok(desk, "find", *DOCUMENT, "--json", stdin=NUMBER))["entries"]
    assert (entry["state"], entry["entry_id"]) == ("active", json.loads(line)["entry_id"])
    assert entry["case"] == json.loads(line)["entry"]["case"]
