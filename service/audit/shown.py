"""Records of the audit as the JSON that they are shown as (docs/api.md, Routes)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from roster.records import audited
from roster.records.audited import AuditKind, court_name
from roster.times import format_ms

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from roster.records.audited import AuditRecord
    from roster.records.blocks import AuditBlock

Shown: TypeAlias = "Callable[[Any, Mapping[bytes, str]], dict[str, Any]]"
_NAMES = {
    AuditKind.DECISION: "decision",
    AuditKind.CHANGE: "change",
    AuditKind.READ: "read",
    AuditKind.KEY: "key",
    AuditKind.LIST: "list",
    AuditKind.ACCEPT: "accept",
    AuditKind.RESTORED: "restored",
    AuditKind.LOAD: "load",
    AuditKind.LATE: "late_denial",
    AuditKind.LOST: "lost",
    AuditKind.CLOSED: "closed",
}


def record_json(
    at_ms: int, record: AuditRecord, block: AuditBlock, courts: Mapping[bytes, str]
) -> dict[str, Any]:
    """A record: its kind, when it happened, which process says so, and all that it says."""
    kind: int = record.__struct_config__.tag  # type: ignore[assignment]
    head = {"kind": _NAMES[AuditKind(kind)], "at": format_ms(at_ms), "process": block.process}
    shown: Shown = _SHOWN.get(type(record), _plain)
    return head | shown(record, courts)


def _decided(record: audited.Decided, courts: Mapping[bytes, str]) -> dict[str, Any]:
    return {
        "key": record.key,
        "decision_id": record.id.hex(),
        "mode": record.mode,
        "decision": "deny" if record.denied else "refer",
        "reasons": [_grounds(each, courts) for each in record.reasons],
        "position": record.position,
        "token": record.token.hex(),
    }


def _grounds(grounds: audited.Grounds, courts: Mapping[bytes, str]) -> dict[str, Any]:
    shown = {"code": grounds.code}
    if grounds.list:
        shown["list"] = grounds.list
    if grounds.entry_id:
        shown |= {"entry_id": grounds.entry_id, "court": court_name(grounds.court, courts)}
    return shown


def _changed(record: audited.EntryChanged, _: Mapping[bytes, str]) -> dict[str, Any]:
    first, *others = record.tokens or (b"",)
    shown = {
        "key": record.key,
        "op": record.op,
        "list": record.list,
        "entry_id": record.entry_id,
        "revision": record.revision,
        "reason": record.reason or None,
        "outcome": record.outcome,
        "position": record.position or None,
        "decided_at": _time(record.decided_at_ms),
        "token": first.hex(),
    }
    return shown | ({"tokens": [first.hex(), *(each.hex() for each in others)]} if others else {})


def _late(record: audited.DeniedLate, courts: Mapping[bytes, str]) -> dict[str, Any]:
    return {
        "key": record.key,
        "decision_id": record.id.hex(),
        "list": record.list,
        "entry_id": record.entry_id,
        "court": court_name(record.court, courts),
        "denied_at": format_ms(record.denied_at_ms),
        "decided_at": format_ms(record.decided_at_ms),
        "applied_at": format_ms(record.applied_at_ms),
        "token": record.token.hex(),
    }


def _loaded(record: audited.FilesLoaded, _: Mapping[bytes, str]) -> dict[str, Any]:
    return {
        "who": record.who,
        "what": record.what,
        "stage": record.stage,
        "load": record.load,
        "lists": list(record.lists),
        "as_of": _time(record.as_of_ms),
        "files": [{"name": name, "sha256": digest.hex()} for name, digest in record.files],
        "did": record.did,
        "undoes": record.undoes,
    }


def _lost(record: audited.RecordsLost, _: Mapping[bytes, str]) -> dict[str, Any]:
    from_ms, upto_ms = record.from_ms, record.upto_ms
    return {"records": record.records, "from": format_ms(from_ms), "until": format_ms(upto_ms)}


def _looked(record: audited.EntriesRead, _: Mapping[bytes, str]) -> dict[str, Any]:
    return {"key": record.key, "what": record.what, "token": record.token.hex()}


def _closed(_: audited.ChainClosed, _courts: Mapping[bytes, str]) -> dict[str, Any]:
    return {}


def _plain(record: AuditRecord, _: Mapping[bytes, str]) -> dict[str, Any]:
    return dict(msgspec.structs.asdict(record))


def _time(ms: int | None) -> str | None:
    return None if ms is None else format_ms(ms)


_SHOWN: dict[type, Shown] = {
    audited.Decided: _decided,
    audited.EntryChanged: _changed,
    audited.EntriesRead: _looked,
    audited.FilesLoaded: _loaded,
    audited.DeniedLate: _late,
    audited.RecordsLost: _lost,
    audited.ChainClosed: _closed,
}
