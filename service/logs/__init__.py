"""How the log is written: why something failed, what to do about it, and how often it is said.

Nothing here knows what is going on; whoever does says so.
"""
