"""Whose life the supervisor's depends on."""

import asyncio
import os
from collections.abc import Callable


class Owners:
    """Calls ``orphaned`` when the last owner's process is gone, unless someone asked to stay for good."""

    def __init__(self, orphaned: Callable[[], None]) -> None:
        self._orphaned = orphaned
        self._watched: set[int] = set()
        self._for_good = False

    def add(self, pid: int | None) -> None:
        """Another owner; None stands for one that never dies, and needs a `down` to end it."""
        if pid is None:
            self._for_good = True
            return
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            self._leave()
            return
        self._watched.add(handle)
        asyncio.get_running_loop().add_reader(handle, self._gone, handle)

    def _gone(self, handle: int) -> None:
        asyncio.get_running_loop().remove_reader(handle)
        os.close(handle)
        self._watched.discard(handle)
        self._leave()

    def _leave(self) -> None:
        if not self._watched and not self._for_good:
            self._orphaned()
