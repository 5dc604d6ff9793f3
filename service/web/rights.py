"""Which scope a change needs: that of the change as it would be applied.

What is applied must never be more than the key's scopes allow. So an edit's scope is read off
the edit itself, and a change of which nobody can say what it would do stops the request.
A `put` that replaces documents ends the same entry of the same list under these, so it
needs `list:add` of that list and no more (docs/api.md, Calling).
"""

from collections.abc import Sequence

import msgspec

from roster.documents.spelling import trimmed
from roster.errors import InvalidBody
from roster.records.bounds import LIST_MAX
from roster.rules.restrictions import Lists
from roster.storage.api_keys import ApiKey
from service.web.auth import require
from service.web.shapes import ChangeOp, ListName

BINDS = frozenset({"bind", "unbind"})
_ADDS = frozenset({"put", "resume", "bind"})


class Head(msgspec.Struct, frozen=True):
    """As much of a change as its scope needs, also where the rest is invalid."""

    op: ChangeOp
    list: ListName | None = None


_head_decoder = msgspec.json.Decoder(Head)
_FIELDS = ("op", "list")
_UNREAD = "op or list cannot be read"


def heads(changes: Sequence[msgspec.Raw]) -> list[Head]:
    """What each change says that it would do; raises InvalidBody with all that cannot be read.

    They are read as a whole change is: where a field stands twice, the last one counts. Only
    bindings need no list.
    """
    found: list[Head] = []
    faults: list[tuple[str, str]] = []
    for index, raw in enumerate(changes):
        try:
            head = _head_decoder.decode(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
            faults.append((f"changes[{index}]{_blamed(exc)}", _UNREAD))
        else:
            found.append(head)
            name = trimmed(head.list or "")
            if len(name) > LIST_MAX or (head.op not in BINDS and not name):
                faults.append((f"changes[{index}].list", _UNREAD))
    if faults:
        raise InvalidBody(faults)
    return found


def _blamed(exc: Exception) -> str:
    """The field to blame, of the two; empty where the change is no object at all."""
    text = str(exc)
    named = (name for name in _FIELDS if text.endswith((f"`$.{name}`", f"field `{name}`")))
    return "".join(f".{name}" for name in named)


def require_scope(key: ApiKey, lists: Lists, op: str, name: str | None) -> None:
    """Nothing; raises Forbidden where the key may not do `op` on the list called `name`.

    A list that there is not, and none, need a scope that is not narrowed; the refusal never
    repeats a name that is not one of ours.
    """
    name = trimmed(name or "")
    rule = lists.by_id(name)
    known = "bind" if op in BINDS else rule.id if rule else None
    if name == "lift":
        require(key, "list:lift")
    else:
        require(key, "list:add" if op in _ADDS else "list:remove", known)
