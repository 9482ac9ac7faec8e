"""One Celery task a call, as most would begin: prefork, the official client, answers in the result backend.

``python -m scripts.bench.peers.celery_task URL CALLS BROKER`` starts its own worker; its CPU and the producer's count.
"""

import subprocess
import sys
import threading
import time
from typing import Any

import httpx
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
    """Publishes the calls and waits until the simulator has seen them all."""
    command = [sys.executable, "-m", __spec__.name, url, str(count), broker, "worker"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as worker:  # noqa: S603 - ourselves
        try:
            app = application(url, broker)
            _call(app, url, range(-_WARM, 0))
            before, wall = cpu_s() + tree_cpu_s(worker.pid), time.perf_counter()
            _call(app, url, range(count))
            used = cpu_s() + tree_cpu_s(worker.pid) - before
            return Measured(calls=count, cpu_s=used, wall_s=time.perf_counter() - wall)
        finally:
            worker.terminate()


def _call(app: Celery, url: str, numbers: range) -> None:
    seen = _requests(url)
    for number in numbers:
        app.send_task("call", args=(number,))
    pause, until = threading.Event(), time.monotonic() + _PATIENCE_S
    while _requests(url) < seen + len(numbers):
        if time.monotonic() > until:
            raise TimeoutError("the peer's worker does not keep up")
        pause.wait(0.1)


def _requests(url: str) -> int:
    found: int = httpx.get(f"{url.removesuffix('/v1')}/stats", params={"brief": 1}).json()["requests"]
    return found


if __name__ == "__main__":
    given_url, calls = arguments()
    given_broker = sys.argv[3]
    if sys.argv[4:] == ["worker"]:
        options = ["worker", f"--concurrency={_PROCESSES}", "--loglevel=ERROR", "--without-gossip", "--without-mingle"]
        application(given_url, given_broker).worker_main(options)
    else:
        tell(measure(given_url, calls, given_broker))
