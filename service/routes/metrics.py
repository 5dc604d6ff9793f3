"""GET /metrics: what all workers have counted, and what the roster holds."""

from typing import Any

from litestar import Request, get

from service.metrics.families import MEDIA_TYPE, render
from service.routes.process_metrics import process_families
from service.routes.roster_metrics import roster_families
from service.upkeep import Upkeep
from service.web.auth import scoped


@get("/metrics", guards=[scoped("ops:read")], media_type=MEDIA_TYPE)
async def get_metrics(request: Request[Any, Any, Any]) -> bytes:
    """Every metric of this process and the workers beside it, and the roster's counts.

    Those of the roster are there where Redis answers.
    """
    upkeep: Upkeep = request.app.state.upkeep
    roster = await roster_families(upkeep)
    return render([*await upkeep.together(list(process_families(upkeep))), *roster])
