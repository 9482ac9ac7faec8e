"""A worker process: Celery's consumer in front, the engine behind it.

``python -m workers.main --provider openai [--provider hyperbolic] [--slots 8]``; `sweep worker` starts several.
"""

import argparse
import gc
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence

from celery.signals import heartbeat_sent, worker_ready, worker_shutdown, worker_shutting_down

from core.errors import InputError, LlmsweepError, Unavailable
from core.settings import PREFIXES, RULES, settings
from db.feed import Feed
from db.schema import check
from tasks.app import app, queue_name
from tasks.chunk import ChunkTask
from tasks.feeder import Feeder
from workers.indexer import Indexer
from workers.logs import configure
from workers.metrics import serve
from workers.reaper import Reaper
from workers.runtime import Runtime

log = logging.getLogger(__name__)

_AT_ONCE = 1  # the exit code
_GARBAGE_EVERY = 50_000  # new containers; a call in flight holds some hundred, and nearly all go without the collector


def main(argv: Sequence[str] | None = None) -> int:
    """Runs until SIGTERM; a second one ends it at once.

    Exit code 2: the settings don't allow a start; 1: a server is away, which may pass.
    """
    args = _parse(argv)
    try:
        loaded = settings()
        configure(loaded.log_level)
        for name in args.provider:
            if name != RULES:
                loaded.provider(name)
        check(loaded.database_url)
        runtime = Runtime(loaded, fatal=_die)
        if runtime.metrics is not None and loaded.metrics_port is not None:
            serve(runtime.metrics, loaded.metrics_port)
    except LlmsweepError as exc:
        hint = f" ({exc.hint})" if isinstance(exc, InputError) and exc.hint else ""
        sys.stderr.write(f"sweep worker: {exc}{hint}\n")
        return 1 if isinstance(exc, Unavailable) else 2
    feed = Feed(loaded.database_url)
    reaper = Reaper(runtime, feed, older_than_s=loaded.chunk_lease_s)
    indexer = Indexer(loaded.database_url)

    def chores() -> None:
        reaper.turn()
        indexer.turn()

    feeder = Feeder(app, feed, chore=chores)
    ChunkTask.runner = staticmethod(runtime.run)
    _on_signals(runtime, feeder)
    slots = args.slots or loaded.worker_slots
    queues = ",".join(queue_name(name) for name in args.provider)
    app.conf.worker_consumer = "workers.consumer:GuardedConsumer"
    # Not ``app.worker_main``: Celery's command line loads a shell, Flower and whatever else is installed, 11 MB.
    worker = app.Worker(
        pool="threads",
        concurrency=slots,
        queues=queues,
        hostname=f"{'+'.join(args.provider)}-{os.getpid()}@{socket.gethostname()}",
        without_gossip=True,
        without_mingle=True,
        loglevel=loaded.log_level,
    )
    worker.start()
    return int(worker.exitcode or 0)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="sweep worker", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--provider", action="append", required=True, choices=[*PREFIXES, RULES])
    parser.add_argument("--slots", type=int, help="chunks in work at the same time (WORKER_SLOTS)")
    return parser.parse_args(argv)


def _on_signals(runtime: Runtime, feeder: Feeder) -> None:
    def ready(**_: object) -> None:
        feeder.start()
        _spare_garbage_collector()
        log.info("worker ready", extra={"owner": runtime.owner})

    told = threading.Event()

    def shutting_down(**_: object) -> None:
        if told.is_set():
            os._exit(_AT_ONCE)  # asked twice: what is in flight is booked by others, as after any other death
        told.set()
        runtime.drain(_leave)

    def shutdown(**_: object) -> None:
        feeder.stop()
        runtime.close()

    # Celery's consumer sends heartbeats as long as it hears the broker; the engine's loop then touches the file.
    if (alive := settings().heartbeat_file) is not None:
        heartbeat_sent.connect(lambda **_: runtime.touch(alive), weak=False)
    worker_ready.connect(ready, weak=False)
    worker_shutting_down.connect(shutting_down, weak=False)
    worker_shutdown.connect(shutdown, weak=False)


def _spare_garbage_collector() -> None:
    # At Python's own threshold it walks the calls in flight several times a call: a fifth of the worker's CPU.
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GARBAGE_EVERY, 20, 20)


def _leave() -> None:
    # Not by the usual way: threads that wait for a server which is away would be waited for.
    logging.shutdown()
    os._exit(0)


def _die(_: BaseException) -> None:
    # Leases lapse and others go on; a half-alive worker would only hold work back.
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
