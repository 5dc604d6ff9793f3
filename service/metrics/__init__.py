"""What a process counts, and how that is told to Prometheus.

Only numbers and names live here: nothing knows where they come from, or who is asked for them.
"""
