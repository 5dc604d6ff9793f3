"""The service, put together: every object of a process is made here."""

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial

import structlog
from litestar import Litestar
from litestar.exceptions import HTTPException

from roster.build import build
from roster.documents.tokeniser import UNKNOWN, Tokeniser
from roster.errors import ClearwayError, SettingsError, Unavailable, cause_of
from roster.opening import SAFE_TIMEOUT_MS, Opening
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
from service.background.canary import EVERY_S as CANARY_EVERY_S
from service.background.canary import Canary
from service.background.forgetting import Forgetting
from service.background.renewal import EVERY_S as RENEWAL_EVERY_S
from service.background.renewal import Renewer
from service.changing.confirming import Confirmer
from service.changing.notices import NOTE_EVERY_S, Teller
from service.deciding.counters import Counters
from service.deciding.lookups import Lookups
from service.deciding.screening import Desk
from service.feed.polls import Feed
from service.following.belonging import EVERY_S as BELONGING_EVERY_S
from service.following.follower import Follower
from service.following.memory import EVERY_S as MEMORY_EVERY_S
from service.following.memory import Memory
from service.following.screener import EVERY, Screener
from service.openapi.schema import schema_routes
from service.parts import Service
from service.routes.changes import post_changes
from service.routes.checks import check_routes
from service.routes.entries import find, history
from service.routes.feed import get_changes
from service.routes.front import Front
from service.routes.ops import get_metrics, get_roster, healthz, readyz
from service.routes.page_routes import status_page
from service.routes.standing import standing
from service.upkeep import Chore, Upkeep, repeat, stay
from service.web.auth import Access
from service.web.bodies import BODY_MAX_BYTES
from service.web.problems import problem_response

END_TRIES = 6

log = structlog.get_logger("clearway.app")

API = (
    *(check_routes, standing),
    *(post_changes, get_changes, find, history),
    *(status_page, get_roster, healthz, readyz, get_metrics),
)


def create_app(settings: Settings) -> Litestar:
    """The ASGI application; its lifespan opens the roster that the settings name.

    The start raises SettingsError, ListsError, EmbeddedError, ServerUnfit or WrongKey. A
    Redis that does not answer is no error: it is asked again until it does.
    """
    build()  # what is installed later is not what this process runs
    app = Litestar(
        route_handlers=[*API, *schema_routes()],
        lifespan=[partial(_running, settings)],
        exception_handlers={Exception: problem_response, HTTPException: problem_response},
        request_max_body_size=BODY_MAX_BYTES,
        openapi_config=None,
        logging_config=None,
    )
    app.asgi_handler = Front(app.asgi_handler)
    return app


async def look_before(settings: Settings, opening: Opening) -> None:
    """Nothing where the service may start; raises what `create_app` says.

    Whoever starts several processes asks once, before, to have one message.
    """
    required_codes(settings, load_lists(settings.lists_file))
    nodes = opening.change_nodes()
    key = opening.id_key()
    try:
        await opening.facts(nodes)
        store = Store(nodes, Tokeniser(key, UNKNOWN))
        await store.open(EVERY)
        await store.tails(dict.fromkeys(EVERY), {})
    except Unavailable as exc:
        log.warning("the roster cannot be reached yet", cause=cause_of(exc))
    finally:
        await nodes.close()


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
        nodes = {
            "check": opening.check_nodes(),
            "change": opening.change_nodes(),
            "follow": opening.follow_nodes(),
        }
        upkeep = _parts(settings, opening, nodes)
        upkeep.more = _more_chores(app, upkeep)
        app.state.service, app.state.upkeep = upkeep.service, upkeep
        try:
            async with _tasks(upkeep):
                yield
        finally:
            await _leave(upkeep)
            upkeep.service.desk.lookups.close()
            for each in nodes.values():
                await each.close()
    finally:
        await asyncio.to_thread(opening.close)


def _parts(settings: Settings, opening: Opening, nodes: Mapping[str, Nodes]) -> Upkeep:
    lists = load_lists(settings.lists_file)
    tokeniser = Tokeniser(opening.id_key(), UNKNOWN)  # the follower opens the roster
    keep_ms, roster_id = settings.audit_days * DAY_MS, RosterId(nodes["follow"])
    check, change, follow = (
        Store(nodes[use], tokeniser, keep_ms=keep_ms, roster_id=roster_id)
        for use in ("check", "change", "follow")
    )
    screener = Screener(required_codes(settings, lists), settings.fresh_ms, settings.serve_stale_s)
    screener.lists_known = False  # a list that is disabled denies nobody
    follower = Follower(follow, screener, (secrets.token_hex(6), socket.gethostname()))
    follower.herald.replicas = settings.replicas
    dictionary = Dictionary(nodes["change"])
    desk = Desk(screener, follower, Lookups(check, screener, settings.redis_timeout_ms))
    desk.poll_timeout_s = settings.redis_timeout_ms / 1000
    desk.equip(tokeniser, lists, dictionary)
    feed = Feed(change, follower, screener.high_water)
    feed.pages.equip(tokeniser, lists, dictionary)
    # Until the servers are known, a change counts as safe only by the strictest measure.
    wait = Wait(aof=True, replicas=settings.replicas, timeout_ms=SAFE_TIMEOUT_MS)
    processes = Processes(nodes["change"])
    service = Service(
        settings=settings,
        store=check,
        changes_store=change,
        tokeniser=tokeniser,
        lists=lists,
        dictionary=dictionary,
        screener=screener,
        follower=follower,
        desk=desk,
        access=Access(KeyStore(nodes["change"], wait), settings.serve_stale_s),
        counters=Counters(),
        processes=processes,
        teller=Teller(change, processes),
        confirmer=Confirmer(change, processes),
        wait=wait,
        feed=feed,
    )
    tallies = CounterStore(nodes["change"])
    return Upkeep(service, opening, tallies, DisabledLists(nodes["change"], wait))


def _more_chores(app: Litestar, upkeep: Upkeep) -> tuple[Chore, ...]:
    service, screener = upkeep.service, upkeep.service.screener
    folder = service.settings.data_dir
    memory = Memory(folder, service.tokeniser, screener, service.access.ended)
    belonging = service.follower.belonging
    belonging.memory = memory
    renewer = _renewer(service)
    service.canary = canary = Canary(app, service)
    canary.on_lag = partial(upkeep.lags.add, "processes")
    upkeep.leaving = (renewer.leave, canary.leave)
    return (
        ("memory", MEMORY_EVERY_S, memory.save),
        (
            "belonging",
            BELONGING_EVERY_S,
            partial(belonging.watch, service.processes, service.follower.id),
        ),
        ("note", NOTE_EVERY_S, service.teller.note),
        ("renewal", RENEWAL_EVERY_S, renewer.tick),
        ("canary", CANARY_EVERY_S, canary.sing),
    )


def _renewer(service: Service) -> Renewer:
    store, settings = service.changes_store, service.settings
    audit_ms = settings.audit_days * DAY_MS
    terms = RetentionPeriods(
        history_ms=audit_ms,
        tombstone_ms=settings.tombstone_days * DAY_MS,
        log_ms=settings.log_days * DAY_MS,
        keys_ms=audit_ms,
    )
    lists = bytes(sorted({BIND, *(rule.code for rule in service.lists.all)}))
    forgetting = Forgetting(store, KeyStore(store.nodes, service.wait), terms, lists)
    return Renewer(store, service.screener, forgetting, settings.log_days)


@asynccontextmanager
async def _tasks(upkeep: Upkeep) -> AsyncIterator[None]:
    """Everything that runs beside the requests; the keys and lists are known before."""
    with suppress(Unavailable):
        await upkeep.service.follower.belonging.begin(EVERY)
    with suppress(Unavailable):
        await upkeep.service.access.refresh()
        await upkeep.service.dictionary.refresh()
        await upkeep.read_disabled()
        await upkeep.look_at_servers()
    running = [asyncio.create_task(stay("follower", upkeep.service.follower.run))]
    running += [asyncio.create_task(repeat(chore)) for chore in upkeep.chores()]
    try:
        yield
    finally:
        upkeep.draining = True
        await _end(running)


async def _end(running: list[asyncio.Task[None]]) -> None:
    """Cancel the tasks, again where one swallowed it, but not for ever."""
    pending = set(running)
    for _ in range(END_TRIES):
        for task in pending:
            task.cancel()
        if pending:
            _, pending = await asyncio.wait(pending, timeout=0.5)


async def _leave(upkeep: Upkeep) -> None:
    """What other processes should know when this one ends in order."""
    service = upkeep.service
    steps = (service.teller.close, upkeep.write_counts, service.follower.leave, *upkeep.leaving)
    for step in steps:
        with suppress(ClearwayError):
            await step()
    if service.follower.belonging.memory is not None:
        await service.follower.belonging.memory.save()
