"""From columns to packed rows.

Tokens, hashes, contents, and what is wrong with a row; nothing here speaks to Redis.
"""
