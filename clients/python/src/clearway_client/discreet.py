"""What shows of itself only what tells nothing of a person."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec


class Discreet(msgspec.Struct, frozen=True):
    """A Struct that may get into a log or a traceback: of its fields only `SHOWN` are told."""

    SHOWN: ClassVar[tuple[str, ...]] = ()

    def __repr__(self) -> str:
        told = ", ".join(f"{name}={value!r}" for name, value in self.__rich_repr__())
        return f"{type(self).__name__}({told})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """The fields that are told, where they are set."""
        values = ((name, getattr(self, name)) for name in self.SHOWN)
        return [(name, value) for name, value in values if value]
