"""Columns of bytes, and what numpy reads from them at once.

Nothing here reads a file or asks Redis.
"""
