"""The feeder on the real servers: what must not keep it from feeding."""

import contextlib
import os
import resource
from collections.abc import Callable, Iterator

import pytest
import redis
from celery import Celery
from kombu import Queue

from core.model import JobDraft
from core.sweep import SweepSpec, Target
from db.feed import Feed
from db.submission import submit
from tasks.app import EXCHANGE, queue_name
from tasks.feeder import Feeder

_OLD_LIMIT = 1024  # descriptors that select() can tell apart


@pytest.fixture
def feed(database_url: str) -> Iterator[Feed]:
    opened = Feed(database_url)
    yield opened
    opened.close()


@pytest.fixture
def app(redis_url: str) -> Iterator[Celery]:
    name = queue_name("openai")
    with Celery("feeding", broker=redis_url) as made:
        queue = Queue(name, EXCHANGE, routing_key=name)
        made.conf.update(task_queues=[queue], task_default_exchange=EXCHANGE.name)
        yield made


@contextlib.contextmanager
def many_files() -> Iterator[None]:
    """As in a worker with a thousand calls in flight."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))
    held = [os.open(os.devnull, os.O_RDONLY)]
    try:
        while held[-1] < _OLD_LIMIT:
            held.append(os.dup(held[0]))
        yield
    finally:
        for number in held:
            os.close(number)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def add_sweep(database_url: str, name: str) -> None:
    target = Target(provider="openai", model="small")
    spec = SweepSpec(name=name, kind="prompt", targets=(target,), chunk_size=4)
    submit(database_url, spec, (JobDraft(key=str(n), input={}) for n in range(8)))


def test_a_worker_with_a_thousand_sockets_still_hears_of_news(database_url: str, feed: Feed) -> None:
    with many_files():
        feed.lead()
        assert not feed.wait(0.05)
        add_sweep(database_url, "first")
        assert feed.wait(10)


def test_a_chore_that_always_fails_starves_no_queue(
    database_url: str, redis_url: str, app: Celery, feed: Feed, eventually: Callable[..., None]
) -> None:
    failures: list[str] = []

    def chore() -> None:
        failures.append("again")
        raise ValueError("junk in the gate's state")

    feeder = Feeder(app, feed, chore=chore)
    feeder.start()
    try:
        eventually(lambda: failures)
        add_sweep(database_url, "first")
        with redis.Redis.from_url(redis_url) as broker:
            eventually(lambda: broker.llen(queue_name("openai")) == 2)
    finally:
        feeder.stop()
