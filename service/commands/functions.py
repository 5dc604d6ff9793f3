"""The command that brings this version's functions into Redis, where the service may not."""

from __future__ import annotations

import asyncio
import os

import click

from roster.opening import Opening
from roster.redis.calls import library
from roster.settings import read_settings
from roster.storage.processes import Processes
from roster.storage.retention import retire_libraries
from service.commands.tables import print_json


@click.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def functions(*, as_json: bool) -> None:
    """Load this version's functions into Redis; drop those that no live process calls."""
    with Opening(read_settings(os.environ)) as opening:
        gone = asyncio.run(_brought(opening))
    if as_json:
        print_json({"loaded": library().name, "dropped": gone})
        return
    click.echo(f"{library().name} is loaded")
    for name in gone:
        click.echo(f"{name} is dropped: no live process calls it")


async def _brought(opening: Opening) -> list[str]:
    async with opening.changing() as nodes:
        await nodes.load_library()
        return await retire_libraries(nodes, await Processes(nodes).live())
