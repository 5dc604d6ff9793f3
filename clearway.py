"""The one command that a person types: mounts the service's, the loader's, and the demo."""

from __future__ import annotations

import errno
import signal
import threading
from collections.abc import Iterator, Mapping
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
    from click.shell_completion import CompletionItem

    from roster.errors import ClearwayError, WrongUsage, cause_of
    from roster.speech.helps import SpokenGroup
    from roster.speech.language import in_language
    from roster.speech.usage import teach_click, told_in_chinese
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
    "reinstate": "service.commands.by_hand:reinstate",
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

SUMMARIES = {
    "accept": "End `rewound` after a restored backup: what is stored is the roster from now on.",
    "audit": "Show who asked, what was answered, and what was changed; the oldest first.",
    "check": "Ask whether one traveller may be sold one journey.",
    "demo": "Load a list of people who do not exist, serve it, and tell a story with figures.",
    "find": "Show all entries of a document, those that have ended too.",
    "functions": "Load this version's functions into Redis; drop those that no live process calls.",
    "generate": "Write a list of people who do not exist, always the same for a seed.",
    "keys": "Give out API keys, and take them back.",
    "lists": "Show the lists; disable one, whose matches are then referred, or enable it again.",
    "load": "Bring whole files into the roster: each a full snapshot of its lists.",
    "loads": "Show what was loaded, the last first: what it did, and whether it was undone.",
    "push": "Send changes, one JSON object a line; FILE may be - for standard input.",
    "reinstate": "Put an entry back that was removed by mistake: it binds again as it did.",
    "remove": "Take an entry off its list: it ends at once, everywhere.",
    "restored": "Say that a backup was restored while nobody looked: the roster counts as rewound.",
    "resume": "Let a suspended entry bind again.",
    "serve": "Run the service until it is told to end.",
    "sign": "Write the file's manifest and its signature.",
    "status": "Show what the roster holds, and how the service is doing.",
    "suspend": "Let an entry rest while a dispute is open.",
    "undo": "Undo a load (its number is in `clearway loads`), but what was changed since.",
    "verify": "Say whether the roster equals the files; status 1 where it does not.",
    "watch": "Load what appears in FOLDER with its manifest, in order, until SIGTERM or Ctrl-C.",
}
"""What each does, for the list of all and for completion, without importing any."""

DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS})
"""What can happen to whatever is written."""


def told(text: str) -> str:
    """What is refused, in the language that the command speaks."""
    from loader.words.sayings import SAYINGS  # noqa: PLC0415 -- only where something is

    return SAYINGS.spoken(text)


class Commands(SpokenGroup):
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

    def summaries(self, _ctx: click.Context) -> Mapping[str, str | None]:
        """What each does, for which none has to be imported."""
        return dict(sorted(SUMMARIES.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The commands and options that begin so, for a shell."""
        names = (name for name in sorted(COMMANDS) if name.startswith(incomplete))
        found = [CompletionItem(name, help=SUMMARIES[name]) for name in names]
        return found + click.Command.shell_complete(self, ctx, incomplete)

    def main(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 -- click's
        """Run as click does, with output that every terminal can show."""
        prepare()
        teach_click()
        return super().main(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 -- click's
        """What the command gives, or click's own error for ours."""
        with told_in_chinese():
            return self._invoke(ctx)

    def _invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 -- click's
        try:
            return super().invoke(ctx)
        except WrongUsage as exc:
            raise click.UsageError(told(str(exc))) from exc
        except ClearwayError as exc:
            what, cause = told(str(exc)), told(cause_of(exc))
            raise click.ClickException(what if cause == what else f"{what}: {cause}") from exc
        except OSError as exc:
            if exc.errno not in DISK_FULL:
                raise
            where = exc.filename or "a file"
            why = told(f"{where} cannot be written: {exc.strerror}")
            raise click.ClickException(why) from exc


@click.group(
    name="clearway", cls=Commands, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(package_name="clearway")
@in_language
def main() -> None:
    """Answer whether a person may be sold a journey."""


if __name__ == "__main__":
    main(prog_name="clearway")
