"""From blocks to columns.

One reader for each form and dialect of a list; nothing is judged here.
"""
