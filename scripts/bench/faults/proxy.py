"""A TCP proxy between our processes and a server, for what a network does: delays, silence, resets.

``hole``: nothing passes either way and nothing is refused, as when all packets are lost; what was sent meanwhile
arrives when it is over, as TCP would send it again. ``deafen``: the connections that are open now never bring another
byte, as when the peer's machine has lost power; new ones work. ``reset``: connections are reset in the middle of an
answer.
"""

import asyncio
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_READ = 65_536
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER of zero seconds: close() sends RST


@dataclass(eq=False, slots=True)
class _Link:
    """One client's connection, and whether it is deaf or dumb."""

    writers: tuple[asyncio.StreamWriter, asyncio.StreamWriter]
    deaf: bool = False
    unanswered: bool = False


@dataclass(eq=False, slots=True, kw_only=True)
class Proxy:
    """Listens on a free port of loopback; made by ``proxy``. Safe to steer from any thread."""

    target: tuple[str, int]
    delay_s: float = 0.0
    cut: int = 0  # connections that were reset or deafened while an answer was due
    port: int = 0
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _links: set[_Link] = field(default_factory=set)
    _open: asyncio.Event = field(default_factory=asyncio.Event)
    _resets: int = 0
    _every: int = 1
    _answers: int = 0
    _server: asyncio.Server | None = None

    def hole(self, *, on: bool) -> None:
        """Nothing passes from now on; or again."""
        self._loop.call_soon_threadsafe(self._open.clear if on else self._open.set)

    def deafen(self, most: int | None = None) -> None:
        """The connections of this moment, or so many of them on which an answer is due, fall silent for good."""
        asyncio.run_coroutine_threadsafe(self._deafen(most), self._loop).result(10)

    def reset(self, count: int, *, every: int) -> None:
        """So many of the next answers, every so-manieth, are broken off by a reset."""
        self._resets, self._every = count, every

    async def _deafen(self, most: int | None) -> None:
        for link in sorted(self._links, key=lambda link: not link.unanswered)[:most]:
            link.deaf = True
            self.cut += link.unanswered

    async def serve(self) -> None:
        """Starts to listen."""
        self._open.set()
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Ends the listener and all connections."""
        if self._server is not None:
            self._server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            inner, outer = await asyncio.open_connection(*self.target)
        except OSError:
            writer.close()
            return
        link = _Link((writer, outer))
        self._links.add(link)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._up(link, reader, outer))
                both.create_task(self._down(link, inner, writer))
        except* (OSError, asyncio.CancelledError):
            pass  # one side has gone, or the proxy: the other one hears of it below
        finally:
            self._links.discard(link)
            for side in link.writers:
                side.close()

    async def _up(self, link: _Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(_READ):
            link.unanswered = True
            await self._pass(link, data, writer)
        raise ConnectionResetError

    async def _down(self, link: _Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(_READ):
            self._answers += 1
            if self._resets > 0 and self._answers % self._every == 0:
                self._resets -= 1
                self.cut += 1
                await self._pass(link, data[: len(data) // 2], writer)
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                writer.transport.abort()
                raise ConnectionResetError
            await self._pass(link, data, writer)
            link.unanswered = link.deaf
        raise ConnectionResetError

    async def _pass(self, link: _Link, data: bytes, writer: asyncio.StreamWriter) -> None:
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        await self._open.wait()
        if not link.deaf:
            writer.write(data)
            await writer.drain()


@contextmanager
def proxied(url: str) -> Iterator[tuple[Proxy, str]]:
    """A proxy in front of the server of an address, and the address that leads through it."""
    parts = urlsplit(url)
    made = Proxy(target=(parts.hostname or "127.0.0.1", parts.port or 80))
    loop = made._loop  # noqa: SLF001 - its own module
    thread = threading.Thread(target=loop.run_forever, name="proxy", daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(made.serve(), loop).result(10)
        yield made, url.replace(f":{parts.port}", f":{made.port}", 1)
    finally:
        with suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(made.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
