"""The parts of one service process, as every route is given them."""

import msgspec

from roster.documents.tokeniser import Tokeniser
from roster.rules.restrictions import Lists
from roster.settings import Settings
from roster.storage.dictionary import Dictionary
from roster.storage.processes import Processes
from roster.storage.store import Store
from service.audit.ledger import Ledger
from service.audit.recorder import Recorder
from service.background.canary import Canary
from service.changing.applying import Applier, EntryLocator
from service.changing.propagation import Confirmer, Notifier
from service.deciding.screening import Desk
from service.feed.polls import Feed
from service.following.follower import Follower
from service.following.screener import Screener
from service.metrics.counters import Counters
from service.sandbox.sandbox import Sandbox
from service.web.auth import Access


class Service(msgspec.Struct, frozen=True):
    """The parts of one service process, made in `service/app.py`.

    `store` answers checks within `CLEARWAY_REDIS_TIMEOUT_MS`; `changes_store` outwaits
    durability.
    """

    settings: Settings
    store: Store
    changes_store: Store
    tokeniser: Tokeniser
    lists: Lists
    dictionary: Dictionary
    screener: Screener
    follower: Follower
    desk: Desk
    access: Access
    counters: Counters
    processes: Processes
    places: EntryLocator
    applier: Applier
    notifier: Notifier
    confirmer: Confirmer
    feed: Feed
    canary: Canary
    audit: Recorder
    ledger: Ledger
    sandbox: Sandbox
