"""What several benchmarks measure alike; no benchmark of its own."""
