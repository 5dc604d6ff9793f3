"""`clearway` with a lease to load that is soon lost where it is not beaten."""

from __future__ import annotations

from clearway import ending_on_interrupt, main

with ending_on_interrupt():
    from loader.jobs import session

LEASE_MS = 3_000

if __name__ == "__main__":
    session.LEASE_MS = LEASE_MS
    main(prog_name="clearway")
