"""What the kernel does with our connections when nothing comes back, in networks of our own.

`unshare --map-root-user --net python -m tests.faults.blackhole SERVER FOLDER` starts the server
behind a cable, connects, loses what the server says, and prints as JSON after how many seconds
an idle connection and one that waits for an answer have ended.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from roster.redis.connection import follow_client
from roster.redis.target import parse_target
from tests.servers import Server, eventually

PORT = 7000
HERE, THERE = "10.77.0.1", "10.77.0.2"
LONG_S = 20.0


def run(*command: str) -> None:
    subprocess.run(command, check=True)


def other_network() -> subprocess.Popen[bytes]:
    """A process in another network, at the end of a cable."""
    held = subprocess.Popen(["unshare", "--net", "sleep", "120"])
    own = Path("/proc/self/ns/net").readlink()
    eventually(lambda: Path(f"/proc/{held.pid}/ns/net").readlink() != own)
    run("ip", "link", "add", "here", "type", "veth", "peer", "name", "there")
    run("ip", "link", "set", "there", "netns", str(held.pid))
    run("ip", "addr", "add", f"{HERE}/24", "dev", "here")
    run("ip", "link", "set", "here", "up")
    there = ["nsenter", f"--net=/proc/{held.pid}/ns/net", "ip"]
    run(*there, "addr", "add", f"{THERE}/24", "dev", "there")
    run(*there, "link", "set", "there", "up")
    return held


def server_in(held: subprocess.Popen[bytes], binary: str, folder: Path) -> Server:
    """A server in that network; its socket is in the folder as always."""
    wrapper = folder / "server"
    wrapper.write_text(f'#!/bin/sh\nexec nsenter --net=/proc/{held.pid}/ns/net {binary} "$@"\n')
    wrapper.chmod(0o700)
    settings = {"port": str(PORT), "bind": THERE, "protected-mode": "no"}
    server = Server(str(wrapper), folder, settings)
    server.start()
    return server


async def ended_after_s(connection: Any, *, asking: bool, lost: float) -> float:  # noqa: ANN401 -- redis-py's
    """Since the loss; at most `LONG_S`."""
    if asking:
        await connection.send_packed_command([b"*1\r\n$4\r\nPING\r\n"])
    try:
        async with asyncio.timeout(LONG_S):
            await connection._reader.read(1)
    except OSError:
        pass
    return time.monotonic() - lost


async def main(held: subprocess.Popen[bytes]) -> None:
    client = follow_client(parse_target(f"redis://{THERE}:{PORT}"))
    pool: Any = client.connection_pool
    idle, asking = await pool.get_connection(), await pool.get_connection()
    run("nsenter", f"--net=/proc/{held.pid}/ns/net", "ip", "route", "add", "blackhole", HERE)
    lost = time.monotonic()
    took = await asyncio.gather(
        ended_after_s(idle, asking=False, lost=lost), ended_after_s(asking, asking=True, lost=lost)
    )
    sys.stdout.write(json.dumps({"idle": took[0], "asking": took[1]}))
    sys.stdout.flush()
    await client.aclose()


if __name__ == "__main__":
    with ExitStack() as stack:
        other = other_network()
        stack.callback(other.wait)
        stack.callback(other.kill)
        behind = server_in(other, sys.argv[1], Path(sys.argv[2]))
        stack.callback(behind.kill)
        asyncio.run(main(other))
