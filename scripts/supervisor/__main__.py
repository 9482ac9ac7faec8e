"""The supervisor process: ``python -m scripts.supervisor DIRECTORY READY_FD``."""

import asyncio
import logging
import os
import signal
import sys
from pathlib import Path
from typing import TextIO

from core.clock import SystemClock
from scripts.supervisor.files import Layout, holders, read_json, try_lock
from scripts.supervisor.service import Supervisor

_LOCK_PATIENCE_S = 15.0
_CLOCK = SystemClock()


async def _acquire(layout: Layout) -> TextIO | None:
    """The directory's lock, once the servers of a killed supervisor have let go of it. None: another one lives."""
    deadline = _CLOCK.monotonic() + _LOCK_PATIENCE_S
    while (lock := try_lock(layout.lock)) is None:
        busy = holders(layout.lock)
        if read_json(layout.endpoint).get("pid") in busy:
            return None
        if _CLOCK.monotonic() > deadline:
            # The kernel told them to end when their supervisor died; these did not listen.
            for pid in busy:
                os.kill(pid, signal.SIGKILL)
        await _CLOCK.sleep(0.05)
    return lock


async def _serve(layout: Layout, ready_fd: int) -> None:
    def ready() -> None:
        os.write(ready_fd, b"1")
        os.close(ready_fd)

    lock = await _acquire(layout)
    if lock is None:
        ready()
        return
    supervisor = Supervisor(layout, lock)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, supervisor.end)
    await supervisor.run(ready)


def main() -> None:
    """Detaches from the command that started it, and serves."""
    if os.fork() != 0:
        os._exit(0)  # the starter reaps this at once; the child belongs to init, whoever lives longer
    os.umask(0o077)  # also for what the servers and programs write: files for their owner only
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    asyncio.run(_serve(Layout(Path(sys.argv[1])), int(sys.argv[2])))


if __name__ == "__main__":
    main()
