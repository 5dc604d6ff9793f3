"""The query parameters that routes take: name, meaning, schema."""

from typing import Any

Parameters = tuple[tuple[str, str, dict[str, Any]], ...]

LOG_PARAMETERS: Parameters = (
    (
        "after",
        "A position of the feed, or `now`; without it, from the oldest kept",
        {"type": "string"},
    ),
    ("limit", "At most so many", {"type": "integer", "minimum": 1, "maximum": 1000}),
    ("wait_ms", "How long to wait for one", {"type": "integer", "minimum": 0, "maximum": 30000}),
)

AUDIT_PARAMETERS: Parameters = (
    ("decision", "Only this decision", {"type": "string", "maxLength": 64}),
    ("entry", "Only what names this entry", {"type": "string", "maxLength": 128}),
    ("key", "Only what this API key did, or what was done to it", {"type": "string"}),
    ("late", "Only denials that came too late", {"type": "boolean"}),
    ("verify", "The blocks that the records lie in, for their chains", {"type": "boolean"}),
    ("after", "The `next` of a page", {"type": "string"}),
    ("limit", "At most so many", {"type": "integer", "minimum": 1, "maximum": 1000}),
)

LIVE_PARAMETERS: Parameters = (
    (
        "for_ms",
        "How long to go on; without it each event comes once",
        {"type": "integer", "minimum": 0, "maximum": 3_600_000},
    ),
)
