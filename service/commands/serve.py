"""The command that runs the service."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import click

from roster.opening import Opening
from roster.settings import read_settings


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8080, show_default=True, type=click.IntRange(0, 65535))
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 256))
def serve(host: str, port: int, workers: int) -> None:
    """Run the service until it is told to end."""
    # The web framework takes longer to import than most other commands take to run.
    from service.app import look_before  # noqa: PLC0415 -- see above
    from service.server.server import Listen, require_safe, run, set_up_logging  # noqa: PLC0415 -- see above

    settings = read_settings(os.environ)
    listen = Listen(host, port, workers)
    require_safe(listen, settings)
    set_up_logging(settings)
    # uvicorn hands the signal on when it is done; the embedded server must be let go then.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with Opening(settings) as opening:
        asyncio.run(look_before(settings, opening))
        try:
            started = run(listen, settings)
        except KeyboardInterrupt:
            started = True
    if not started:
        raise click.exceptions.Exit(1)
