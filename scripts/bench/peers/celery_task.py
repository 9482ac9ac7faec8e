"""One Celery task a call, as most would begin: prefork, the official client, events for Flower, answers by ``get()``.

It does with Celery what ours does: somebody can watch the run, and has the answers at its end.
``python -m scripts.bench.peers.celery_task URL CALLS BROKER`` starts its own worker; its CPU and the producer's count.
"""

import subprocess
import sys
import time
from typing import Any

from celery import Celery
from openai import OpenAI

from scripts.bench.peers.measure import MODEL, Measured, arguments, cpu_s, messages, tell
from scripts.bench.usage import tree_cpu_s

_WARM = 50
_PROCESSES = 2
_PATIENCE_S = 120.0


def application(url: str, broker: str) -> Celery:
    """The same app in the worker and in the producer."""
    app = Celery("peer", broker=broker, backend=broker)
    app.conf.update(task_acks_late=True, worker_hijack_root_logger=False, task_default_queue="peer")
    client = OpenAI(base_url=url, api_key="simulated")

    @app.task(name="call")
    def call(number: int) -> str:
        asked: Any = messages(number)  # the client's own types for plain dictionaries are a zoo
        answer = client.chat.completions.create(model=MODEL, messages=asked)
        return answer.choices[0].message.content or ""

    return app


def measure(url: str, count: int, broker: str) -> Measured:
    """Publishes the calls and takes their answers home, as a producer does that wants them."""
    command = [sys.executable, "-m", __spec__.name, url, str(count), broker, "worker"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as worker:  # noqa: S603 - ourselves
        try:
            app = application(url, broker)
            _call(app, range(-_WARM, 0))
            before, wall = cpu_s() + tree_cpu_s(worker.pid), time.perf_counter()
            _call(app, range(count))
            used = cpu_s() + tree_cpu_s(worker.pid) - before
            return Measured(calls=count, cpu_s=used, wall_s=time.perf_counter() - wall)
        finally:
            worker.terminate()


def _call(app: Celery, numbers: range) -> None:
    results = [app.send_task("call", args=(number,)) for number in numbers]
    for result in results:
        result.get(timeout=_PATIENCE_S)


if __name__ == "__main__":
    given_url, calls = arguments()
    given_broker = sys.argv[3]
    if sys.argv[4:] == ["worker"]:
        quiet = ["--loglevel=ERROR", "--without-gossip", "--without-mingle"]
        options = ["worker", "--task-events", f"--concurrency={_PROCESSES}", *quiet]
        application(given_url, given_broker).worker_main(options)
    else:
        tell(measure(given_url, calls, given_broker))
