"""The audit of very many denials: its size, how fast one is found, what recording one costs.

    python -m benchmarks audit [--denials 1000000] [--a-write 1000] [--json]

Denials are recorded as a process records them, so many to a write of all partitions, on an
embedded server. Then single ones are asked for over HTTP. Ends with status 1 where a limit is
missed.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import statistics
import time
from typing import TYPE_CHECKING, Any

import click
import httpx

from benchmarks.measuring.report import Figure, Report, benchmark
from benchmarks.measuring.stage import Stage, stage
from roster.documents.tokeniser import Tokeniser
from roster.id_key import FILE_NAME
from roster.records.blocks import Chain
from roster.redis.connection import change_client
from roster.redis.nodes import open_nodes
from roster.redis.target import parse_target
from roster.rules.verdict import Reason, Verdict
from service.audit.recorder import DecidedCheck, Recorder
from service.deciding.answers import recorded_decision_id
from service.deciding.screening import Screening

if TYPE_CHECKING:
    from collections.abc import Iterator

QUERIES = 200
COURTS = 3_500
_KEY_ID = "0123456789ab"


def screening(draw: random.Random) -> Screening:
    """What a denial of somebody on one list is made of."""
    token = bytes((0, draw.randrange(64))) + draw.randbytes(14)
    case = f"(2018)京0105执{draw.randrange(10**5)}号"
    reason = Reason("listed", "sx", f"{case}/1", case, f"第{draw.randrange(COURTS)}人民法院")
    position = secrets.token_urlsafe(15)
    return Screening(Verdict("deny", (reason,)), token, position, stale=False, on_roster=True)  # type: ignore[arg-type]


def recorded(audit: Recorder, people: list[Screening], first: int) -> list[str]:
    """The names of denials of these people, recorded as a check records them."""
    names = []
    for number, each in enumerate(people, first):
        name = recorded_decision_id(f"{0:016x}{number:08x}", each.token)
        audit.decided.append(DecidedCheck(time.time_ns(), name, _KEY_ID, "rail", each))
        names.append(name)
    return names


async def filled(
    place: Stage, denials: int, a_write: int, limit_us: float
) -> tuple[list[Figure], list[str]]:
    """What so many denials cost this process, and the names of some of them."""
    draw = random.Random(1)
    target = parse_target(f"unix://{place.socket}")
    nodes = open_nodes(target, change_client)
    key = Tokeniser(bytes.fromhex((place.data / FILE_NAME).read_text())).seal_key
    courts = {f"第{n}人民法院": n.to_bytes(4) for n in range(COURTS)}
    audit = Recorder(Chain(secrets.token_hex(6), key), nodes, courts)
    people = [screening(draw) for _ in range(a_write)]
    hot_s = packing_s = 0.0
    names: list[str] = []
    for first in range(0, denials, a_write):
        began_s = time.process_time()
        told = recorded(audit, people, first)
        hot_s += time.process_time() - began_s
        names.append(draw.choice(told))
        began_s = time.process_time()
        await audit.flush()
        packing_s += time.process_time() - began_s
    await nodes.close()
    figures = [
        Figure("recording a denied check", hot_s / denials * 1e6, "us", at_most=limit_us),
        Figure("packing, sealing and writing it, later", packing_s / denials * 1e6, "us"),
        Figure("blocks", audit.head.blocks),
    ]
    return figures, names


def asked(url: str, key: str, names: list[str], limit_ms: float) -> Iterator[Figure]:
    """How long single denials take to be found, over HTTP."""
    times = []
    with httpx.Client(base_url=url, headers={"authorization": f"Bearer {key}"}) as client:
        for name in names[:QUERIES]:
            began_s = time.perf_counter()
            answer = client.get("/v1/audit", params={"decision": name}).json()
            times.append((time.perf_counter() - began_s) * 1_000)
            if [each["decision_id"] for each in answer["records"]] != [name]:
                raise click.ClickException(f"a denial was not found: {answer}")
    yield Figure("a query by decision: p50", statistics.median(times), "ms")
    yield Figure("a query by decision: longest", max(times), "ms", at_most=limit_ms)


@benchmark(__doc__)
@click.option("--denials", default=1_000_000, show_default=True)
@click.option("--a-write", default=1_000, show_default=True, help="Denials to a write.")
@click.option("--limit-us", default=5.0, show_default=True, help="To record one.")
@click.option("--limit-ms", default=50.0, show_default=True, help="To find one.")
def main(*, limit_ms: float, **given: Any) -> Report:  # noqa: ANN401 -- click's
    """What was measured."""
    with stage() as place, place.server():
        key = place.key("audit")
        place.load(place.generate(300, 500))  # a service without lists is not ready
        with place.serve() as running, place.client() as redis:
            before = redis.info("memory")["used_memory"]
            log_before = redis.info("persistence").get("aof_current_size", 0)
            figures, names = asyncio.run(filled(place, **given))
            denials = given["denials"]
            memory = (redis.info("memory")["used_memory"] - before) / denials
            log = (redis.info("persistence").get("aof_current_size", 0) - log_before) / denials
            figures += [
                Figure("memory a record", memory, "bytes"),
                Figure("append-only file a record", log, "bytes"),
            ]
            random.Random(2).shuffle(names)
            figures += asked(f"http://127.0.0.1:{running.port}", key, names, limit_ms)
    return Report(figures)


if __name__ == "__main__":
    main()
