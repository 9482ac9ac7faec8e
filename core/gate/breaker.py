"""The twin of breaker.lua: three failures in a row open it, one leased probe closes it again."""

import math
from dataclasses import dataclass

FAILURES = 3
OPEN_S = 60.0
PROBE_LEASE_S = 80.0


@dataclass(slots=True)
class Breaker:
    """``till``: the end of the open minute, or of the probe's lease."""

    epoch: int
    state: str = "closed"
    fails: int = 0
    till: float = 0.0
    probe: int = 0

    @classmethod
    def new(cls, now: float) -> "Breaker":
        """A closed one in an epoch that was never before."""
        return cls(epoch=math.floor(now))

    def ask(self, now: float) -> tuple[float, bool]:
        """Seconds until it may be asked again (0: go), and whether the call would be the probe."""
        if self.state == "closed":
            return 0.0, False
        if self.state == "open":
            if now < self.till:
                return self.till - now, False
            self._turn("half_open", 0.0)
        if self.probe and now < self.till:
            return min(self.till - now, 5.0), False
        return 0.0, True

    def lease(self, call_id: int, now: float) -> None:
        """Gives the probe to a call."""
        self.probe = call_id
        self.till = now + PROBE_LEASE_S

    def tell(self, call_id: int, epoch: int, health: str, now: float) -> None:
        """Takes an outcome, if it is of this epoch."""
        if epoch != self.epoch:
            return
        if self.state == "half_open":
            self._tell_probe(call_id, health, now)
        elif health == "good":
            self.fails = 0
        elif health == "bad":
            self.fails += 1
            if self.fails >= FAILURES:
                self._turn("open", now + OPEN_S)

    def _tell_probe(self, call_id: int, health: str, now: float) -> None:
        if self.probe != call_id:
            return
        if health == "good":
            self._turn("closed", 0.0)
        elif health == "bad":
            self._turn("open", now + OPEN_S)
        else:
            self.probe = 0

    def _turn(self, state: str, till: float) -> None:
        self.state, self.till, self.fails, self.probe = state, till, 0, 0
        self.epoch += 1
