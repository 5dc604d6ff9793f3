"""The one command that a person types: mounts the service's, the loader's, and the demo."""

from __future__ import annotations

import errno
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any


@contextmanager
def ending_on_interrupt() -> Iterator[None]:
    """Let Ctrl-C end the program, no more, while something is imported: nobody can catch it."""
    ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if ours:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)


with ending_on_interrupt():
    import click

    from roster.errors import ClearwayError, WrongUsage, cause_of
    from service.commands.terminal import prepare

COMMANDS = {
    "accept": "service.commands.rewinds:accept",
    "audit": "service.commands.audit:audit",
    "check": "service.commands.by_hand:check",
    "demo": "service.commands.demo:demo",
    "find": "service.commands.by_hand:find",
    "functions": "service.commands.functions:functions",
    "generate": "loader.commands:generate_command",
    "keys": "service.commands.keys:keys",
    "lists": "service.commands.roster:lists",
    "load": "loader.commands:load_command",
    "loads": "service.commands.loads:loads_command",
    "push": "loader.pushing.push:push",
    "remove": "service.commands.by_hand:remove",
    "restored": "service.commands.rewinds:restored",
    "resume": "service.commands.by_hand:resume",
    "serve": "service.commands.serve:serve",
    "sign": "loader.commands:sign_command",
    "status": "service.commands.roster:status",
    "suspend": "service.commands.by_hand:suspend",
    "undo": "loader.commands:undo_command",
    "verify": "loader.commands:verify_command",
    "watch": "loader.commands:watch_command",
}
"""Where each command is: only that of the one that is called is imported."""

DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS})
"""What can happen to whatever is written."""


class Commands(click.Group):
    """The commands; what Clearway refuses is told in one line, with status 1."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """All of them, in alphabetical order."""
        return sorted(COMMANDS)

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        """The command of that name, if there is one."""
        if name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[name].partition(":")
        with ending_on_interrupt():
            command: click.Command = getattr(import_module(module), attribute)
        return command

    def main(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 -- click's
        """Run as click does, with output that every terminal can show."""
        prepare()
        return super().main(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 -- click's
        """What the command gives, or click's own error for ours."""
        try:
            return super().invoke(ctx)
        except WrongUsage as exc:
            raise click.UsageError(str(exc)) from exc
        except ClearwayError as exc:
            what, cause = str(exc), cause_of(exc)
            raise click.ClickException(what if cause == what else f"{what}: {cause}") from exc
        except OSError as exc:
            if exc.errno not in DISK_FULL:
                raise
            where = exc.filename or "a file"
            raise click.ClickException(f"{where} cannot be written: {exc.strerror}") from exc


@click.group(
    name="clearway", cls=Commands, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(package_name="clearway")
def main() -> None:
    """Answer whether a person may be sold a journey."""


if __name__ == "__main__":
    main(prog_name="clearway")
