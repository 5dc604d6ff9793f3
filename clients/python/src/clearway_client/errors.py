"""What is raised; no message holds a number, a name, or anything else that was sent.

ClearwayError
├── NoAnswer
├── Refused
├── Referred
└── FeedTrimmed
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clearway_client.answers import Answer, Problem


class ClearwayError(Exception):
    """Whatever this package raises."""


class NoAnswer(ClearwayError):  # noqa: N818 -- what there was
    """Nobody answered in the time that there was: no connection, too much to do, or an outage.

    Changes are not acknowledged then; sending the same again is harmless where they state their
    revisions, and `revisions` are those to state with changes that did not. `answered` is what a
    manifest's first items were answered.
    """

    def __init__(self, why: str, revisions: Sequence[int] = ()) -> None:
        super().__init__(why)
        self.why = why
        self.revisions = tuple(revisions)
        self.answered: list[Answer | Problem] = []


class Refused(ClearwayError):  # noqa: N818 -- what the service did
    """The service will not do it, and would not if it were asked again: `problem` says why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.status}: {problem.told}")
        self.problem = problem


class Referred(ClearwayError):  # noqa: N818 -- the decision's own word
    """The service cannot decide, and `on_refer` is `raise`; `answer` is what it said."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"referred: {', '.join(answer.codes)}")
        self.answer = answer


class FeedTrimmed(ClearwayError):  # noqa: N818 -- what became of the feed
    """The feed does not reach back to your position any more.

    Ask anew about everybody whom you have refused, then go on from `oldest`.
    """

    def __init__(self, oldest: str) -> None:
        super().__init__("the feed no longer reaches back so far: ask anew, go on from `oldest`")
        self.oldest = oldest
