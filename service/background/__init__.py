"""What a process does beside answering, and what it counts.

The canary, counters, metrics, the renewal of images, the daily forgetting; nothing here is about
one person, and no check waits for any of it.
"""
