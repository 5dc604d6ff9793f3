"""From a question to a verdict.

What is asked, whom the filters clear, what Redis says of the others, and the answer; it takes
requests' shapes and names their faults, and knows nothing else of HTTP.
"""
