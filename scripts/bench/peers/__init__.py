"""What others do with the same calls, each a process of its own: ``python -m scripts.bench.peers.<name> URL CALLS``."""
