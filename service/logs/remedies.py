"""What to do where a process is not ready, or something is degraded, in a line.

At length: docs/operations.md, Alerts.
"""

from __future__ import annotations

CONDITIONS = {
    "draining": "none: it was told to end",
    "loaded": "wait; if it stays so, look at Redis: the lines before say what it lacks",
    "key": "start it with the ID key of this roster, or point it at its own",
    "covered": "clearway load every list that was there; named are the required ones",
    "lists": "look at Redis: the lines before say what it lacks",
    "news": "look at Redis: the lines before say what it lacks",
}
"""By the name of a condition of `/readyz`."""

DEGRADED = {
    "durability": "appendonly yes; with replicas min-replicas-to-write and CLEARWAY_MIN_REPLICAS",
    "replicas": "bring the replicas back, or set CLEARWAY_MIN_REPLICAS lower",
    "memory": "give Redis more memory, then send the rejected changes again",
    "memory_policy": "CONFIG SET maxmemory-policy noeviction",
    "listpack": "CONFIG SET hash-max-listpack-entries 512, hash-max-listpack-value 8192",
    "full_coverage": "CONFIG SET cluster-require-full-coverage no, on every node",
    "unknown": "look at Redis: the lines before say what it lacks",
    "stale": "look at Redis and the network: the lines before say what they lack",
    "rewound": "clearway accept --preview says from which files to load every list, or accept",
    "unremembered": "after a restored backup: clearway restored; else load every list in full",
    "list_disabled": "clearway lists enable, once it may bind again",
    "audit": "what the lines before say of Redis; alone: its memory, its disk",
    "key_restored": "clearway keys revoke, with this id",
    "list_restored": "clearway lists disable, or enable, this list",
}
"""By what `/readyz` says under `degraded`, without what stands behind a colon."""
