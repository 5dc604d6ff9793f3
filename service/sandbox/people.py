"""The table of made-up people: under which documents they are, and what is answered about them.

docs/api.md, Test keys, and the OpenAPI document show it; tests hold both, and the answers, to it.
Their cards have births in 1801 to 1804, the other documents nothing but zeros.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from roster.documents.identity import Document
from roster.records.entry import Content
from roster.times import parse_time
from service.sandbox.shapes import REMOVED, SUSPENDED, MadeUpEntry, MadeUpPerson, TableRow

if TYPE_CHECKING:
    from roster.rules.verdict import Decision

SLOW_S = 3.0
ZHANG, LI = "张试", "李试"
"""Names that are compared; the first also in Latin."""

_FROM_MS, _OVER_MS = parse_time("2024-01-01T00:00:00Z"), parse_time("2024-06-01T00:00:00Z")
_FAR_MS = parse_time("2099-12-31T00:00:00Z")


def _card(number: str) -> Document:
    return Document(type="resident_id", number=number)


def _made(of: str, number: int, until_ms: int | None = None, kind: str = "") -> Content:
    """The content of an entry on a list, which has this number among all."""
    return Content(
        f"test-{of}-{number}",
        from_ms=_FROM_MS,
        until_ms=until_ms,
        case=f"(1801)测0000执{number}号",
        court="测试法院",
        kind=kind,
    )


def _denied(of: str, means: str = "") -> TableRow:
    return TableRow(means=means or f"on list {of}", decision="deny", codes=("listed",), lists=(of,))


def _rail(decision: Decision, of: str, train: str, seat: str, means: str) -> TableRow:
    codes, lists = (("listed",), (of,)) if decision == "deny" else ((), ())
    return TableRow(
        means=means, decision=decision, codes=codes, lists=lists, train=train, seat=seat
    )


def _doubted(number: str, code: str, means: str) -> MadeUpPerson:
    row = TableRow(means=means, decision="refer", codes=(code,))
    return MadeUpPerson(document=_card(number), doubt=code, rows=(row,))


ALLOWED = (
    MadeUpPerson(
        document=_card("110105180101010018"),
        rows=(
            TableRow(
                means="on no list, as is everybody who is not in this table", decision="allow"
            ),
        ),
    ),
    MadeUpPerson(
        document=_card("110105180101020013"),
        entries=(MadeUpEntry("sx", _made("sx", 1), registers=REMOVED),),
        rows=(TableRow(means="was on a list, and has paid", decision="allow"),),
    ),
    MadeUpPerson(
        document=_card("110105180101030019"),
        entries=(MadeUpEntry("sx", _made("sx", 2), registers=SUSPENDED),),
        rows=(TableRow(means="the entry is suspended", decision="allow"),),
    ),
    MadeUpPerson(
        document=_card("110105180101040014"),
        entries=(MadeUpEntry("sx", _made("sx", 3)), MadeUpEntry("lift", _made("lift", 4, _FAR_MS))),
        rows=(
            TableRow(
                means="lifted for a time", decision="allow", codes=("lifted",), lists=("lift",)
            ),
        ),
    ),
    MadeUpPerson(
        document=_card("11010518010105001X"),
        entries=(
            MadeUpEntry("sx", _made("sx", 5), (ZHANG,)),
            MadeUpEntry("lift", _made("lift", 6, _FAR_MS, "mistaken_identity"), (LI,)),
        ),
        rows=(
            _denied("sx", "a mistaken identity, of which nothing is known without a name"),
            TableRow(
                means="a mistaken identity: somebody else than the listed person",
                decision="allow",
                codes=("cleared",),
                lists=("lift",),
                name=LI,
                name_check="mismatch",
            ),
        ),
    ),
    MadeUpPerson(
        document=_card("110105180101060015"),
        entries=(MadeUpEntry("sx", _made("sx", 7, _OVER_MS)),),
        rows=(TableRow(means="the entry's term is over", decision="allow"),),
    ),
    MadeUpPerson(
        document=_card("110105180101070010"),
        stale=True,
        rows=(TableRow(means='on no list, with `"stale": true`', decision="allow"),),
    ),
)

DENIED = (
    MadeUpPerson(
        document=_card("110105180201010015"),
        entries=(MadeUpEntry("sx", _made("sx", 8), (ZHANG, "ZHANG SHI")),),
        rows=(
            _denied("sx"),
            TableRow(
                means="the name is the entry's (as is `ZHANG/SHI`)",
                decision="deny",
                codes=("listed",),
                lists=("sx",),
                name=ZHANG,
                name_check="match",
            ),
            TableRow(
                means="the name is another",
                decision="refer",
                codes=("name_mismatch",),
                lists=("sx",),
                name=LI,
                name_check="mismatch",
            ),
            _rail("deny", "sx", "D101", "M", "first class on an EMU"),
            _rail("allow", "sx", "D101", "O", "second class on an EMU, which the list lets be"),
            TableRow(
                means="a seat code that there is not, with a warning",
                decision="refer",
                codes=("product_unknown",),
                lists=("sx",),
                train="D101",
                seat="XX",
            ),
        ),
    ),
    MadeUpPerson(
        document=_card("110105180201020010"),
        entries=(MadeUpEntry("xgl", _made("xgl", 9)),),
        rows=(_denied("xgl"),),
    ),
    MadeUpPerson(
        document=_card("110105180201030016"),
        entries=(MadeUpEntry("ndrc-rail-conduct", _made("ndrc-rail-conduct", 10)),),
        rows=(
            _rail("deny", "ndrc-rail-conduct", "K101", "1", "on list ndrc-rail-conduct: no train"),
            TableRow(means="that list lets flights be", decision="allow"),
        ),
    ),
    MadeUpPerson(
        document=_card("110105180201040011"),
        entries=(MadeUpEntry("ndrc-rail", _made("ndrc-rail", 11)),),
        rows=(
            _rail("deny", "ndrc-rail", "G101", "O", "on list ndrc-rail: no high-speed train"),
            _rail("allow", "ndrc-rail", "K101", "1", "that list lets hard seats be"),
        ),
    ),
    MadeUpPerson(
        document=_card("110105180201050017"),
        entries=(MadeUpEntry("ndrc-air", _made("ndrc-air", 12)),),
        rows=(
            _denied("ndrc-air"),
            _rail("allow", "ndrc-air", "G101", "O", "that list lets trains be"),
        ),
    ),
    MadeUpPerson(
        document=_card("110105180201060012"),
        entries=(MadeUpEntry("sx", _made("sx", 13)), MadeUpEntry("xgl", _made("xgl", 14))),
        rows=(
            TableRow(
                means="on two lists",
                decision="deny",
                codes=("listed", "listed"),
                lists=("sx", "xgl"),
            ),
        ),
    ),
    MadeUpPerson(
        document=Document(type="passport", number="E00000000", issuer="CHN"),
        entries=(MadeUpEntry("sx", _made("sx", 15)),),
        rows=(_denied("sx"),),
    ),
    MadeUpPerson(
        document=Document(type="hk_macao_permit", number="H00000000"),
        entries=(MadeUpEntry("xgl", _made("xgl", 16)),),
        rows=(_denied("xgl"),),
    ),
    MadeUpPerson(
        document=Document(type="taiwan_permit", number="00000000"),
        entries=(MadeUpEntry("sx", _made("sx", 17)),),
        rows=(_denied("sx"),),
    ),
)

REFERRED = (
    MadeUpPerson(
        document=_card("110105180301010012"),
        entries=(MadeUpEntry("sx", _made("sx", 18)),),
        disabled=True,
        rows=(
            TableRow(
                means="the list is disabled",
                decision="refer",
                codes=("list_disabled",),
                lists=("sx",),
            ),
        ),
    ),
    _doubted("110105180301020018", "rewound", "the roster is older than it was"),
    _doubted("110105180301030013", "too_many_documents", "more than 16 documents are bound"),
    _doubted("110105180301040019", "registry_unavailable", "Redis does not answer"),
    _doubted("110105180301050014", "not_covered", "a required list is not loaded"),
    _doubted("11010518030106001X", "stale", "no news for too long"),
    MadeUpPerson(
        document=_card("110105180301070014"),
        rows=(
            TableRow(means="a wrong check digit", decision="refer", codes=("document_invalid",)),
        ),
    ),
)

REFUSED = (
    MadeUpPerson(
        document=_card("11010518040101001X"),
        wait_s=SLOW_S,
        rows=(TableRow(means=f"on no list, answered after {SLOW_S:.0f} s", decision="allow"),),
    ),
    MadeUpPerson(
        document=_card("110105180401020015"),
        refusal=429,
        rows=(TableRow(means="the rate is used up", status=429),),
    ),
    MadeUpPerson(
        document=_card("110105180401030010"),
        refusal=503,
        rows=(TableRow(means="the service has never been ready", status=503),),
    ),
)

PEOPLE = (*ALLOWED, *DENIED, *REFERRED, *REFUSED)
