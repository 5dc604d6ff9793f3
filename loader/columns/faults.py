"""What may be wrong with a row, in the order in which the faults of one row are told."""

from __future__ import annotations

import numpy as np

from loader.columns.cells import SKIPPED, Unusable
from loader.columns.pieces import Bools, Numbers, Octets

NO_SUCH_LIST = "unknown"
"""Of the list that a row names, which no roster has: that is no reject."""
_CELLS = (
    ("", "malformed"), *(("document_type", why) for why in sorted(SKIPPED)),
    ("document_type", "unknown_type"), ("document_number", "missing_number"),
    ("document_number", "too_long"), ("document_issuer", "missing_issuer"),
    ("document_kind", "unknown_type"), ("document_number", "malformed"),
    ("document_number", "masked_number"), ("list", "malformed"), ("entry_id", "malformed"),
    ("entry_id", "too_long"), ("case", "too_long"), ("court", "too_long"),
    ("entry_id", "number_in_text"), ("case", "number_in_text"), ("court", "number_in_text"),
    ("name", "number_in_text"), ("name", "too_long"), ("revision", "bad_revision"),
    ("updated_at", "bad_revision"), ("state", "malformed"), ("from", "bad_date"),
    ("until", "bad_date"), ("modes", "malformed"), ("modes", "too_long"), ("lifts", "too_long"),
    ("cases", "too_long"), ("cases", "number_in_text"), ("kind", "malformed"),
    ("decided_at", "bad_date"),
)  # fmt: skip
_OF_LIFTS = (("until", "bad_date"), ("name", "malformed"))
FAULTS = (*_CELLS, *_OF_LIFTS, ("list", NO_SUCH_LIST), ("lifts", "malformed"))
"""The field to blame and the reason of each."""
ENDLESS = len(_CELLS)
"""The fault of a lift that does not say until when."""
SOUND = 255
"""In the place of a fault: there is none."""
FAULT = {fault: number for number, fault in reversed([*enumerate(FAULTS)])}
"""The number of each, by which the first comes first."""
REJECTED = np.array(
    [why not in {*SKIPPED, NO_SUCH_LIST} for _, why in FAULTS] + [False] * (256 - len(FAULTS))
)
"""By number: whether it is a reject."""


def told(bad: Unusable) -> int:
    """The number that stands for a fault in columns."""
    return FAULT[bad.field, bad.reason]


def none_in(count: int) -> Octets:
    """The faults of so many rows: none yet."""
    return np.full(count, SOUND, np.uint8)


def blame(faults: Octets, rows: Bools | Numbers | None, fault: int | Octets) -> None:
    """Nothing; these rows (None: all) have that fault, or each its own, if it comes first."""
    if rows is None:
        np.minimum(faults, fault, out=faults)
    else:
        np.minimum.at(faults, rows, np.asarray(fault, np.uint8))
