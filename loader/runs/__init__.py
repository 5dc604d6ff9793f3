"""What every job on the roster shares.

The lease, options, progress, guards, and what is reported and kept of it.
"""
