"""The service that a team would write first: FastAPI, redis-py, one SET of numbers.

    PEER_SOCKET=/path/valkey.sock PEER_SET=listed uvicorn benchmarks.compared.peer:app

Nothing in it is held back: asyncio client with hiredis, one pipeline for a batch, pydantic
models with no more checks than they need, no API keys, no rate limits, no reasons, no terms.
"""

import os
from typing import Literal

import redis.asyncio as redis
from fastapi import FastAPI
from pydantic import BaseModel

LISTED = os.environ["PEER_SET"]


class Document(BaseModel):
    """Whose number it is does not matter to this service."""

    type: str
    number: str
    issuer: str | None = None


class Journey(BaseModel):
    """Taken as sent: this service knows only whether somebody is listed."""

    mode: Literal["air", "rail", "ship"]
    train: str | None = None
    seat: str | None = None


class Check(BaseModel):
    """One traveller, one journey."""

    document: Document
    journey: Journey


class Item(BaseModel):
    """One traveller of a batch; a journey or a name of their own is not even looked at."""

    document: Document


class Batch(BaseModel):
    """Several travellers, one journey or several."""

    items: list[Item]
    journey: Journey | None = None


class Decision(BaseModel):
    """All that it can say."""

    decision: Literal["allow", "deny"]


class Decisions(BaseModel):
    """The same for each."""

    results: list[Decision]


store = redis.Redis(unix_socket_path=os.environ["PEER_SOCKET"], decode_responses=True)
app = FastAPI()


@app.get("/healthz")
async def healthz() -> dict[str, bool]:
    """Whether it lives."""
    return {"alive": True}


@app.post("/v1/check")
async def check(asked: Check) -> Decision:
    """Deny where the number is in the SET."""
    listed = await store.sismember(LISTED, asked.document.number)
    return Decision(decision="deny" if listed else "allow")


@app.post("/v1/check/batch")
async def batch(asked: Batch) -> Decisions:
    """The same for many, in one round trip."""
    async with store.pipeline(transaction=False) as pipeline:
        for item in asked.items:
            pipeline.sismember(LISTED, item.document.number)
        found = await pipeline.execute()
    return Decisions(results=[Decision(decision="deny" if each else "allow") for each in found])
