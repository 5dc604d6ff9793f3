"""The HTTP server.

Processes, sockets, connections, and which requests are begun when; what they ask is none of its
business.
"""
