"""``make bench-quota``: how much of a quota four worker processes use, and what they were refused for going over it."""

from scripts.bench.quota.plays import run

__all__ = ["run"]
