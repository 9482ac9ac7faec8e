"""Whoever can write to the broker can neither run code in a worker, nor stop it by a message."""

import contextlib
import json
import pickle
import signal
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from kombu import Connection, Exchange, Queue

from core.settings import child_environment
from core.sweep import SweepSpec, Target
from db import progress
from db.engine import connect
from scripts.cli import fleet
from tasks import producer
from tests.planted import of_redis

QUEUE = "provider.rules"
HEADERS: dict[str, Any] = {"lang": "py", "task": "prompt.chunk", "id": "1"}


class Bomb:
    """Unpickling it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


@pytest.fixture
def worker(servers_environment: dict[str, str], tmp_path: Path) -> "Iterator[subprocess.Popen[bytes]]":
    log = (tmp_path / "worker.log").open("wb")
    process = subprocess.Popen(
        fleet.command(["rules"], 2),
        cwd=tmp_path,
        env=child_environment({**servers_environment, "LOG_LEVEL": "DEBUG"}),
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    with log:
        yield process
    process.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(20)
    process.kill()
    process.wait()


def publish(url: str, body: bytes | str, **properties: Any) -> None:
    exchange = Exchange("llmsweep", type="direct")
    with Connection(url) as connection, connection.Producer() as sender:
        sender.publish(
            body,
            exchange=exchange,
            routing_key=QUEUE,
            declare=[Queue(QUEUE, exchange, routing_key=QUEUE)],
            **{"content_encoding": "utf-8", **properties},
        )


def task(url: str, args: Any, *, name: str = "prompt.chunk", kwargs: Any = None, **headers: Any) -> None:
    """A message as Celery's protocol 2 has it."""
    number = str(uuid.uuid4())
    publish(
        url,
        json.dumps([args, kwargs or {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}]),
        content_type="application/json",
        headers={"lang": "py", "task": name, "id": number, "root_id": number, "argsrepr": "x", **headers},
        correlation_id=number,
    )


def works(database_url: str, tmp_path: Path, name: str, eventually: Callable[..., None]) -> None:
    """A sweep goes through."""
    source = tmp_path / f"{name}.jsonl"
    source.write_text(json.dumps({"id": "1", "prompt": f"hello {name}"}))
    spec = SweepSpec(
        name=name, kind="prompt", source={"path": str(source)}, targets=(Target(provider="rules", model="rules"),)
    )
    producer.submit(database_url, spec)
    engine = connect(database_url, role="reader", pool=1)
    try:
        eventually(lambda: not progress.status(engine, name).pending, within=40)
    finally:
        engine.dispose()


def send_code(url: str, mark: Path) -> None:
    """Bodies that make a file where somebody decodes them."""
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        for kind in ("application/x-python-serialize", "pickle", "application/json", "application/data"):
            body = pickle.dumps(([Bomb(mark)], {}, {}), protocol)
            publish(url, body, content_type=kind, content_encoding="binary", headers=HEADERS)
    for kind in ("application/x-yaml", "yaml", "application/json"):
        publish(url, f"!!python/object/apply:os.system ['touch {mark}']", content_type=kind, headers=HEADERS)


def send_junk(url: str) -> None:
    """What is no task message, or not even a message."""
    for content_type in ("application/x-msgpack", "text/plain", "", "application/json"):
        publish(url, "\0\1\2", content_type=content_type, headers=HEADERS)
    for body in ("", "null", "[]", "{}", "[1]", '"x"', "[" * 100_000, "[[1, 2], {}, {}]"):
        for headers in ({}, HEADERS, {**HEADERS, "task": ["a"]}, {**HEADERS, "id": None}, {**HEADERS, "eta": "x"}):
            publish(url, body, content_type="application/json", headers=headers)
    with redis.Redis.from_url(url) as broker:
        for junk in (b"", b"junk", b"{}", b'{"body": 1}', b"null", b"\x80\x04K\x01."):
            broker.lpush(QUEUE, junk)


def send_tasks(url: str, mark: Path) -> None:
    """Task messages with the wrong arguments, of the wrong names, too large."""
    values: list[Any] = ["x", -1, 2**63, 2**200, 1.5, True, None, [1], {"a": 1}, "'; DROP TABLE jobs; --", "1" * 9000]
    for value in values:
        task(url, [value, 0])
        task(url, [1, value])
        task(url, [], kwargs={"sweep_id": value, "chunk_no": value})
    for args in ([], [1], [1, 2, 3], {"a": 1}, "12", 12, None, [987654321, 0], [1, 987654321]):
        task(url, args)
    for name in ("os.system", "nobody.chunk", "prompt", "", "x" * 100_000, "celery.backend_cleanup", "celery.chord"):
        task(url, [f"touch {mark}"], name=name)
    task(url, ["x" * 50_000_000, 0])
    task(url, [1, 0], kwargs={f"k{i}": i for i in range(100_000)})


@pytest.mark.slow
def test_no_message_runs_code_in_a_worker_kills_it_or_keeps_it_from_its_work(
    worker: "subprocess.Popen[bytes]",
    servers_environment: dict[str, str],
    tmp_path: Path,
    eventually: Callable[..., None],
) -> None:
    url, database_url = servers_environment["REDIS_URL"], servers_environment["DATABASE_URL"]
    works(database_url, tmp_path, "before", eventually)
    mark = tmp_path / "code-was-run"
    send_code(url, mark)
    send_junk(url)
    send_tasks(url, mark)
    works(database_url, tmp_path, "after", eventually)
    assert worker.poll() is None
    assert not mark.exists()
    with redis.Redis.from_url(url) as broker:
        eventually(lambda: not broker.llen(QUEUE) and not broker.hlen("unacked"), within=30)
    assert len(b"".join(of_redis(url))) < 1_000_000
    assert (tmp_path / "worker.log").stat().st_size < 2_000_000
