"""From packed rows to Redis: one partition at a time, merged, filled, compared.

Nothing here knows a file, or how its rows were read.
"""
