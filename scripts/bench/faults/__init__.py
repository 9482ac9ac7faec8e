"""``make faults``: every fault of the failure policy, played with real processes and judged by the simulator."""

from scripts.bench.faults.plays import run

__all__ = ["run"]
