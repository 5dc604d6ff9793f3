"""From a change that was sent to one that is stored, safe and told to every process.

It takes requests' shapes and names their faults, and knows nothing else of HTTP.
"""
