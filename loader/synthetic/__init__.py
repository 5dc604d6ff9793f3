"""Lists of people who do not exist."""
