"""Changes from a file, sent to the service over HTTP; nothing here speaks to Redis."""
