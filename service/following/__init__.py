"""How this process follows the logs, so that its filters miss nobody.

Polls, images, freshness, and what it remembers; nothing here knows what is asked or answered.
"""
