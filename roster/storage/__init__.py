"""The roster in Redis.

Every key has its module here, and what is stored is read and changed here only.
"""
