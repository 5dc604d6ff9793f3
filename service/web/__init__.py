"""What requests and answers of all routes share.

Bodies, shapes, faults, problems, and who may ask; no route, and of what is stored only API keys.
"""
