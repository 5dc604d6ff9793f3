"""Made-up people, and what would give them away."""

from __future__ import annotations

from clearway_client import Change, Document, Entry

CLEAR = Document("resident_id", "110105187001010012")
LISTED = Document("resident_id", "110105187912310024")
PASSPORT = Document("passport", "X7654321", issuer="FRA")
NAME = "欧阳静思"
OTHER_NAME = "司马浩然"
ENTRY_ID = "(2018)京0105执1234号/1"
KEY = "cw_0123456789ab_" + "k" * 43
SECRETS = (CLEAR.number, LISTED.number, PASSPORT.number, NAME, OTHER_NAME, KEY)


def gives_away(text: str) -> bool:
    return any(secret in text for secret in SECRETS)


def put(document: Document = LISTED, revision: int | None = 10) -> Change:
    entry = Entry(name=NAME, case="(2018)京0105执1234号")
    return Change("put", "sx", ENTRY_ID, document, revision, entry=entry)


def removal(document: Document = LISTED, revision: int | None = 11) -> Change:
    return Change("remove", "sx", ENTRY_ID, document, revision, reason="performed")
