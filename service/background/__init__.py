"""What a process does beside answering.

The canary, the renewal of images, the daily forgetting; nothing here is about one person, and no
check waits for any of it.
"""
