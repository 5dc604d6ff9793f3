"""What a process does beside answering.

Chores, the canary, metrics, images renewed, and what is forgotten.
"""
