"""What each route does, from a request that has come to the answer that is sent.

Nothing is decided or applied here: that stands in rooms that know no HTTP.
"""
