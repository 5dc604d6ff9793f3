"""Where the entries that are to be changed stand already, if that is not where they would go now.

The same passport may be stored under another code of its state, and an entry of an earlier
version under an id with blanks at its ends: the change goes there, so that a removal never
misses what it is about.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from roster.documents.alternatives import ISSUED, alternatives
from roster.documents.identity import normalise
from roster.errors import Unreadable
from roster.records.entry import BIND
from roster.records.record import readable, split_record

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from roster.documents.identity import Document, DocumentNumber, Token
    from roster.documents.tokeniser import Tokeniser
    from roster.records.position import Position
    from service.changing.edits import Edit
    from service.parts import Service

Stored = set[tuple[bytes, int, bytes]]
"""The entries that there are: token, list, hash of the id."""


class _Wanted(msgspec.Struct, frozen=True):
    """Under what else an edit's entry, and those that it replaces, may stand."""

    tokens: tuple[Token, ...]
    replaced: tuple[Token, ...]
    ids: tuple[str, ...]

    def asked(self, edit: Edit) -> tuple[Token, ...]:
        """The tokens to look at."""
        return (*edit.own, *self.tokens, *self.replaced)


def others(
    tokeniser: Tokeniser, document: Document, number: DocumentNumber | None = None
) -> tuple[Token, ...]:
    """The tokens under which a document may be stored beside its own; mostly there are none.

    `number` is what `normalise` gave, where that is known.
    """
    if document.type not in ISSUED:
        return ()
    numbers = alternatives(document, number or normalise(document).number)
    return tuple(tokeniser.token(each) for each in numbers)


async def placed(service: Service, edits: Mapping[int, Edit]) -> dict[int, Edit]:
    """The edits, each where its entry stands; raises Unavailable and WrongKey."""
    found = {index: _wanted(service.tokeniser, edit) for index, edit in edits.items()}
    wanted = {index: each for index, each in found.items() if each is not None}
    if not wanted:
        return dict(edits)
    asked = [each.asked(edits[index]) for index, each in wanted.items()]
    stored = await _stored(service, list(dict.fromkeys(t for each in asked for t in each)))
    moved = {
        index: _moved(service.tokeniser, edits[index], each, stored)
        for index, each in wanted.items()
    }
    return {**edits, **moved}


def _wanted(tokeniser: Tokeniser, edit: Edit) -> _Wanted | None:
    shape = edit.shape
    tokens = others(tokeniser, shape.document) if shape.document else ()
    replaced = tuple(t for each in shape.replaces or () for t in others(tokeniser, each))
    own_id, spelled = edit.content[0].entry_id, shape.entry_id or ""
    ids = (own_id,) if own_id == spelled else (own_id, spelled)
    if not tokens and not replaced and len(ids) == 1:
        return None
    return _Wanted(
        tuple(t for t in tokens if t not in edit.replaced),
        tuple(t for t in replaced if t not in edit.own),
        ids,
    )


async def _stored(service: Service, tokens: Sequence[Token]) -> Stored:
    """The entries under these tokens; of what cannot be read, none."""
    asked: list[tuple[bytes, Mapping[int, Position]]] = [(token, {}) for token in tokens]
    found = await service.changes_store.lookup(asked, service.screener.high_water)
    stored: Stored = set()
    for token, one in zip(tokens, found, strict=True):
        try:
            with readable():
                packed = split_record(one.record) if one.record else []
        except Unreadable:
            continue
        stored |= {(token, each.list, each.entry_hash) for each in packed}
    return stored


def _moved(tokeniser: Tokeniser, edit: Edit, wanted: _Wanted, stored: Stored) -> Edit:
    def is_there(token: Token, entry_id: str) -> bool:
        return (token, edit.list, tokeniser.entry_hash(edit.list, entry_id)) in stored

    if edit.list == BIND:
        known = [i for i in wanted.ids if any(is_there(token, i) for token in edit.own)]
        content = [
            msgspec.structs.replace(each, entry_id=(known or wanted.ids)[0])
            for each in edit.content
        ]
        return msgspec.structs.replace(edit, content=tuple(content))
    tokens = (*edit.own, *wanted.tokens)
    places = [(t, i) for t in tokens for i in wanted.ids if is_there(t, i)]
    places = places or [(edit.own[0], wanted.ids[0])]
    own = tuple(token for token, _ in places)
    gone = [t for t in wanted.replaced if any(is_there(t, entry_id) for entry_id in wanted.ids)]
    return msgspec.structs.replace(
        edit,
        own=own,
        content=tuple(msgspec.structs.replace(edit.content[0], entry_id=i) for _, i in places),
        replaced=tuple(t for t in dict.fromkeys((*edit.replaced, *gone)) if t not in own),
    )
