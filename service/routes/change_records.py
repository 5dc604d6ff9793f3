"""Changes over the API, for the audit, the metrics, and the ledger of late denials."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from roster.records.audited import EntryChanged
from roster.records.entry import LIFT, Op
from roster.storage.late import Removal
from roster.times import now_ms
from service.web.auth import CANARY_KEY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from roster.storage.api_keys import ApiKey
    from service.changing.edits import Edit
    from service.parts import Service

UNACKNOWLEDGED = "unacknowledged"


def changed(
    service: Service, key: ApiKey, edits: Mapping[int, Edit], results: Sequence[dict[str, Any]]
) -> None:
    """Record and count what became of each edit, by its place among the results."""
    for index, edit in edits.items():
        result = results[index]
        current = result.get("current") or {}
        revision = edit.revision or current.get("revision", 0)
        result_fields = revision, result["outcome"], result.get("position", "")
        _note(service, key, edit, result_fields)


def unacknowledged(
    service: Service, key: ApiKey, edits: Mapping[int, Edit], revisions: Mapping[int, int]
) -> None:
    """Record that nobody knows what became of these edits."""
    at_ms = now_ms()
    for index, edit in edits.items():
        _note(service, key, edit, (revisions[index], UNACKNOWLEDGED, ""))
        if edit.op is Op.REMOVE and edit.list < LIFT:
            removed(service, edit, at_ms)


def removed(service: Service, edit: Edit, applied_at_ms: int) -> None:
    """Have the late denials of this removal told, if it is stated when it was decided."""
    if edit.decided_at_ms is None:
        return
    name, entry_id = service.lists.name(edit.list), edit.content[0].entry_id
    service.ledger.removed(Removal(edit.own[:1], name, entry_id, edit.decided_at_ms, applied_at_ms))


def _note(service: Service, key: ApiKey, edit: Edit, result_fields: tuple[int, str, str]) -> None:
    if key.id == CANARY_KEY:
        return
    service.counters.changes[edit.shape.op, result_fields[1]] += 1
    record = EntryChanged(
        key.id,
        edit.shape.op,
        service.lists.name(edit.list),
        edit.content[0].entry_id,
        *result_fields,
        (*edit.own, *edit.replaced),
        edit.shape.reason or "",
        edit.decided_at_ms,
    )
    service.audit.note(record, edit.own[0])
