"""A simulator for tests: ``with running(rpm=60, fail=["500:2"]) as sim: ... sim.base_url ... sim.stats()``."""

import asyncio
import http.client
import json
import subprocess
import sys
import threading
from concurrent.futures import Future
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import uvloop

from scripts.simulator.answers import Writer
from scripts.simulator.options import Options, read_options
from scripts.simulator.serving import bound_socket, serve, url_of
from tasks import registry

_PATIENCE_S = 30.0


class Remote:
    """A running simulator's own paths. ``url`` is its root, ``base_url`` what an OpenAI client wants."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.base_url = f"{url}/v1"

    def stats(self, *, brief: bool = False) -> dict[str, Any]:
        return self._ask("GET", "/stats?brief=1" if brief else "/stats")

    def reset(self) -> None:
        self._ask("POST", "/reset")

    def limit(self, **limits: float | None) -> dict[str, Any]:
        """``limit(rpm=60)``; what is left out stays, None takes a limit away."""
        return self._ask("POST", "/limits", limits)

    def fail(self, *faults: str) -> None:
        """These faults and no others, from now."""
        self._ask("POST", "/faults", {"fail": list(faults)})

    def _ask(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=_PATIENCE_S)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            response = connection.getresponse()
            found: dict[str, Any] = json.loads(response.read())
        finally:
            connection.close()
        if response.status != 200:
            raise ValueError(f"{path}: {found['error']}")
        return found


class running:  # noqa: N801  reads as a verb: `with running(...)`
    """Runs a simulator on a free port, in a thread, or with ``process=True`` as a process of its own.

    The options are those of ``read_options``. ``writer`` answers chat prompts by rule in place of the kinds' writers
    (in a thread only). Usable with ``with`` and ``async with``.
    """

    def __init__(self, *, process: bool = False, writer: Writer = registry.answer, **options: Any) -> None:
        self._backend: _Thread | _Process
        if process:
            self._backend = _Process(options)
        else:
            self._backend = _Thread(read_options(**options), writer)

    def __enter__(self) -> Remote:
        return Remote(self._backend.start())

    def __exit__(self, *_: object) -> None:
        self._backend.stop()

    async def __aenter__(self) -> Remote:
        return Remote(await asyncio.to_thread(self._backend.start))

    async def __aexit__(
        self, _kind: type[BaseException] | None, _exc: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self._backend.stop)


class _Thread:
    def __init__(self, options: Options, writer: Writer) -> None:
        self._options = options
        self._writer = writer
        self._ready: Future[str] = Future()
        self._thread = threading.Thread(target=self._run, name="simulator", daemon=True)

    def start(self) -> str:
        self._thread.start()
        return self._ready.result(_PATIENCE_S)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(_PATIENCE_S)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            try:
                runner.run(self._serve())
            except BaseException as exc:
                if self._ready.done():
                    raise
                self._ready.set_exception(exc)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        listening = bound_socket("127.0.0.1", 0)
        await serve(
            self._options,
            listening,
            writer=self._writer,
            ready=lambda: self._ready.set_result(url_of(listening)),
            stop=self._stop,
        )


class _Process:
    def __init__(self, options: dict[str, Any]) -> None:
        self._argv = [sys.executable, "-m", "scripts.simulator", "--port=0", "--with-parent", *_words(options)]

    def start(self) -> str:
        # The environment is the caller's; the project is found because it is installed.
        self._process = subprocess.Popen(self._argv, stdout=subprocess.PIPE, text=True)  # noqa: S603  our own command
        assert self._process.stdout is not None  # noqa: S101  a pipe was asked for
        url = self._process.stdout.readline().strip()
        if not url:
            self.stop()
            raise RuntimeError(f"the simulator does not start: exit code {self._process.returncode}")
        return url

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


def _words(options: dict[str, Any]) -> list[str]:
    words = []
    for name, value in options.items():
        flag = {"models": "model"}.get(name, name)
        values = value if isinstance(value, list | tuple) else [value]
        words += [f"--{flag}={item}" for item in values if item is not None]
    return words
