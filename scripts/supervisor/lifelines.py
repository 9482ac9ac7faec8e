"""Waiting for the end of processes that are not our children."""

import asyncio
import os
from collections.abc import Callable


def when_gone(pid: int, act: Callable[[], None]) -> None:
    """Calls ``act`` once, in the event loop, when the process has ended; soon, if it already has."""
    loop = asyncio.get_running_loop()
    try:
        handle = os.pidfd_open(pid)  # names this very process, even when its pid is given to another one later
    except ProcessLookupError:
        loop.call_soon(act)
        return

    def gone() -> None:
        loop.remove_reader(handle)
        os.close(handle)
        act()

    loop.add_reader(handle, gone)
