"""Measures normalising and making tokens, and checks 1,000,000 numbers of each type.

    python -m benchmarks identity [--numbers 1000000] [--seed 1]

The check compares every answer with python-stdnum (MOD 11-2), or with a check digit
computed here (ICAO 9303); it ends with status 1 at a difference.
"""

from __future__ import annotations

import random
import time
from datetime import date, timedelta
from typing import TYPE_CHECKING

import click
import numpy as np
from stdnum.iso7064 import mod_11_2

from benchmarks.measuring.report import Figure, Report, benchmark
from roster.documents.identity import Document, normalise
from roster.documents.tables import CARD_BYTES, card_table
from roster.documents.tokeniser import HASHED, SCHEME, Tokeniser

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BUDGET_NS = 3000  # issue 4: at most 3 us for an ordinary 18-digit number
ROUNDS = 7
TIMED = 50_000
BATCH = 1_000
HOW = ("one by one", "in a column", f"in batches of {BATCH:,}")
CHECK_CHARACTERS = "0123456789X"
FIRST, DAYS = date(1800, 1, 1), 80 * 365  # synthetic people are born 1800 to 1879

Case = tuple[Document, str, bool]  # as spelled, the number wanted, whether it is valid


def digits(chance: random.Random, first: str) -> str:
    """17 digits of a card that begins with `first`, with a real day of birth."""
    born = FIRST + timedelta(days=chance.randrange(DAYS))
    area = chance.choice(first) + f"{chance.randrange(100_000):05}"
    return f"{area}{born:%Y%m%d}{chance.randrange(1000):03}"


def card(chance: random.Random, kind: str, first: str, prefix: str) -> Case:
    """A card of 18, its last character at random."""
    number = digits(chance, first) + chance.choice(CHECK_CHARACTERS)
    return Document(kind, number), prefix + number, mod_11_2.is_valid(number)  # type: ignore[arg-type]


def resident(chance: random.Random) -> Case:
    """An ID card of 18 digits, or every eighth time of 15."""
    if chance.randrange(8):
        return card(chance, "resident_id", "12345678", "R:")
    long = digits(chance, "12345678")[:14] + chance.choice(("996", "997", "998", "999"))
    wanted = "R:" + long + mod_11_2.calc_check_digit(long)
    return Document("resident_id", long[:6] + long[8:]), wanted, True


def icao_digit(text: str) -> str:
    """ICAO 9303's check digit, from Python's own idea of base 36."""
    return str(sum(int(c, 36) * (7, 3, 1)[at % 3] for at, c in enumerate(text)) % 10)


def permanent(chance: random.Random) -> Case:
    """A foreigner's card of 2023, or every other time of 2017."""
    if chance.randrange(2):
        return card(chance, "permanent_resident_id", "9", "P:")
    born = FIRST + timedelta(days=chance.randrange(DAYS))
    state = chance.choice(("FRA", "DEU", "USA", "JPN"))
    text = f"{state}{chance.randrange(10_000):04}{born:%y%m%d}{chance.randrange(10)}"
    number = text + chance.choice(CHECK_CHARACTERS[:10])
    valid = number[14] == icao_digit(text)
    return Document("permanent_resident_id", number), "P:" + number, valid


def hk_macao(chance: random.Random) -> Case:
    """A home-return permit with or without its counter."""
    number = f"{chance.choice('HM')}{chance.randrange(10**8):08}"
    counter = chance.choice(("", f"{chance.randrange(100):02}"))
    return Document("hk_macao_permit", number + counter), "H:" + number, True


def taiwan(chance: random.Random) -> Case:
    """A Taiwan permit with or without its counter and issuer's letter."""
    number = f"{chance.randrange(10**8):08}"
    rest = chance.choice(("", "01", "02(B)", "03C"))
    return Document("taiwan_permit", number + rest), "T:" + number, True


def passport(chance: random.Random) -> Case:
    """A Chinese passport, sometimes a digit short."""
    width = chance.choice((7, 8))
    number = f"{chance.choice('EG')}{chance.randrange(10**width):0{width}}"
    return Document("passport", number, "CHN"), "W:CHN:" + number, width == 8


def other(chance: random.Random) -> Case:
    """A seaman's book."""
    number = f"{chance.randrange(10**10):010}"
    return Document("other", number, "CHN", "seaman"), "O:CHN:seaman:" + number, True


MAKERS: dict[str, Callable[[random.Random], Case]] = {
    "resident_id": resident,
    "permanent_resident_id": permanent,
    "hk_macao_permit": hk_macao,
    "taiwan_permit": taiwan,
    "passport": passport,
    "other": other,
}


def differences(make: Callable[[random.Random], Case], numbers: int, seed: int) -> Iterator[Case]:
    """The cases that we answer otherwise than the model."""
    chance = random.Random(seed)
    for _ in range(numbers):
        document, wanted, valid = make(chance)
        if normalise(document) != (wanted, valid):
            yield document, wanted, valid


def best_ns(function: Callable[[], None], calls: int) -> float:
    """Nanoseconds a call, the best of some rounds."""
    rounds = []
    for _ in range(ROUNDS):
        start = time.process_time_ns()
        function()
        rounds.append((time.process_time_ns() - start) / calls)
    return min(rounds)


def timings(seed: int) -> tuple[float, float, float]:
    """Nanoseconds for: normalising with a token; normalising; stdnum's check digit alone."""
    chance = random.Random(seed)
    found = [digits(chance, "12345678") for _ in range(TIMED)]
    documents = [Document("resident_id", d + mod_11_2.calc_check_digit(d)) for d in found]
    token = Tokeniser(bytes(32)).token

    def both() -> None:
        for document in documents:
            token(normalise(document).number)

    def normal() -> None:
        for document in documents:
            normalise(document)

    def peer() -> None:
        for document in documents:
            mod_11_2.validate(document.number)

    return best_ns(both, TIMED), best_ns(normal, TIMED), best_ns(peer, TIMED)


def token_timings(seed: int, scheme: int) -> tuple[float, float, float]:
    """Nanoseconds a token: one by one, in a column, in batches of 1,000."""
    chance = random.Random(seed)
    found = [digits(chance, "12345678") for _ in range(TIMED)]
    cards = [d + mod_11_2.calc_check_digit(d) for d in found]
    numbers = [normalise(Document("resident_id", card)).number for card in cards]
    table = np.frombuffer("".join(cards).encode(), np.uint8).reshape(-1, CARD_BYTES)
    tokeniser = Tokeniser(bytes(32), scheme)

    def alone() -> None:
        for number in numbers:
            tokeniser.token(number)

    def column() -> None:
        card_table(tokeniser, table)

    def batches() -> None:
        for first in range(0, TIMED, BATCH):
            card_table(tokeniser, table[first : first + BATCH])

    return best_ns(alone, TIMED), best_ns(column, TIMED), best_ns(batches, TIMED)


def figures(numbers: int, seed: int) -> Iterator[Figure]:
    """The times, and what the check of every type found."""
    both, normal, peer = timings(seed)
    yield Figure("normalise and token", both, "ns", at_most=BUDGET_NS)
    yield Figure("... of stdnum mod_11_2.validate", both / peer, "x")
    yield Figure("normalise alone", normal, "ns")
    yield Figure("stdnum mod_11_2.validate", peer, "ns")
    for name, scheme in (("BLAKE2b", HASHED), ("AES", SCHEME)):
        for how, cost in zip(HOW, token_timings(seed, scheme), strict=True):
            yield Figure(f"token by {name}, {how}", cost, "ns")
    for kind, make in MAKERS.items():
        wrong = sum(1 for _ in differences(make, numbers, seed))
        yield Figure(f"{kind}: differences in {numbers:,} numbers", wrong, at_most=0)


@benchmark(__doc__)
@click.option("--numbers", default=1_000_000, show_default=True, help="How many of each type.")
@click.option("--seed", default=1, show_default=True)
def main(*, numbers: int, seed: int) -> Report:
    """What was measured."""
    return Report(list(figures(numbers, seed)))


if __name__ == "__main__":
    main()
