"""What a process counts itself, how fresh it is, and what it takes, as metrics."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from roster.build import build
from roster.redis.calls import library
from roster.times import now_ms
from service.metrics.families import Family, count, counter, gauge, histogram, labelled
from service.metrics.running import running_families, silent_workers
from service.routes.checks import CHECK
from service.routes.ops import NAMES, conditions, degraded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service.metrics.counters import Counters, Histogram
    from service.metrics.families import Labels
    from service.parts import Service
    from service.upkeep import Upkeep


def process_families(upkeep: Upkeep) -> Iterator[Family]:
    """Everything that one process knows of itself."""
    service = upkeep.service
    yield from _state(upkeep)
    yield from _requests(service.counters)
    text = "Streams of figures that are open: pages that are looked at."
    yield gauge("live_streams", text, float(upkeep.live.open))
    yield from _checks(service)
    yield from _changes(service)
    yield from _redis(upkeep)
    yield from _audit(service)
    yield from _keys(service)
    yield from running_families()


def _state(upkeep: Upkeep) -> Iterator[Family]:
    """Whether it decides checks, and what is not as it should be."""
    screener = upkeep.service.screener
    yield gauge("ready", "Whether checks are decided here.", float(screener.ready), "min")
    found = {name: float(each.ok) for name, each in conditions(upkeep).items()}
    text = "Whether a condition of /readyz holds."
    yield labelled("condition", text, "name", values=found, over="min")
    found = dict.fromkeys(NAMES, 0.0)
    found |= dict.fromkeys((name.partition(":")[0] for name in degraded(upkeep)), 1.0)
    text = "Whether this is not as it should be: docs/operations.md, Redis."
    yield labelled("degraded", text, "name", values=found)
    if math.isfinite(screener.news.age_ms):
        age_s = screener.news.age_ms / 1000
        yield gauge("fresh_age_seconds", "Since the last complete poll.", age_s, "max")
    yield gauge("filter_bytes", "The filters' memory.", float(screener.size_bytes))
    since = max(float(each.changes) for each in screener.partitions)
    text = "Log entries that the image of a partition lacks, of the one that lacks most."
    yield gauge("log_entries_since_image", text, since, "max")
    yield gauge("workers", "Processes that these figures are of.", 1.0)
    yield silent_workers(0)
    told = {(build(), library().name): 1.0}
    yield labelled("build_info", "What code runs.", "build", "library", values=told)


def _requests(counters: Counters) -> Iterator[Family]:
    """What came over HTTP, and what is open."""
    requests = dict(counters.requests)
    at_once = "POST", CHECK, 200
    requests[at_once] = requests.get(at_once, 0) + counters.cleared_at_once
    names = "method", "route", "status"
    yield counter("requests_total", "Requests answered.", *names, values=requests)
    text = "Requests turned away as there were too many."
    yield count("refused_total", text, counters.refused)
    yield gauge("checks_in_flight", "Checks in hand or in line.", float(counters.in_flight()))
    held, most, waiting = counters.connections()
    yield gauge("connections", "Open connections of callers.", float(held))
    yield gauge("connections_max", "Connections that are taken in.", float(most))
    text = "Connections that nobody has accepted yet."
    yield gauge("connections_waiting", text, float(waiting), "max")
    text = "How late turns of the event loop come, looked at twice a second."
    yield histogram("event_loop_lag_seconds", text, {(): counters.loop_lag})


def _checks(service: Service) -> Iterator[Family]:
    counters, screener, lookups = service.counters, service.screener, service.desk.lookups
    decisions = counters.decisions
    yield counter("checks_total", "Checks answered.", "mode", "decision", values=decisions)
    text = "Checks referred, by reason."
    yield counter("refers_total", text, "reason", values=counters.refers)
    hits = {"true": screener.true_hits, "false": screener.false_hits}
    text = "Checks that the filter did not clear."
    yield counter("filter_hits_total", text, "kind", values=hits)
    text = "Requests for checks, one or a batch."
    yield histogram("check_duration_seconds", text, {(): counters.durations})
    text = "Look-ups in Redis that were answered, all that go out together as one."
    yield histogram("lookup_duration_seconds", text, {(): lookups.durations})
    text = "Look-ups in Redis that failed, all that go out together as one."
    yield count("lookup_failures_total", text, lookups.failures)
    yield gauge("lookups_waiting", "Look-ups that are not sent yet.", float(lookups.waiting))
    text = "Servers that were silent for so long that checks no longer wait for them."
    yield gauge("circuit_open", text, float(lookups.circuits_open), "max")
    text = "How often checks began to wait for a server no longer."
    yield count("circuit_opened_total", text, lookups.circuits_opened)


def _changes(service: Service) -> Iterator[Family]:
    counters, canary = service.counters, service.canary
    text = "Changes sent over the API, by what became of them."
    yield counter("changes_total", text, "op", "outcome", values=counters.changes)
    legs: dict[Labels, Histogram] = {
        (("leg", leg),): each for leg, each in counters.removals.items()
    }
    yield histogram("removal_lag_seconds", "Removals over the API, by leg of their way.", legs)
    yield gauge("feed_polls", "Open polls of the feed.", float(service.feed.open))
    text = "API keys that have polls of the feed open."
    yield gauge("feed_readers", text, float(service.feed.readers))
    yield count("canary_rounds_total", "Rounds of the canary.", canary.rounds)
    yield count("canary_failures_total", "Rounds that went wrong.", canary.failures)
    if canary.lag_ms is not None:
        yield gauge("canary_lag_seconds", "The last removal's way.", canary.lag_ms / 1000, "max")


def _redis(upkeep: Upkeep) -> Iterator[Family]:
    text = "Errors of Redis, by its code, or by what kept its answer away."
    errors = upkeep.opening.redis_errors
    yield counter("redis_errors_total", text, "code", values=errors)


def _keys(service: Service) -> Iterator[Family]:
    """When API keys end, and what test keys were answered."""
    now = now_ms()
    ends = {
        (key.id, key.name): key.expires_ms / 1000
        for key in service.access.keys
        if key.expires_ms is not None and key.works(now)
    }
    text = "When a key expires, of those that work and ever will."
    yield labelled("key_expires_timestamp_seconds", text, "key", "name", values=ends)
    decided = service.sandbox.decided
    text = "Checks by test keys, which count nowhere else."
    yield counter("sandbox_checks_total", text, "decision", values=decided)


def _audit(service: Service) -> Iterator[Family]:
    """What this process has said to the audit, and could not."""
    audit = service.audit
    yield count("audit_records_total", "Audit records written.", audit.records)
    yield count("audit_lost_total", "Audit records dropped unwritten.", audit.lost)
    yield gauge("audit_waiting", "Audit records not written yet.", float(audit.waiting))
    text = "Removals whose late denials were not looked for."
    yield count("late_overlooked_total", text, service.ledger.overlooked)
