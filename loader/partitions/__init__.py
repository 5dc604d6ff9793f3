"""From packed rows to Redis: one partition at a time, merged, filled, compared."""
