"""The HTTP server: processes, sockets, connections, and which requests are begun when.

Checks that need nobody else are answered from here at once; nothing else of what is asked is known.
"""
