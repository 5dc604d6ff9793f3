"""How a load is undone."""
