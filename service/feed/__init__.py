"""The feed of changes: what the follower has read, in pages for those who poll; no HTTP."""
