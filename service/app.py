"""The service, put together: every object of a process is made here."""

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import NamedTuple

import structlog
from litestar import Litestar
from litestar.exceptions import HTTPException

from roster.build import build
from roster.documents.tokeniser import UNKNOWN, Tokeniser
from roster.errors import SettingsError, Unavailable
from roster.id_key import public_key_of
from roster.opening import SAFE_TIMEOUT_MS, Opening
from roster.records.blocks import Chain
from roster.records.entry import BIND
from roster.redis.calls import Wait
from roster.redis.nodes import Nodes
from roster.rules.lists import load_lists
from roster.rules.restrictions import Lists
from roster.settings import Settings
from roster.storage.api_keys import KeyStore
from roster.storage.counters import CounterStore
from roster.storage.dictionary import Dictionary
from roster.storage.disabled import DisabledLists
from roster.storage.founding import RosterId
from roster.storage.processes import Processes
from roster.storage.retention import RetentionPeriods
from roster.storage.store import Store
from roster.times import DAY_MS
from service.audit.ledger import Ledger
from service.audit.recorder import Recorder
from service.background.canary import Canary, canary_key
from service.background.forgetting import Forgetting
from service.background.key_uses import KeyUses
from service.background.live import Live
from service.background.loaded import Loaded
from service.background.losses import LossKeeper
from service.background.renewal import Renewer
from service.background.trend import Trend
from service.changing.applying import Applier, EntryLocator
from service.changing.propagation import Confirmer, Notifier
from service.deciding.lookups import Lookups
from service.deciding.screening import Desk
from service.feed.log import FeedLog
from service.feed.pages import Writer
from service.feed.polls import Feed
from service.following.announcing import Announcer
from service.following.follower import Follower
from service.following.memory import Memory
from service.following.screener import EVERY, Screener
from service.following.share import Listener
from service.logs.causes import why
from service.metrics.counters import Counters
from service.parts import Service
from service.routes.audit import get_audit
from service.routes.changes import post_changes
from service.routes.checks import check_routes
from service.routes.entries import find, history
from service.routes.feed import get_changes
from service.routes.front import Front
from service.routes.live import get_live
from service.routes.metrics import get_metrics
from service.routes.ops import get_roster, healthz, readyz
from service.routes.pages import page_routes
from service.routes.standing import standing
from service.routes.trend import get_key, get_trend
from service.sandbox.sandbox import Sandbox
from service.upkeep import Upkeep, keep_running, repeat
from service.web.auth import Access
from service.web.bodies import BODY_MAX_BYTES
from service.web.problems import problem_response
from service.web.rates import Rates

END_TRIES = 6

log = structlog.get_logger("clearway.app")

API = (
    *(check_routes, standing),
    *(post_changes, get_changes, find, history, get_audit),
    *(get_roster, get_trend, get_live, get_key, healthz, readyz, get_metrics),
)


def create_app(settings: Settings, rates: Rates | None = None) -> Litestar:
    """The ASGI application; its lifespan opens the roster that the settings name.

    `rates` are what it counts together with other processes; without them it counts alone.

    The start raises SettingsError, ListsError, EmbeddedError, ServerUnfit or WrongKey. A
    Redis that does not answer is no error: it is asked again until it does.
    """
    build()  # what is installed later is not what this process runs
    app = Litestar(
        route_handlers=[*API, *page_routes()],
        lifespan=[partial(_running, settings)],
        exception_handlers={Exception: problem_response, HTTPException: problem_response},
        request_max_body_size=BODY_MAX_BYTES,
        openapi_config=None,
        logging_config=None,
    )
    app.state.rates = rates
    app.asgi_handler = Front(app.asgi_handler)
    return app


async def look_before(settings: Settings, opening: Opening) -> None:
    """See whether the service may start; raises what `create_app` says.

    Whoever starts several processes asks once, before, to have one message.
    """
    required_codes(settings, load_lists(settings.lists_file))
    public_key_of(settings.signature_key_file)  # files are loaded elsewhere, with the same settings
    key = opening.id_key()
    async with opening.changing() as nodes:
        try:
            await opening.facts(nodes)
            store = Store(nodes, Tokeniser(key, UNKNOWN))
            await store.open(EVERY)
            await store.tails(dict.fromkeys(EVERY), {})
        except Unavailable as exc:
            log.warning("the roster cannot be reached yet", **why(exc))


def required_codes(settings: Settings, lists: Lists) -> frozenset[int]:
    """The codes of `CLEARWAY_REQUIRED_LISTS`; raises SettingsError for one that there is not."""
    rules = {name: lists.by_id(name) for name in settings.required_lists}
    unknown = sorted(name for name, rule in rules.items() if rule is None)
    if unknown:
        raise SettingsError(f"CLEARWAY_REQUIRED_LISTS names unknown lists: {', '.join(unknown)}")
    return frozenset(rule.code for rule in rules.values() if rule is not None)


@asynccontextmanager
async def _running(settings: Settings, app: Litestar) -> AsyncIterator[None]:
    opening = await asyncio.to_thread(Opening, settings)
    try:
        await look_before(settings, opening)
        nodes = _NodesByUse(
            opening.check_nodes(),
            opening.change_nodes(),
            opening.follow_nodes(),
            opening.follow_nodes(),
        )
        upkeep = _upkeep(app, opening, nodes)
        app.state.service, app.state.upkeep = upkeep.service, upkeep
        try:
            async with _tasks(upkeep):
                yield
        finally:
            await upkeep.leave()
            upkeep.service.desk.lookups.close()
            for each in nodes:
                await each.close()
    finally:
        await asyncio.to_thread(opening.close)


class _NodesByUse(NamedTuple):
    """Redis, by what it is asked for: each use has its own time-outs and connections."""

    check: Nodes
    change: Nodes
    follow: Nodes
    audit: Nodes


def _upkeep(app: Litestar, opening: Opening, nodes: _NodesByUse) -> Upkeep:
    """All parts of the process, and what they are kept up with."""
    settings, lists = opening.settings, load_lists(opening.settings.lists_file)
    tokeniser = Tokeniser(opening.id_key(), UNKNOWN)  # the follower opens the roster
    check, change, follow = _stores(settings, nodes, tokeniser)
    screener, wait = _screener(settings, lists), _strictest(settings)
    keys = KeyStore(nodes.change, wait)
    access = Access(keys, settings.serve_stale_s, app.state.rates)
    memory = Memory(settings.data_dir, tokeniser, screener, access.ended)
    log, counters, processes = FeedLog(), Counters(), Processes(nodes.change)
    dictionary, audit = _recorder(nodes, tokeniser)
    announcer = _announcer(settings, follow, screener, audit)
    follower = Follower(follow, screener, announcer, memory, Listener(log.take, log.is_polled))
    lookups = Lookups(check, screener, dictionary, settings.redis_timeout_ms)
    writer = Writer(tokeniser, lists, dictionary)
    canary = Canary(app, nodes.change, tokeniser, screener, counters)
    access.trust(canary.header.encode(), canary_key())
    service = Service(
        settings=settings,
        store=check,
        changes_store=change,
        tokeniser=tokeniser,
        lists=lists,
        dictionary=dictionary,
        screener=screener,
        follower=follower,
        desk=Desk(screener, follower, lookups, tokeniser, lists),
        access=access,
        counters=counters,
        processes=processes,
        places=EntryLocator(change, tokeniser, screener.high_water),
        applier=Applier(change, tokeniser, dictionary, screener.high_water, wait),
        notifier=Notifier(change, processes),
        confirmer=Confirmer(change, processes),
        feed=Feed(change, log, follower.poll, writer, screener.high_water),
        canary=canary,
        audit=audit,
        ledger=Ledger(audit, change, dictionary),
        sandbox=Sandbox(lists),
    )
    tallies, disabled = CounterStore(nodes.change), DisabledLists(nodes.change, wait)
    return Upkeep(service, opening, tallies, disabled, memory, *_beside(service, keys, log))


def _stores(settings: Settings, nodes: _NodesByUse, tokeniser: Tokeniser) -> Iterator[Store]:
    """The stores of checks, of changes and of polls, which share the roster's id."""
    keep_ms, roster_id = settings.audit_days * DAY_MS, RosterId(nodes.follow)
    return (Store(each, tokeniser, keep_ms=keep_ms, roster_id=roster_id) for each in nodes[:3])


def _screener(settings: Settings, lists: Lists) -> Screener:
    return Screener(
        required_codes(settings, lists),
        settings.fresh_ms,
        settings.serve_stale_s,
        lists_known=False,  # a list that is disabled denies nobody
    )


def _strictest(settings: Settings) -> Wait:
    """By what measure alone a change counts as safe until the servers are known."""
    return Wait(aof=True, replicas=settings.replicas, timeout_ms=SAFE_TIMEOUT_MS)


def _recorder(nodes: _NodesByUse, tokeniser: Tokeniser) -> tuple[Dictionary, Recorder]:
    """The dictionary, and the recorder, which names courts by it."""
    dictionary, chain = Dictionary(nodes.change), Chain(secrets.token_hex(6), tokeniser.seal_key)
    return dictionary, Recorder(chain, nodes.audit, dictionary.court_ids)


def _announcer(settings: Settings, store: Store, screener: Screener, audit: Recorder) -> Announcer:
    """The process has the name of its audit chain."""
    identity = audit.process, socket.gethostname()
    return Announcer(store, screener, identity, settings.replicas, audit.stated)


def _beside(
    service: Service, keys: KeyStore, log: FeedLog
) -> tuple[Renewer, KeyUses, Trend, Loaded, LossKeeper, Live]:
    """What goes on beside the answers."""
    shown = Trend(service.counters), Loaded(service.dictionary)
    keep_ms = service.settings.log_days * DAY_MS
    losses = LossKeeper(log.lost, service.changes_store, service.screener, keep_ms)
    return _renewer(service, keys), KeyUses(service.access, keys), *shown, losses, Live(log)


def _renewer(service: Service, keys: KeyStore) -> Renewer:
    store, settings = service.changes_store, service.settings
    audit_ms = settings.audit_days * DAY_MS
    terms = RetentionPeriods(
        history_ms=audit_ms,
        tombstone_ms=settings.tombstone_days * DAY_MS,
        log_ms=settings.log_days * DAY_MS,
        keys_ms=audit_ms,
    )
    lists = bytes(sorted({BIND, *(rule.code for rule in service.lists.all)}))
    forgetting = Forgetting(store, keys, terms, lists)
    return Renewer(store, service.screener, forgetting, settings.log_days)


@asynccontextmanager
async def _tasks(upkeep: Upkeep) -> AsyncIterator[None]:
    """Everything that runs beside the requests; the keys and lists are known before."""
    await upkeep.begin()
    running = [asyncio.create_task(keep_running("follower", upkeep.service.follower.run))]
    running += [asyncio.create_task(repeat(chore)) for chore in upkeep.chores()]
    try:
        yield
    finally:
        upkeep.draining = True
        upkeep.live.end()
        await _end(running)


async def _end(running: list[asyncio.Task[None]]) -> None:
    """Cancel the tasks, again where one swallowed it, but not for ever."""
    pending = set(running)
    for _ in range(END_TRIES):
        for task in pending:
            task.cancel()
        if pending:
            _, pending = await asyncio.wait(pending, timeout=0.5)
