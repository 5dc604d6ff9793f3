"""The one command that a person types: mounts the service's, the loader's, and the demo."""

from __future__ import annotations

import errno
import signal
import threading
from typing import Any

# While the commands are imported nobody can catch Ctrl-C: it then ends the program, no more.
_hushed = (
    threading.current_thread() is threading.main_thread()
    and signal.getsignal(signal.SIGINT) is signal.default_int_handler
)
if _hushed:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import click  # noqa: E402 -- see above

from loader.commands import COMMANDS as LOADER_COMMANDS  # noqa: E402 -- see above
from loader.loads_commands import COMMANDS as LOADS_COMMANDS  # noqa: E402 -- see above
from loader.push import push  # noqa: E402 -- see above
from roster.errors import ClearwayError, WrongUsage, cause_of  # noqa: E402 -- see above
from service.commands import COMMANDS as SERVICE_COMMANDS  # noqa: E402 -- see above
from service.demo import demo  # noqa: E402 -- see above
from service.terminal import prepare  # noqa: E402 -- see above

if _hushed:
    signal.signal(signal.SIGINT, signal.default_int_handler)


DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS})
"""What can happen to whatever is written."""


class Commands(click.Group):
    """The commands; what Clearway refuses is told in one line, with status 1."""

    def main(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 -- click's
        """The same as click's, with output that every terminal can show."""
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


for _command in (demo, *SERVICE_COMMANDS, *LOADER_COMMANDS, *LOADS_COMMANDS, push):
    main.add_command(_command)

if __name__ == "__main__":
    main(prog_name="clearway")
