"""The packaged Valkey for a laptop, a test or the demo: found, started, shared and ended.

Nothing here knows what it holds.
"""
