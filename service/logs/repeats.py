"""Failures that go on are said once, counted, and said to be over.

Everything that speaks to Redis fails for the same cause while that lasts, several times a second.
"""

from __future__ import annotations

from typing import Any

import structlog

from roster.redis.logins import NOT_ALLOWED
from roster.times import boot_s

QUIET_S = 15.0
"""Over is what has not happened for so long; whatever asks Redis does so every 5 s at least."""
REMIND_S = 300.0
"""What goes on is said again so often."""

log = structlog.get_logger("clearway.failures")


class _Failure:
    """Since when a cause is there, when it was last, when it was said, and how often it was."""

    def __init__(self, now_s: float) -> None:
        self.since_s = self.last_s = self.said_s = now_s
        self.count = 1


class RepeatCounter:
    """A processor of log lines, for structlog: lines with a `cause` that is known are counted."""

    def __init__(self) -> None:
        """Nothing is wrong."""
        self._failures: dict[str, _Failure] = {}

    def __call__(self, _logger: object, _method: str, line: Any) -> Any:  # noqa: ANN401 -- structlog's
        """The line, or DropEvent where it says nothing new."""
        cause = line.get("cause")
        if cause is None or line.get("over") or NOT_ALLOWED in cause:  # that is told once anyway
            return line
        now_s = boot_s()
        failure = self._failures.get(cause)
        if failure is None:
            self._failures[cause] = _Failure(now_s)
            return line
        failure.count, failure.last_s = failure.count + 1, now_s
        if now_s - failure.said_s < REMIND_S:
            raise structlog.DropEvent
        failure.said_s = now_s
        return line | {"times": failure.count, "for_s": round(now_s - failure.since_s)}

    def look(self) -> None:
        """Say what is over."""
        now_s = boot_s()
        over = [each for each in self._failures.items() if now_s - each[1].last_s > QUIET_S]
        for cause, failure in over:
            del self._failures[cause]
            for_s = round(failure.last_s - failure.since_s, 1)
            log.info("failures over", cause=cause, times=failure.count, for_s=for_s, over=True)
