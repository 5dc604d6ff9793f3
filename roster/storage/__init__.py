"""The roster in Redis: what is stored under which key, read and changed.

Nothing here decides anything, and nothing here knows how a server is reached.
"""
