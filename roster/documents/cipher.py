"""Short numbers as blocks of 16 bytes, for AES: docs/decisions/0009-tokens-by-aes.md."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST: Final = 21
"""Characters that fit a block: six bits each, of 64 that ASCII has in a row from the blank on.

A blank stands for what is missing at the end: no number has one, nor an end of a line. To
uuencoding a backtick is a blank, too: what has one is not short. So no two have the same block.
"""
BLOCK_LENGTH: Final = "0"
"""What uuencoding writes before 16 bytes."""
_FITS = re.compile(rb"[!-_]{0,%d}" % LONGEST)


def fits(number: bytes) -> bool:
    """Whether a number in UTF-8 has a block; one that has none is hashed."""
    return _FITS.fullmatch(number) is not None


def ecb(key: bytes) -> Callable[[bytes], bytes]:
    """What enciphers blocks of 16 bytes, each by itself, under a key of 32.

    No block tells another's contents: no two documents have the same, and what is compared is
    just whether they are the same.
    """
    return Cipher(algorithms.AES256(key), modes.ECB()).encryptor().update  # noqa: S305 -- see above
