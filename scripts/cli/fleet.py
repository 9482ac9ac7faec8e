"""Several worker processes in the foreground: started, watched, started again when killed, stopped together."""

import signal
import subprocess
import sys
import threading
from collections.abc import Sequence

from core.settings import Settings, child_environment

MODULE = "workers.main"

_BAD_INPUT = 2
_AGAIN_S = 1.0


def command(providers: Sequence[str], slots: int | None, *, module: str = MODULE) -> list[str]:
    """The command line of one worker process."""
    names = [part for name in providers for part in ("--provider", name)]
    return [sys.executable, "-m", module, *names, *(["--slots", str(slots)] if slots else [])]


def environment(settings: Settings) -> dict[str, str]:
    """What a worker process needs to find the servers."""
    urls = {
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "CACHE_URL": settings.cache(),
    }
    return child_environment(urls)


def run(settings: Settings, providers: Sequence[str], *, processes: int, slots: int | None) -> int:
    """Runs the fleet until SIGTERM or SIGINT; 2 when a worker finds its settings unusable."""
    fleet = _Fleet(command(providers, slots), environment(settings), processes)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: fleet.stop())
    return fleet.run()


class _Fleet:
    def __init__(self, argv: list[str], env: dict[str, str], processes: int) -> None:
        self._argv, self._env = argv, env
        self._stopping = threading.Event()
        self._workers = [self._start() for _ in range(processes)]

    def run(self) -> int:
        while not self._stopping.wait(_AGAIN_S):
            for index, worker in enumerate(self._workers):
                code = worker.poll()
                if code == _BAD_INPUT:
                    self.stop()
                    return _BAD_INPUT
                if code is not None:
                    sys.stderr.write(f"sweep worker: process {worker.pid} ended with {code}, starting another\n")
                    self._workers[index] = self._start()
        for worker in self._workers:
            worker.wait()
        return 0

    def stop(self) -> None:
        """Tells all to finish what is in flight; a second call makes them leave at once."""
        again = self._stopping.is_set()
        self._stopping.set()
        for worker in self._workers:
            if worker.poll() is None:
                worker.send_signal(signal.SIGQUIT if again else signal.SIGTERM)

    def _start(self) -> "subprocess.Popen[bytes]":
        # A session of its own: Ctrl-C reaches the workers once, through us.
        return subprocess.Popen(self._argv, env=self._env, start_new_session=True)  # noqa: S603 - our own command
