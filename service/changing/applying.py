"""Edits applied where their entries stand, and what became of each.

One that is refused by itself (the server's memory is full, or what is stored of its person
cannot be read) is told in its place; the others are applied and safe.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias, TypeGuard

import msgspec

from roster.errors import NotDurable, Unavailable, Unreadable
from roster.records.change import Change
from roster.records.content import pack_content
from roster.records.entry import BIND, LIFT, Content, Op, Provenance
from roster.records.record import provenance_tail, readable, split_record
from roster.records.replies import Applied, Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from roster.documents.identity import Token
    from roster.documents.tokeniser import Tokeniser
    from roster.records.position import HighWater
    from roster.records.record import PackedEntry
    from roster.records.replies import Found
    from roster.redis.calls import Wait
    from roster.storage.dictionary import Dictionary
    from roster.storage.store import Store
    from service.changing.edits import Edit

Replies: TypeAlias = "list[Applied | Refusal]"
"""What became of the changes that one edit is."""

StoredEntries = set[tuple[bytes, int, bytes]]
"""The entries that there are: token, list, hash of the id."""


class Origin(NamedTuple):
    """Who sends a request's changes, and when they came in."""

    actor: str
    received_at_ms: int


class _OtherPlaces(msgspec.Struct, frozen=True):
    """Under what else an edit's entry, and those that it replaces, may stand."""

    tokens: tuple[Token, ...]
    replaced: tuple[Token, ...]
    ids: tuple[str, ...]

    def asked(self, edit: Edit) -> tuple[Token, ...]:
        """The tokens to look at."""
        return (*edit.own, *self.tokens, *self.replaced)


class EntryLocator:
    """Looks at what is stored of the entries that are to be changed.

    The same passport may be stored under another code of its state, and an entry of an earlier
    version under an id with blanks at its ends: the change goes there, so that a removal never
    misses what it is about. Raises Unavailable and WrongKey.
    """

    def __init__(
        self, store: Store, tokeniser: Tokeniser, high_water: Mapping[int, HighWater]
    ) -> None:
        """`store` outwaits durability; `high_water` are positions that are known to be safe."""
        self._store = store
        self._tokeniser = tokeniser
        self._high_water = high_water

    async def found(self, tokens: Sequence[Token]) -> list[Found]:
        """What is stored under each of these tokens."""
        if not tokens:
            return []
        return await self._store.lookup([(token, {}) for token in tokens], self._high_water)

    async def stated(self, edits: Mapping[int, Edit]) -> dict[int, int]:
        """Each edit's revision; one that states none is newer than now and than what is stored."""
        unstated = [index for index, edit in edits.items() if not edit.revision]
        found = await self.found([edits[index].own[0] for index in unstated])
        newest = {
            index: max(one.now_ms, self._newest(edits[index], one.record) + 1)
            for index, one in zip(unstated, found, strict=True)
        }
        return self._following(edits, newest)

    def guessed(self, edits: Mapping[int, Edit], now_ms: int) -> dict[int, int]:
        """Each edit's revision by this machine's clock, where Redis cannot be asked."""
        return self._following(edits, dict.fromkeys(edits, now_ms))

    async def placed(self, edits: Mapping[int, Edit]) -> dict[int, Edit]:
        """The edits, each where its entry stands."""
        found = {index: self._wanted(edit) for index, edit in edits.items()}
        wanted = {index: each for index, each in found.items() if each is not None}
        if not wanted:
            return dict(edits)
        asked = [each.asked(edits[index]) for index, each in wanted.items()]
        stored = await self._stored(list(dict.fromkeys(t for each in asked for t in each)))
        moved = {index: self._moved(edits[index], each, stored) for index, each in wanted.items()}
        return {**edits, **moved}

    def _following(self, edits: Mapping[int, Edit], least: Mapping[int, int]) -> dict[int, int]:
        """Two changes to one entry in one request follow each other."""
        latest: dict[tuple[bytes, int, bytes], int] = {}
        revisions: dict[int, int] = {}
        for index, edit in edits.items():
            revisions[index] = edit.revision
            if not edit.revision:
                entry = edit.own[0], *self._entry(edit)
                revisions[index] = latest[entry] = max(least[index], latest.get(entry, 0) + 1)
        return revisions

    def _newest(self, edit: Edit, record: bytes) -> int:
        """The newest revision of the edit's entry; 0 where what is stored cannot be read."""
        entry = self._entry(edit)
        same = [each for each in _split(record) if (each.list, each.entry_hash) == entry]
        return max((max(each.registers) for each in same), default=0)

    def _entry(self, edit: Edit) -> tuple[int, bytes]:
        return edit.list, self._tokeniser.entry_hash(edit.list, edit.content[0].entry_id)

    def _wanted(self, edit: Edit) -> _OtherPlaces | None:
        shape = edit.shape
        others = self._tokeniser.others
        tokens = others(shape.document) if shape.document else ()
        replaced = tuple(t for each in shape.replaces or () for t in others(each))
        own_id, spelled = edit.content[0].entry_id, shape.entry_id or ""
        ids = (own_id,) if own_id == spelled else (own_id, spelled)
        if not tokens and not replaced and len(ids) == 1:
            return None
        return _OtherPlaces(
            tuple(t for t in tokens if t not in edit.replaced),
            tuple(t for t in replaced if t not in edit.own),
            ids,
        )

    async def _stored(self, tokens: Sequence[Token]) -> StoredEntries:
        """The entries under these tokens; of what cannot be read, none."""
        found = zip(tokens, await self.found(tokens), strict=True)
        return {
            (token, each.list, each.entry_hash)
            for token, one in found
            for each in _split(one.record)
        }

    def _moved(self, edit: Edit, wanted: _OtherPlaces, stored: StoredEntries) -> Edit:
        def is_there(token: Token, entry_id: str) -> bool:
            return (token, edit.list, self._tokeniser.entry_hash(edit.list, entry_id)) in stored

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


class Applier:
    """Applies edits with the client of changes; `wait` says when a change is safe."""

    def __init__(
        self,
        store: Store,
        tokeniser: Tokeniser,
        dictionary: Dictionary,
        high_water: Mapping[int, HighWater],
        wait: Wait,
    ) -> None:
        """`high_water` are positions that are known to be safe."""
        self._store = store
        self._tokeniser = tokeniser
        self._dictionary = dictionary
        self._high_water = high_water
        self.wait = wait

    async def packed(
        self, edits: Mapping[int, Edit], revisions: Mapping[int, int], origin: Origin
    ) -> list[list[Change]]:
        """Every edit as the store applies it; the courts that they name are safe before.

        An edit is one change for each of its own documents, and then one for each that it
        replaces.
        """
        courts = {court for edit in edits.values() for court in edit.courts}
        await self._dictionary.intern(courts, self.wait)
        return [self._pack(edit, revisions[index], origin) for index, edit in edits.items()]

    async def apply(self, edits: Sequence[Edit], changes: Sequence[list[Change]]) -> list[Replies]:
        """What became of every edit's changes; raises NotDurable.

        The documents that an edit replaces are freed only when its own entry is safe: else a
        put that fails would free the person everywhere.
        """
        parts = [(group, len(edit.own)) for edit, group in zip(edits, changes, strict=True)]
        try:
            own = await self._send([group[:size] for group, size in parts])
            freed = await self._send(
                [
                    group[size:] if whole(mine) else []
                    for (group, size), mine in zip(parts, own, strict=True)
                ]
            )
        except Unavailable as exc:
            raise NotDurable("what was sent is not known to be applied") from exc
        return [mine + replaced for mine, replaced in zip(own, freed, strict=True)]

    async def _send(self, groups: Sequence[list[Change]]) -> list[Replies]:
        """What became of the changes of each group, all in one pipeline to each server."""
        flat = [change for group in groups for change in group]
        if not flat:
            return [[] for _ in groups]
        replies = iter(await self._store.apply_each(flat, self.wait, self._high_water))
        return [[next(replies) for _ in group] for group in groups]

    def _pack(self, edit: Edit, revision: int, origin: Origin) -> list[Change]:
        since = revision, _provenance(edit, origin, edit.shape.reason or "")
        own = zip(edit.own, edit.content, strict=True)
        changes = [self._change(edit, edit.op, token, content, since) for token, content in own]
        if edit.replaced:
            since = revision, _provenance(edit, origin, "error")
            empty = Content(edit.content[0].entry_id)
            changes += [self._change(edit, Op.REMOVE, each, empty, since) for each in edit.replaced]
        return changes

    def _change(
        self, edit: Edit, op: Op, token: Token, content: Content, since: tuple[int, bytes]
    ) -> Change:
        """One change; `since` is its revision, and what is written of where it comes from."""
        revision, provenance = since
        tokeniser, court_ids = self._tokeniser, self._dictionary.court_ids
        packed = pack_content(content, court_ids, packs_ids=tokeniser.packs_ids)
        if edit.shape.op == "reinstate":  # what is stored, which may have names
            packed = b""
        return Change(
            token=token,
            list=edit.list,
            op=op,
            revision=revision,
            entry_hash=tokeniser.entry_hash(edit.list, content.entry_id),
            content=packed,
            digest=tokeniser.digest(token, edit.list, packed),
            provenance=provenance,
            lenient=op in (Op.REMOVE, Op.SUSPEND) or edit.list == LIFT,
        )


def _provenance(edit: Edit, origin: Origin, reason: str) -> bytes:
    return provenance_tail(
        Provenance("api", origin.actor, reason, edit.decided_at_ms, origin.received_at_ms)
    )


def whole(replies: Replies) -> TypeGuard[list[Applied]]:
    """Whether none of them was refused."""
    return not any(isinstance(reply, Refusal) for reply in replies)


def _split(record: bytes) -> Sequence[PackedEntry]:
    """A record's entries; none where they cannot be read."""
    try:
        with readable():
            return split_record(record)
    except Unreadable:
        return []
