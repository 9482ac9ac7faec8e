"""What the cache counts."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheStats:
    """Hits and misses of ``get`` since the server began; what it threw out for want of room."""

    hits: int = 0
    misses: int = 0
    evictions: int = 0
    entries: int = 0  # keys of the server, leases and call records included
