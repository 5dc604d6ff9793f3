"""What an entry and a change may say: the greatest lengths of their texts, and the reasons."""

from __future__ import annotations

from typing import Literal, get_args

ENTRY_ID_MAX, CASE_MAX, COURT_MAX = 128, 128, 64
LIST_MAX = 32
UNTRIMMED_MAX = 1_000
"""Characters of a text that identifies, with the blanks at its ends, which do not count."""
NAME_MAX, NAMES_MAX = 100, 4
"""Characters of a name, and names of an entry."""
LIFTS_MAX, CASES_MAX, MODES_MAX = 16, 32, 3
"""Lists, case numbers and modes that one lift may name."""


def too_long(limit: int) -> str:
    """What is said of a text that is longer than this, as msgspec says it."""
    return f"expected `str` of length <= {limit}"


RemovalReason = Literal[
    "performed",
    "settled",
    "creditor_request",
    "no_assets",
    "bankruptcy",
    "not_enforceable",
    "terminated",
    "error",
    "expired",
    "revoked",
    "other",
]
DisputeReason = Literal["dispute", "review", "court_order"]
"""Why an entry is suspended."""
ReinstateReason = Literal["mistaken_removal", "review", "court_order"]
"""Why an entry that was removed is put back."""
REASONS: dict[str, tuple[str, ...]] = {
    "remove": get_args(RemovalReason),
    "suspend": get_args(DisputeReason),
    "resume": get_args(DisputeReason),
    "reinstate": get_args(ReinstateReason),
}
"""Which reasons may be stated for what is done to an entry."""
