"""Measurements with real processes: faults, quota, throughput, scale. Each prints a table and writes a report."""
