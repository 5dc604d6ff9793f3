"""The users that docs/operations.md gives a Redis: each can do what it must, and no more."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import redis
from click.testing import CliRunner

import clearway
from roster import keys
from roster.redis.calls import library
from roster.storage.api_keys import ApiKey
from tests.loader.loads import number, row, write
from tests.roster.test_tls import found, value
from tests.servers import Server, eventually, free_port
from tests.service.rosters import AIR, edit
from tests.service.served import Served
from tests.source import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    import httpx

LINE = re.compile(r"^ACL SETUSER (\S+) (.+)$", re.MULTILINE)
SECRET = "s3cret-{}"
ROOT_USER = ["on", ">root", "~*", "&*", "+@all"]
CHECK, SERVICE, LOADER, OPERATOR, FIND = (
    f"clearway-{name}" for name in ("check", "service", "loader", "operator", "find")
)
ALL = "check,standing,feed,list:read,list:add,list:remove,ops,audit"
LEASES = {keys.RENEWAL, keys.CANARY}
ENDED = "0" * 12
LATER = 1_700_000_000_000
DAY = "2020-01-0{}"
BUCKET = keys.bucket(0, 0)
OLD = """#!lua name=clearway_0123456789ab
redis.register_function('an_old_one', function() return 1 end)
"""
CALLED = re.compile(r"\bcall\('([A-Z]{3,})'|drop_block\([^)]*'([A-Z]+)'")
DENIED = re.compile(r"ACL failure in script|The user executing the script can't")
THROUGH = "return redis.call(ARGV[1], KEYS[1], unpack(ARGV, 2))"
FORBIDDEN: dict[str, list[tuple[str, ...]]] = {
    CHECK: [
        ("HSET", BUCKET, "f", "v"),
        ("HSET", keys.KEYS, "id", "{}"),
        ("HSET", keys.LISTS, "sx", "{}"),
        ("HDEL", keys.KEYS, "id"),
        ("SET", keys.IMAGE[0], ""),
        ("SET", keys.RENEWAL, "me"),
        ("XADD", keys.LOG[0], "*", "e", ""),
        ("XTRIM", keys.AUDIT[0], "MAXLEN", "0"),
        ("DEL", keys.META[0]),
    ],
    SERVICE: [
        ("HSET", keys.KEYS, "id", "{}"),
        ("HSET", keys.LISTS, "sx", "{}"),
        ("SET", keys.LOAD, "me"),
        ("HSET", keys.LOADS, "1", "{}"),
    ],
    LOADER: [
        ("HSET", keys.KEYS, "id", "{}"),
        ("HSET", keys.LISTS, "sx", "{}"),
        ("SET", keys.RENEWAL, "me"),
        ("HINCRBY", keys.DECISIONS, "air allow", "1"),
    ],
    OPERATOR: [
        ("HSET", BUCKET, "f", "v"),
        ("SET", keys.LOAD, "me"),
        ("HINCRBY", keys.DECISIONS, "air allow", "1"),
    ],
}
NOBODY: list[tuple[str, ...]] = [
    ("GET", "another"), ("SET", "another", ""), ("KEYS", "*"), ("SCAN", "0"), ("FLUSHALL",),
    ("FUNCTION", "FLUSH"), ("CONFIG", "SET", "appendonly", "no"), ("ACL", "LIST"),
    ("PUBLISH", "another", ""), ("SHUTDOWN", "NOSAVE"), ("CLIENT", "LIST"), ("MONITOR",),
    ("REPLICAOF", "127.0.0.1", "1"), ("SCRIPT", "FLUSH"), ("RANDOMKEY",),
]  # fmt: skip


class Site:
    """A server with the document's users alone, and programs that log in as one of them."""

    def __init__(self, server: Server, folder: Path, *, modern: bool) -> None:
        """Redis 7.0, which is not modern, has no WAITAOF, and is spared what takes long."""
        self.server, self.folder, self.modern = server, folder, modern
        self.service = Served(server, folder)
        with server.client() as client:
            client.execute_command("ACL", "SETUSER", "root", *ROOT_USER)
            for name, rules in documented():
                if name == FIND:
                    continue
                known = [each for each in rules if modern or each != "+waitaof"]
                client.execute_command("ACL", "SETUSER", name, *known)
            client.execute_command("ACL", "SETUSER", "default", "off", "resetpass")
        self.folder.joinpath("passwords").mkdir()

    def url(self, user: str) -> str:
        """With the password in a file."""
        file = self.folder / "passwords" / user
        file.write_text(f"{SECRET.format(user)}\n")
        return f"unix://{user}@{self.server.socket}?password_file={file}"

    def run(self, user: str, *arguments: str, status: int = 0) -> str:
        """What a command says that logs in as this user."""
        env = self.service.settings | {"CLEARWAY_REDIS_URL": self.url(user)}
        done = CliRunner().invoke(clearway.main, arguments, env=env)
        told = (arguments, done.output, self.refused(user) if done.exit_code != status else "")
        assert done.exit_code == status, told
        assert "s3cret" not in done.output
        return done.stdout if status == 0 else done.output

    def client(self, user: str) -> redis.Redis:
        password = "root" if user == "root" else SECRET.format(user)
        return redis.Redis(
            unix_socket_path=str(self.server.socket), username=user, password=password, protocol=2
        )

    def refused(self, user: str) -> list[tuple[str, str]]:
        """What the server has refused this user since it was asked last."""
        with self.client("root") as client:
            found = client.acl_log()
            client.acl_log_reset()
        return [(each["reason"], each["object"]) for each in found if each["username"] == user]

    @contextmanager
    def serving(self, user: str) -> Iterator[httpx.Client]:
        self.service.settings["CLEARWAY_REDIS_URL"] = self.url(user)
        with self.service.running() as running, running.client() as client:
            yield client
        assert "s3cret" not in running.log


def documented() -> list[tuple[str, list[str]]]:
    """The users of the document, with passwords of the test's."""
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    users = [each for each in LINE.findall(text) if each[0].startswith("clearway-")]
    return [
        (name, [f">{SECRET.format(name)}" if each[0] == ">" else each for each in rules.split()])
        for name, rules in users
    ]


@pytest.fixture(params=["valkey_binary", "redis7_binary"])
def site(
    request: pytest.FixtureRequest, make_server: Callable[..., Server], tmp_path: Path
) -> Site:
    binary = request.getfixturevalue(request.param)
    server = make_server(binary=binary)
    return Site(server, tmp_path, modern=request.param == "valkey_binary")


def test_who_serves_and_who_loads_may_call_all_that_the_library_calls() -> None:
    """Also what it calls once in a long time, of which no other test here hears."""
    files = sorted((ROOT / "roster" / "lua").glob("*.lua"))
    found = (CALLED.findall(file.read_text(encoding="utf-8")) for file in files)
    words = {word for pairs in found for pair in pairs for word in pair if word}
    assert {"XREVRANGE", "XADD", "HSET"} <= words
    for name, rules in documented():
        given = {rule.strip("()+").partition("|")[0].upper() for rule in rules if "+" in rule}
        if name in {SERVICE, LOADER}:
            wanted = words - ({"RESTORE"} if name == SERVICE else set())
            assert wanted - given == set()
        if name != FIND:
            assert "XREVRANGE" in given  # whoever writes the audit


@pytest.mark.timeout(600)
def test_each_user_of_redis_can_do_what_it_must_and_no_more(site: Site) -> None:
    files = [write(site.folder / f"{day}.csv", map(row, range(30 - day))) for day in (1, 2)]
    load = ["load", files[0], "--list", "sx", "--as-of", DAY.format(1)]
    assert "may not load them: run `clearway functions`" in site.run(LOADER, *load, status=1)
    assert "FUNCTION" in str(site.refused(LOADER)).upper()
    assert "is loaded" in site.run(OPERATOR, "functions")
    site.run(LOADER, *load)
    site.run(LOADER, "load", files[1], "--list", "sx", "--as-of", DAY.format(2))
    site.run(LOADER, "verify", files[1], "--list", "sx")
    site.run(LOADER, "undo", "3")
    site.run(LOADER, "loads")
    assert site.refused(LOADER) == []
    site.service.key = site.run(OPERATOR, "keys", "create", "--name", "n", "--scopes", ALL).strip()
    if site.modern:
        operate(site)
    assert site.refused(OPERATOR) == []
    ended_long_ago(site)
    with site.serving(SERVICE) as client:
        changes_are_taken(client)
        figures_are_told(client)
        if site.modern:
            eventually(lambda: chores_are_done(site))
    # The daily round would drop old functions, and leaves that to the operator.
    assert site.refused(SERVICE) in ([], [("command", "function|list")])
    with site.serving(CHECK) as client:
        checks_are_answered_and_changes_are_not(client)
        figures_are_told(client)
    # What it asks for and does not get: the change, and the leases of what others do.
    asked = {what for _, what in site.refused(CHECK)} - LEASES
    assert all(re.fullmatch(r"clearway:\{\d\d\}:b:[0-9a-f]{4}", what) for what in asked)
    assert len(asked) == 1
    for user, commands in FORBIDDEN.items():
        nothing_else_is_let(site, user, commands)


def operate(site: Site) -> None:
    """Keys and lists, a backup that was restored and is accepted, functions of another version."""
    spare = site.run(OPERATOR, "keys", "create", "--name", "spare", "--scopes", "check").split("_")[
        1
    ]
    site.run(OPERATOR, "keys", "rotate", spare)
    site.run(OPERATOR, "keys", "revoke", spare)
    site.run(OPERATOR, "keys", "list")
    site.run(OPERATOR, "lists")
    site.run(OPERATOR, "lists", "disable", "xgl", "--reason", "wrong")
    site.run(OPERATOR, "lists", "enable", "xgl")
    site.run(OPERATOR, "restored")
    site.run(OPERATOR, "accept", "--reason", "a test")
    with site.client("root") as client:
        client.function_load(OLD)
    told = json.loads(site.run(OPERATOR, "functions", "--json"))
    assert told == {"loaded": library().name, "dropped": ["clearway_0123456789ab"]}


def changes_are_taken(client: httpx.Client) -> None:
    for at, op in enumerate(("put", "suspend", "resume", "remove")):
        reason = {"suspend": "dispute", "remove": "performed"}.get(op)
        told = client.post(
            "/v1/changes", json={"changes": [edit(op, LATER + at, reason=reason)], "wait": "all"}
        )
        assert told.json()["results"][0]["outcome"] == "applied", told.text
    both = [edit("put", LATER, entry_id="e/2")]
    assert client.post("/v1/changes", json={"changes": both, "wait": "all"}).status_code == 200
    assert check(client)["decision"] == "deny"


def checks_are_answered_and_changes_are_not(client: httpx.Client) -> None:
    assert check(client)["decision"] == "deny"
    listed = {"type": "resident_id", "number": number(3)}
    assert check(client, listed)["decision"] == "deny"
    assert check(client, {"type": "resident_id", "number": number(700)})["decision"] == "allow"
    told = client.post("/v1/changes", json={"changes": [edit("put", 99)]})
    assert told.status_code == 503


def check(client: httpx.Client, document: Mapping[str, str] | None = None) -> Any:  # noqa: ANN401 -- JSON
    asked = {"document": document or edit("put")["document"], "journey": AIR}
    told = client.post("/v1/check", json=asked)
    assert told.status_code == 200, told.text
    return told.json()


def figures_are_told(client: httpx.Client) -> None:
    document = edit("put")["document"]
    for path in ("/v1/entries/find", "/v1/entries/history", "/v1/standing"):
        assert client.post(path, json={"document": document}).status_code == 200
    for path in ("/v1/roster", "/metrics", "/v1/changes", "/readyz"):
        assert client.get(path).status_code == 200
    eventually(lambda: denials(client) > 0)


def denials(client: httpx.Client) -> int:
    """How many are in the audit."""
    found = client.get("/v1/audit").json()["records"]
    return sum(each["kind"] == "decision" for each in found)


def ended_long_ago(site: Site) -> None:
    """There is an API key that the daily round drops."""
    key = ApiKey(id=ENDED, name="n", scopes=("check",), hash=b"", created_ms=0, expires_ms=1)
    with site.client("root") as client:
        client.hset(keys.KEYS, ENDED, msgspec.json.encode(key))
        client.hset(keys.USED, ENDED, 1)


def chores_are_done(site: Site) -> bool:
    """Whether images are renewed, the daily round drops what is old, and counts are written."""
    with site.client("root") as client:
        old = client.hexists(keys.KEYS, ENDED) or client.hexists(keys.USED, ENDED)
        return not old and bool(client.exists(keys.FORGETTING) and client.exists(keys.DECISIONS))


def nothing_else_is_let(site: Site, user: str, commands: list[tuple[str, ...]]) -> None:
    loading = [] if user == OPERATOR else [("FUNCTION", "DELETE", "x"), ("FUNCTION", "LOAD", "x")]
    with site.client(user) as client:
        for command in (*commands, *NOBODY, *loading):
            with pytest.raises(redis.exceptions.NoPermissionError):
                client.execute_command(*command)
        for name, key, *rest in commands:
            with pytest.raises(redis.exceptions.ResponseError, match=DENIED):
                client.eval(THROUGH, 1, key, name, *rest)


async def test_the_user_of_sentinels_finds_the_primary_and_can_do_no_more(
    make_server: Callable[..., Server], redis7_binary: str, tmp_path: Path, short_folder: Path
) -> None:
    port, sentinel_port = free_port(), free_port()
    make_server({"port": str(port)})
    binary = short_folder / "redis-sentinel"  # the name makes it one
    binary.symlink_to(redis7_binary)
    watched = {"port": str(sentinel_port), f"sentinel monitor roster 127.0.0.1 {port}": "1"}
    sentinel = make_server(watched, binary=str(binary))
    with sentinel.client() as client:
        client.execute_command("ACL", "SETUSER", FIND, *dict(documented())[FIND])
        client.execute_command("ACL", "SETUSER", "default", "off")
    file = tmp_path / "password"
    file.write_text(SECRET.format(FIND))
    own = f"sentinel_username={FIND}&sentinel_password_file={file}"
    async with found(f"redis+sentinel://127.0.0.1:{sentinel_port}/roster?{own}") as nodes:
        assert await value(nodes) == b"v"
    link = redis.Redis(port=sentinel_port, username=FIND, password=SECRET.format(FIND), protocol=2)
    with link as client:
        assert client.execute_command("SENTINEL", "MASTER", "roster")
        for command in ("SENTINEL FAILOVER roster", "SENTINEL REMOVE roster", "ACL LIST"):
            with pytest.raises(redis.exceptions.NoPermissionError):
                client.execute_command(*command.split())
    sentinel.kill()
