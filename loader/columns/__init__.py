"""Columns of bytes, and what numpy reads from them at once.

Nothing here knows a roster or a file.
"""
