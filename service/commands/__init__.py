"""The commands that run the service or ask it.

The roster is changed here only through the service, or by functions of `roster`; nothing of the
service imports them.
"""
