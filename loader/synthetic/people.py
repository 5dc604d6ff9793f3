"""People who do not exist, as many as asked for, no two alike.

Nobody alive can own one of their numbers: ID numbers are of births from 1800 to 1879; the
other documents lie in ranges that nobody issues.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import gcd

import msgspec
import numpy as np
from numpy.typing import NDArray

from loader.synthetic.fictions import (
    DISTRICTS,
    FOREIGN_GIVEN,
    FOREIGN_ISSUERS,
    FOREIGN_NUMERIC,
    FOREIGN_SURNAMES,
    GIVEN,
    SURNAMES,
)
from roster.documents.check_digits import CHECKS, WEIGHTS

Ints = NDArray[np.int64]

TYPES = (
    "resident_id",
    "resident_id",
    "hk_macao_permit",
    "taiwan_permit",
    "passport",
    "passport",
    "permanent_resident_id",
    "resident_id",
)
RESIDENT, OLD, HK_MACAO, TAIWAN, PASSPORT, FOREIGN, PERMANENT, RESIDENCE = range(8)
USUAL_SHARES = (0.946, 0.02, 0.011, 0.005, 0.012, 0.004, 0.002, 0.0)
"""What documents people have, by the order of `TYPES`."""
MANY_SHARES = (0.4, 0.06, 0.12, 0.12, 0.1, 0.08, 0.06, 0.06)
"""Those of a list of travellers from abroad and from over the border."""
CARD_SHARES = (0.96, 0.02, 0.011, 0.007, 0.0, 0.0, 0.002, 0.0)
"""Those whose numbers alone say what they are."""

_FIRST_DAY = np.datetime64("1800-01-01")
_DAYS = 29_220  # to the end of 1879
# Sequences 996 to 999 are the centenarians' of old numbers: they make 15 digits mean 18xx.
_SEQUENCES, _OLD_SEQUENCES, _OLD_FIRST = 995, 4, 996
_SPACES = (
    len(DISTRICTS) * _DAYS * _SEQUENCES,
    len(DISTRICTS) * _DAYS * _OLD_SEQUENCES,
    2 * 10**7,
    10**7,
    2 * 10**7,
    len(FOREIGN_ISSUERS) * 10**6,
    len(FOREIGN_ISSUERS) * _DAYS * _SEQUENCES,
    3 * _DAYS * _SEQUENCES,
)
_WEIGHTS = np.array(WEIGHTS[:-1])
_CHECKS = np.frombuffer(CHECKS.encode(), np.uint8)
_SECONDS = len(GIVEN) * 4 // 3
_STEP = 2_654_435_761  # Knuth's multiplier: neighbours land far apart
_CODES = np.array([code for _, code, _ in DISTRICTS])
_ISSUERS = ("", "CHN", *FOREIGN_ISSUERS)


class SyntheticPeople(msgspec.Struct):
    """Of each person by its index: the document's kind and number, and the name."""

    kinds: NDArray[np.uint8]
    numbers: NDArray[np.bytes_]
    issuers: NDArray[np.uint8]
    names: NDArray[np.int64]

    def document(self, who: Ints) -> tuple[list[str], list[str], list[str]]:
        """Type, number and issuer of each of them."""
        kinds = self.kinds[who].tolist()
        issuers = self.issuers[who].tolist()
        return (
            [TYPES[kind] for kind in kinds],
            self.numbers[who].astype("U18").tolist(),
            [_ISSUERS[issuer] for issuer in issuers],
        )

    def named(self, who: Ints) -> list[str]:
        """The name of each of them."""
        names = self.names[who].tolist()
        return [_name(name) if name >= 0 else _foreign_name(-name) for name in names]


def make_people(
    count: int, rng: np.random.Generator, shares: tuple[float, ...] = USUAL_SHARES
) -> SyntheticPeople:
    """`count` different people; raises ValueError where there are not so many numbers."""
    kinds = rng.choice(len(shares), size=count, p=shares).astype(np.uint8)
    numbers = np.zeros((count, 18), np.uint8)
    issuers = np.zeros(count, np.uint8)
    for kind, spell in enumerate(_SPELLINGS):
        if not shares[kind]:
            continue
        who = np.flatnonzero(kinds == kind)
        places = _scattered(len(who), _SPACES[kind], int(rng.integers(1 << 30)))
        spelled = spell(places)
        numbers[who, : spelled.shape[1]] = spelled
        if kind == PASSPORT:
            issuers[who] = 1
        elif kind == FOREIGN:
            issuers[who] = 2 + places % len(FOREIGN_ISSUERS)
    names = rng.integers(len(SURNAMES) * len(GIVEN) * _SECONDS, size=count)
    foreign = (kinds == FOREIGN) | (kinds == PERMANENT)
    names[foreign] = -1 - names[foreign]
    return SyntheticPeople(kinds, numbers.view("S18").ravel(), issuers, names)


def _scattered(count: int, space: int, start: int) -> Ints:
    """`count` different numbers below `space`: a walk whose step shares no factor with it."""
    if count > space:
        raise ValueError("more people than there are synthetic numbers")
    step = _STEP % space
    while gcd(step, space) != 1:
        step += 1
    # Below 2**63: spaces are below 2**31, and so are steps.
    walk: Ints = (start % space + np.arange(count, dtype=np.int64) * step) % space
    return walk


def _digits(value: Ints, width: int) -> NDArray[np.uint8]:
    """ASCII digits, one row a value."""
    powers = 10 ** np.arange(width - 1, -1, -1)
    return (value[:, None] // powers % 10 + ord("0")).astype(np.uint8)


def _letters(text: str, count: int) -> NDArray[np.uint8]:
    return np.tile(np.frombuffer(text.encode(), np.uint8), (count, 1))


def _born(day: Ints) -> Ints:
    """YYYYMMDD of a day counted from 1800-01-01."""
    date = _FIRST_DAY + day
    months = date.astype("M8[M]")
    year = months.astype(np.int64) // 12 + 1970
    month = months.astype(np.int64) % 12 + 1
    of_month = (date - months.astype("M8[D]")).astype(np.int64) + 1
    born: Ints = year * 10_000 + month * 100 + of_month
    return born


def _checked(digits: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """17 digits with their check character after them."""
    remainder = (digits - ord("0")).astype(np.int64) @ _WEIGHTS % 11
    return np.hstack([digits, _CHECKS[remainder][:, None]])


def _card(codes: Ints, place: Ints) -> NDArray[np.uint8]:
    """One of these codes, a birth, a sequence, a check character."""
    place, sequence = np.divmod(place, _SEQUENCES)
    day, code = place % _DAYS, place // _DAYS
    return _checked(_digits((codes[code] * 10**8 + _born(day)) * 1000 + sequence + 1, 17))


def _old(place: Ints) -> NDArray[np.uint8]:
    place, sequence = np.divmod(place, _OLD_SEQUENCES)
    day, district = place % _DAYS, place // _DAYS
    head = _CODES[district] * 10**6 + _born(day) % 10**6
    return _digits(head * 1000 + sequence + _OLD_FIRST, 15)


def _hk_macao(place: Ints) -> NDArray[np.uint8]:
    letter = np.where(place % 2, ord("M"), ord("H")).astype(np.uint8)
    return np.hstack([letter[:, None], _digits(9 * 10**7 + place // 2, 8)])


def _taiwan(place: Ints) -> NDArray[np.uint8]:
    return _digits(9 * 10**7 + place, 8)


def _passport(place: Ints) -> NDArray[np.uint8]:
    """Of two letters and seven digits, as they are, but in series that there are not."""
    letter = np.where(place % 2, ord("Q"), ord("X")).astype(np.uint8)
    return np.hstack([_letters("X", len(place)), letter[:, None], _digits(place // 2, 7)])


def _foreign(place: Ints) -> NDArray[np.uint8]:
    return np.hstack([_letters("SYN", len(place)), _digits(place // len(FOREIGN_ISSUERS), 6)])


_SPELLINGS: tuple[Callable[[Ints], NDArray[np.uint8]], ...] = (
    partial(_card, _CODES),
    *(_old, _hk_macao, _taiwan, _passport, _foreign),
    partial(_card, 911_000 + np.array(FOREIGN_NUMERIC)),  # the form of 2023: 9, province, nation
    partial(_card, np.array((81, 82, 83)) * 10_000),  # residents of Hong Kong, Macao, Taiwan
)


def _name(code: int) -> str:
    code, surname = divmod(code, len(SURNAMES))
    code, first = divmod(code, len(GIVEN))
    # Some codes are past the end: then the given name is one character.
    return SURNAMES[surname] + GIVEN[first] + GIVEN[code : code + 1]


def _foreign_name(code: int) -> str:
    code, surname = divmod(code, len(FOREIGN_SURNAMES))
    return f"{FOREIGN_SURNAMES[surname]}/{FOREIGN_GIVEN[code % len(FOREIGN_GIVEN)]}"
