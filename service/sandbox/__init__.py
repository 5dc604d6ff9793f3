"""What checks by a test key are answered from: made-up people, and the real rules.

It takes requests' shapes; nothing here asks Redis, or a filter, of anybody.
"""
