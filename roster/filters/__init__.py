"""Bloom filters over tokens, and many tokens at once.

What may be cleared without Redis is decided here, and nobody is denied.
"""
