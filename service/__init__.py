"""The HTTP API: checks, changes, look-ups, and how this process is doing."""
