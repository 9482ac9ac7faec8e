"""RabbitMQ as the broker, where the machine has one: a node of its own in a directory of its own, on loopback."""

import os
import random
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from core.settings import child_environment
from scripts.bench.arena import wait_for
from scripts.bench.faults.judge import Case, bounded
from scripts.bench.faults.stage import NotPlayable, Stage
from tasks.app import queue_name

_MAPPER = "epmd"  # Erlang's; one of our own, which ends with us
_PROGRAMS = Path("/usr/lib/rabbitmq/bin")  # those on the PATH want a system service's user
_HELLO = b"AMQP\x00\x00\x09\x01"
_START_S = 60.0


@dataclass(slots=True, kw_only=True)
class Node:
    """One RabbitMQ process."""

    directory: Path
    ports: tuple[int, int, int]
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        """Its address."""
        return f"amqp://guest:guest@127.0.0.1:{self.ports[0]}//"

    @property
    def environment(self) -> dict[str, str]:
        """What its programs must know."""
        listen, distribution, mapper = self.ports
        return child_environment(
            {
                "HOME": str(self.directory),
                "RABBITMQ_BASE": str(self.directory),
                "RABBITMQ_MNESIA_BASE": str(self.directory / "data"),
                "RABBITMQ_LOG_BASE": str(self.directory / "log"),
                "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.directory / "plugins"),
                "RABBITMQ_NODENAME": f"sweep{listen}@localhost",
                "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
                "RABBITMQ_NODE_PORT": str(listen),
                "RABBITMQ_DIST_PORT": str(distribution),
                "RABBITMQ_SERVER_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
                "ERL_EPMD_ADDRESS": "127.0.0.1",
                "ERL_EPMD_PORT": str(mapper),
            }
        )

    def start(self) -> None:
        """Returns when it takes connections."""
        self.process = subprocess.Popen(  # noqa: S603 - the machine's own server
            [_PROGRAMS / "rabbitmq-server"],
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        wait_for("RabbitMQ", self._answers, timeout_s=_START_S, every_s=0.3)

    def kill(self) -> None:
        """SIGKILL for the node and its helpers."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def purge(self, provider: str) -> None:
        """All waiting messages vanish."""
        subprocess.run(  # noqa: S603 - the machine's own server
            [_PROGRAMS / "rabbitmqctl", "purge_queue", queue_name(provider)],
            env=self.environment,
            capture_output=True,
            check=True,
            timeout=60,
        )

    def _answers(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.ports[0]), timeout=2) as connection:
            connection.sendall(_HELLO)
            return bool(connection.recv(1))
        return False


@contextmanager
def rabbitmq(directory: Path) -> Iterator[Node]:
    """A node that ends with the block. Raises NotPlayable."""
    mapper = shutil.which(_MAPPER)
    if mapper is None or not (_PROGRAMS / "rabbitmq-server").exists():
        raise NotPlayable("there is no rabbitmq-server on this machine")
    directory.mkdir(mode=0o700)
    node = Node(directory=directory, ports=(_free_port(), _free_port(), _free_port()))
    names = subprocess.Popen(  # noqa: S603 - the machine's own server
        [mapper, "-address", "127.0.0.1", "-port", str(node.ports[2])], start_new_session=True
    )
    try:
        node.start()
        yield node
    finally:
        node.kill()
        names.kill()
        names.wait()


def rabbit_as_broker(stage: Stage) -> Case:
    """The messages travel through RabbitMQ: a worker is killed, all messages vanish, the server is killed."""
    fault = "RabbitMQ as broker, it and a worker killed"
    with rabbitmq(stage.arena.directory / "rabbitmq") as node:
        stage.arena.kill_workers()
        stage.hire(stage.staff_size, BROKER_URL=node.url)
        run = stage.begin("rabbit", 700)
        run.reach(0.1)
        worker = random.Random(5).choice(stage.arena.living())
        wait_for("its calls", lambda: stage.flying(worker), timeout_s=30)
        death = stage.kill(worker)
        stage.hire(1, BROKER_URL=node.url)
        run.reach(0.3)
        node.purge(stage.provider)
        run.reach(0.6)
        node.kill()
        node.start()
        resumed_s = run.more(stage.most_in_flight())
        case = run.end(fault, bound=death.in_flight).resumed(max(resumed_s, run.taken_over_s([death])))
        ended = stage.staff_size - len(stage.arena.living())
        stage.arena.stop_workers()
    return case.also(bounded(fault, "workers that ended", ended, "workers", 0))


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
