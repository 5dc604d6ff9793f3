"""List files, and what is stated of them, as rows by column.

Unpacked, hashed, cut into blocks of whole rows, read in each form and dialect; nothing is judged.
"""
