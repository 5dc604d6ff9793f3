"""The processes that share the work of a load, and what each is asked."""
