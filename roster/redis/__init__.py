"""How Redis is reached.

Servers found, connected, judged and sent pipelines to; nothing here knows what a roster is.
"""
