"""What lists forbid and what a check is answered.

Pure functions of entries, a journey and the time; nothing here asks Redis.
"""
