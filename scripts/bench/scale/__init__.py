"""``make bench-scale``: what a job costs as sweeps and tables grow, and what memory and questions about it cost."""

from scripts.bench.scale.plays import run

__all__ = ["run"]
