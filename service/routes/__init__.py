"""What each route does, from a request that has come to the answer that is sent.

How it is decided or applied stands elsewhere.
"""
