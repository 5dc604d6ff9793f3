"""The users of a load by locust, and what they share; no other benchmark needs them."""
