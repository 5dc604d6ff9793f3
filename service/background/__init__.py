"""What a process does beside answering, and what it counts.

The canary, counters, metrics, images renewed, what is forgotten; no request waits for any of it.
"""
