"""``make bench``: what a call, a job and a vector cost, side by side with the alternatives in the same run."""

from scripts.bench.throughput.plays import run

__all__ = ["run"]
