"""Why something failed, and what helps: the fields of a line in the log."""

from __future__ import annotations

from roster.errors import ClearwayError, Unavailable, cause_of
from roster.redis.reasons import CLOSED, NAME, PASSWORD, TIMEOUT, TLS

_ACCESS = "the user and the password in CLEARWAY_REDIS_URL, or in its password_file"
_REACH = "is Redis up, and is the address in CLEARWAY_REDIS_URL right?"
_NETWORK = "is Redis overloaded or stopped, its disk slow, or the network between cut?"

REMEDIES = {
    "NOAUTH": f"{_ACCESS}: Redis wants one",
    "WRONGPASS": f"{_ACCESS}: Redis takes no such",
    "NOPERM": "the rights of that user in Redis (ACL): docs/operations.md, Alerts",
    "DENIED": "Redis is in protected mode: set a password, or bind it to this network alone",
    "LOADING": "Redis reads its data after a start: wait",
    "READONLY": "that server is no primary: name the primary, or Sentinel, in CLEARWAY_REDIS_URL",
    "MASTERDOWN": "that replica has lost its primary: bring one back",
    "CLUSTERDOWN": "the cluster lacks a shard: bring its servers back",
    "NOREPLICAS": "too few replicas are connected: bring them back",
    "MISCONF": "Redis cannot write to its disk: make room there",
    "OOM": "Redis' memory is full: give it more",
    "BUSY": "a script keeps Redis busy: SCRIPT KILL, FUNCTION KILL",
    "ECONNREFUSED": _REACH,
    "ENOENT": _REACH,
    "EACCES": "may this user write to Redis' socket?",
    PASSWORD: "the file that CLEARWAY_REDIS_URL names: may this user read it?",
    NAME: "the name in CLEARWAY_REDIS_URL is not known here: look at the DNS",
    TLS: "rediss:// only where Redis speaks TLS; else its certificate",
    TIMEOUT: _NETWORK,
    CLOSED: _NETWORK,
    "ECONNRESET": _NETWORK,
    "EPIPE": _NETWORK,
    "EHOSTUNREACH": _NETWORK,
    "ENETUNREACH": _NETWORK,
    "ETIMEDOUT": _NETWORK,
}
"""By what an Unavailable has as its code."""

_OURS = (ClearwayError, OSError)


def why(exc: Exception) -> dict[str, str]:
    """Class, cause, code and remedy of an error of ours or the system's, as far as there are any.

    Another's message may hold what was sent: of that only the class is told.
    """
    name = type(exc).__name__
    told = {"error": name, "cause": cause_of(exc) if isinstance(exc, _OURS) else name}
    if isinstance(exc, Unavailable) and exc.code:
        told |= {"code": exc.code, "remedy": REMEDIES.get(exc.code, "docs/operations.md, Alerts")}
    return told
