"""What is known of a person as bytes.

Entries, records, changes, positions and replies; nothing here sends any.
"""
