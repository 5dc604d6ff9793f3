"""The audit of one service process: records kept, sealed and written; asked for; proved whole.

No check waits for any of it, and no document or name gets into it.
"""
