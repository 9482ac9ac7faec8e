"""What a chunk needs of its process. Made once, in ``workers.runtime``."""

from collections.abc import Callable
from dataclasses import dataclass, field

from core.calling import Caller
from core.claims import CacheAndFlights
from core.company import Company
from core.heartbeat import Heartbeat
from core.hedging import Hedges
from core.ports import Clock, Kind, Leases, Ledger, Meter
from core.recorder import Recorder
from core.routing import Router


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """What a chunk needs. Made once a process, in ``workers.runtime``."""

    leases: Leases
    ledger: Ledger
    cache: CacheAndFlights
    caller: Caller
    recorder: Recorder
    heartbeat: Heartbeat
    meter: Meter
    kinds: Callable[[str], Kind]
    clock: Clock
    owner: str
    company: Company
    router: Router = field(default_factory=Router)
    hedges: Hedges = field(default_factory=Hedges)
