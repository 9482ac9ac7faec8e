"""`sweep worker`: several processes that are told to stop, and the numbers that they tell."""

import re
import signal
import socket
from collections.abc import Callable

import httpx

from tests.commands import World

CODE = "".join(f"def f{n}(left: int, right: int) -> int:\n    return left + right * {n}\n\n\n" for n in range(10))


def test_two_processes_work_tell_their_metrics_and_stop_when_told(
    world: World, eventually: Callable[..., None]
) -> None:
    (world.folder / "ten.py").write_text(CODE)
    log = world.folder / "worker.log"
    words = ("worker", "-p", "rules", "--processes", "2", "--slots", "2")
    with log.open("w") as stderr, world.start(*words, stderr=stderr, METRICS_PORT=str(_free_port())) as worker:
        try:
            submit = ("submit", "docstring", "ten.py", "-n", "ten", "-p", "rules", "--chunk-size", "1", "--watch")
            assert "10 done" in world.sweep(*submit).out
            eventually(lambda: log.read_text().count("worker ready") == 2)
            urls = re.findall(r'metrics served url="(http://127\.0\.0\.1:\d+/metrics)"', log.read_text())
            told = [httpx.get(url, timeout=10).text for url in urls]
        finally:
            worker.send_signal(signal.SIGTERM)
        assert worker.wait(30) == 0
    assert len(told) == 2
    assert (
        sum(_value(text, 'llmsweep_jobs_total{kind="docstring",provider="rules",state="done"}') for text in told) == 10
    )
    assert sum(_value(text, 'llmsweep_in_flight{provider="rules"}') for text in told) == 0
    assert all(_value(text, 'llmsweep_breaker{provider="openai"}') == 0 for text in told)
    assert "left + right" not in "".join(told)


def test_a_disabled_provider_is_not_told_of_and_the_last_port_that_is_taken_is_an_error(
    world: World, taken_port: str
) -> None:
    told = world.sweep("worker", "-p", "rules", code=2, METRICS_PORT=taken_port)
    assert f"METRICS_PORT {taken_port}" in told.err


def _value(text: str, sample: str) -> float:
    found = [line for line in text.splitlines() if line.startswith(sample)]
    return sum(float(line.rpartition(" ")[2]) for line in found)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
