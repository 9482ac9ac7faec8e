"""A process's calls before one provider's gate: the first in the line ask, the others wait for them to pass.

With thousands of calls asking for themselves, each sleeps until the turn that it was told; when estimates turn out too
high, quota lies unused until somebody wakes. A few that ask in time see at once when there is room, and while tickets
come, each lets in two: a full batch a round trip.
"""

import asyncio
from collections import deque

from core.heartbeat import Hold
from core.ports import Admission, Ticket, Wait

_FEW = 8  # ask while there is no room: so many wake, on average several times a second
_MANY = 256  # ask while tickets come: what the gate takes in one batch


class Line:
    """One provider's, one a process. First come, first served."""

    def __init__(self) -> None:
        self._asking = 0
        self._width = _FEW
        self._behind: deque[asyncio.Future[bool]] = deque()

    async def enter(self, hold: Hold) -> bool:
        """Returns True when the call is among the first, and is to ``leave`` again; False when its hold is stopped."""
        if self._asking < self._width and not self._behind:
            self._asking += 1
            return True
        return await self._called_up(hold)

    def leave(self) -> None:
        """Makes room for the next."""
        self._asking -= 1
        self._call_up()

    def heard(self, admission: Admission) -> None:
        """Learns from an answer whether asking is worth it."""
        if isinstance(admission, Ticket):
            self._width = min(_MANY, self._width + 1)
            self._call_up()
        elif isinstance(admission, Wait) and not admission.alone:
            self._width = _FEW

    async def _called_up(self, hold: Hold) -> bool:
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._behind.append(turn)
        try:
            with hold.waking(turn):
                return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.result():
                self.leave()
            raise

    def _call_up(self) -> None:
        while self._behind and self._asking < self._width:
            turn = self._behind.popleft()
            if not turn.done():
                self._asking += 1
                turn.set_result(True)
