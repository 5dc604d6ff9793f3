"""What clients of the soak ask: people who do not exist, under every kind of document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from random import Random

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
AIR = {"mode": "air"}
FORBIDDEN: tuple[dict[str, Any], ...] = (
    AIR,
    {"mode": "rail", "train": "G7", "seat": "O"},
    {"mode": "rail", "train": "D7", "seat": ["O", "M"]},
    {"mode": "ship", "cabin": "second"},
)
"""What the lists of the soak forbid, or of several seats one."""
FREE: tuple[dict[str, Any], ...] = (
    {"mode": "rail", "train": "D7", "seat": "O"},
    {"mode": "rail", "train": "K7", "seat": ["3", "1"]},
    {"mode": "ship", "cabin": "fifth"},
)
"""What they do not forbid."""


def document(number: int) -> dict[str, str]:
    """A document of nobody: an ID card of somebody born before 1880, or one of other kinds."""
    match number % 8:
        case 1:
            return {"type": "passport", "issuer": "RUS", "number": f"E{number:07d}"}
        case 3:
            return {"type": "hk_macao_permit", "number": f"H{number:08d}"}
        case 5:
            return {"type": "taiwan_permit", "number": f"{number:08d}"}
        case 7:
            return {"type": "other", "issuer": "CHN", "kind": "seaman", "number": f"S{number:07d}"}
    stem = f"1101051{800 + number // 2 % 80}0101{number // 2 // 80:03d}"
    total = sum(int(digit) * weight for digit, weight in zip(stem, _WEIGHTS, strict=True))
    return {"type": "resident_id", "number": stem + "10X98765432"[total % 11]}


def name_of(number: int) -> str:
    """What a document's holder is called, as every list has it; nobody else is called so."""
    return f"张{chr(0x4E00 + number // 2)}"


class Asked(NamedTuple):
    """One check; `free` is a journey that no list forbids, `other` another's name."""

    number: int
    journey: dict[str, Any] = AIR
    name: str | None = None
    free: bool = False
    other: bool = False

    @classmethod
    def some(cls, number: int, random: Random) -> Asked:
        """A check with some journey, and no name, the right one or a wrong one."""
        free = random.random() < 0.3
        name = random.choice((None, name_of(number), name_of(number + 2)))
        other = name == name_of(number + 2)
        return cls(number, random.choice(FREE if free else FORBIDDEN), name, free, other)

    @property
    def never(self) -> str:
        """Why this may never be answered with a denial, if so."""
        if self.other:
            return "another's name"
        return "a journey that no list forbids" if self.free else ""

    def body(self) -> dict[str, Any]:
        """The check as it is sent."""
        named = {} if self.name is None else {"name": self.name}
        return {"document": document(self.number), "journey": self.journey, **named}
