"""The token that stands for a document, and all else that is made with the ID key.

Loader and service must agree on this to the bit. A change here changes every token, so it
raises `SCHEME`; a roster keeps the scheme that it was founded with (roster/storage/founding.py).
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from binascii import a2b_uu
from functools import partial
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, Literal, Never

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from roster.documents import names
from roster.documents.alternatives import ISSUED, alternatives
from roster.documents.identity import normalise
from roster.errors import Unavailable
from roster.keys import TOKEN_BITS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from roster.documents.identity import Document, DocumentNumber, Token
    from roster.records.entry import NameToken


SCHEME: Final = 2
HASHED: Final = 1
"""The scheme of before: every token is a hash."""
UNKNOWN: Final = 0
"""Of a roster that has not been reached yet."""
KEY_BYTES: Final = 32

LONGEST: Final = 21
"""Characters that fit a block: six bits each, of 64 that ASCII has in a row from the blank on.

A blank stands for what is missing at the end: no number has one, nor an end of a line. To
uuencoding a backtick is a blank, too: what has one is not short. So no two have the same block.
"""
BLOCK_LENGTH: Final = "0"
"""What uuencoding writes before 16 bytes."""
_FITS = re.compile(rb"[!-_]{0,%d}" % LONGEST)

Hashed = Literal["token", "entry", "digest", "name"]

_PARTITION: Final = tuple(bytes((0, byte & TOKEN_BITS[1])) for byte in range(256))
_BUCKET: Final = tuple(bytes((byte & TOKEN_BITS[2],)) for byte in range(256))


class Tokeniser:
    """Turns numbers and names into what may be stored: nothing leads back without the key."""

    token: Callable[[DocumentNumber], Token]
    """The 16 bytes that stand for a document; raises Unavailable while the scheme is unknown."""

    def __init__(self, key: bytes, scheme: int = SCHEME) -> None:
        """`key` is `CLEARWAY_ID_KEY`, 32 bytes; raises ValueError for another length.

        `scheme` is the roster's; `UNKNOWN` until `use` tells it.
        """
        if len(key) != KEY_BYTES:
            raise ValueError(f"the ID key is {KEY_BYTES} bytes")
        self._token = blake2b(digest_size=16, key=key, person=b"token")
        self._name = blake2b(digest_size=4, key=key, person=b"name")
        self._entry = blake2b(digest_size=6, key=key, person=b"entry")
        self._digest = blake2b(digest_size=8, key=key, person=b"digest")
        self._subject = blake2b(digest_size=16, key=key, person=b"subject")
        self.encipher: Final = ecb(blake2b(digest_size=32, key=key, person=b"block").digest())
        """What `token` makes of blocks, one or many, before it is cut."""
        self.seal_key: Final = blake2b(digest_size=32, key=key, person=b"audit").digest()
        """What the audit's blocks and the places in its pages are sealed with, and nothing else."""
        check = partial(blake2b, digest_size=8, key=key, person=b"check")
        self.check_values: Final = {s: check(s.to_bytes(2)).digest() for s in (HASHED, SCHEME)}
        """By scheme: what says that a roster was founded with it and this key."""
        self._makers: Final[dict[int, Callable[[DocumentNumber], Token]]] = {
            UNKNOWN: self._unknown,
            HASHED: self._hashed_token,
            SCHEME: self._enciphered_token,
        }
        self.use(scheme)

    def use(self, scheme: int) -> None:
        """Make the roster's tokens under this scheme from now on."""
        self.scheme = scheme
        self.token = self._makers[scheme]

    @property
    def packs_ids(self) -> bool:
        """Whether contents may have numbers for entry ids: those of before cannot read them."""
        return self.scheme != HASHED

    @property
    def check_value(self) -> bytes:
        """8 bytes that tell one key and scheme from another, and tell nothing about the key.

        Raises Unavailable while the scheme is unknown.
        """
        return self.check_values.get(self.scheme) or self._unknown()

    def _unknown(self, _number: object = None) -> Never:
        raise Unavailable("the service is starting: it has not reached the roster yet")

    # In these two a call of `Token`, which checks nothing, would cost a fifth of the whole.

    def _enciphered_token(self, number: DocumentNumber) -> Token:
        if len(number) > LONGEST or "`" in number:
            return self._hashed_token(number)
        try:
            digest = self.encipher(a2b_uu(BLOCK_LENGTH + number))
        except ValueError:  # a character that is none of the 64
            return self._hashed_token(number)
        return _PARTITION[digest[1]] + _BUCKET[digest[2]] + digest[3:]  # type: ignore[return-value]

    def _hashed_token(self, number: DocumentNumber) -> Token:
        hashing = self._token.copy()  # a copy of the keyed state costs half of a new one
        hashing.update(number.encode())
        digest = hashing.digest()
        return _PARTITION[digest[1]] + _BUCKET[digest[2]] + digest[3:]  # type: ignore[return-value]

    def others(self, document: Document, number: DocumentNumber | None = None) -> tuple[Token, ...]:
        """The tokens under which a document may be stored beside its own; mostly there are none.

        `number` is what `normalise` gave, where that is known.
        """
        if document.type not in ISSUED:
            return ()
        return tuple(map(self.token, alternatives(document, number or normalise(document).number)))

    def names(self, name: str) -> tuple[NameToken, ...]:
        """What may be compared of a name, sorted; empty where nothing can be."""
        found = {names.token(form, self._hashed(form, text)) for form, text in names.forms(name)}
        return tuple(sorted(found))

    def entry_hash(self, list_code: int, entry_id: str) -> bytes:
        """6 bytes that tell a document's entries apart."""
        hashing = self._entry.copy()
        hashing.update(list_code.to_bytes(2, "big") + entry_id.encode(errors="surrogatepass"))
        return hashing.digest()

    def digest(self, token: Token, list_code: int, content: bytes) -> bytes:
        """8 bytes, the entry's share in the digest of a list."""
        hashing = self._digest.copy()
        hashing.update(token + list_code.to_bytes(2, "big") + content)
        return hashing.digest()

    def many(self, of: Hashed, inputs: Iterable[bytes], prefix: bytes = b"") -> list[bytes]:
        """The bare hashes of many inputs, put together as for each alone but the common `prefix`.

        Those of names keep the bits that stand for a form. Tokens: `roster/documents/tables.py`.
        """
        states = {"token": self._token, "entry": self._entry, "digest": self._digest}
        state = states.get(of, self._name).copy()
        state.update(prefix)
        copy, hashes = state.copy, []
        for data in inputs:
            hashing = copy()
            hashing.update(data)
            hashes.append(hashing.digest())
        return hashes

    def subject(self, api_key_id: str, token: Token) -> str:
        """A person's pseudonym, 22 characters, that no other API key sees."""
        hashing = self._subject.copy()
        hashing.update(token + api_key_id.encode())
        return urlsafe_b64encode(hashing.digest()).decode().rstrip("=")

    def _hashed(self, form: int, text: str) -> bytes:
        hashing = self._name.copy()
        hashing.update(bytes((form,)) + text.encode())
        return hashing.digest()


def fits(number: bytes) -> bool:
    """Whether a number in UTF-8 has a block; one that has none is hashed."""
    return _FITS.fullmatch(number) is not None


def ecb(key: bytes) -> Callable[[bytes], bytes]:
    """What enciphers blocks of 16 bytes, each by itself, under a key of 32.

    No block tells another's contents: no two documents have the same, and what is compared is
    just whether they are the same.
    """
    return Cipher(algorithms.AES256(key), modes.ECB()).encryptor().update  # noqa: S305 -- see above
