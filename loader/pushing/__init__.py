"""Changes from a file, sent to the service over HTTP."""
