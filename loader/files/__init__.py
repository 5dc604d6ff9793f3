"""The bytes of list files, and what is stated of them.

Unpacked, hashed, cut into blocks of whole rows.
"""
