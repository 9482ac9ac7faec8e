"""A server that answers with exactly the bytes that a test gives it, right or wrong."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import orjson

Reply: TypeAlias = Callable[[asyncio.StreamWriter], Awaitable[None]]
"""Writes one reply; the connection is closed after it unless it says otherwise."""


@dataclass(slots=True)
class Seen:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = orjson.loads(self.body)
        return found


@dataclass(slots=True)
class RawServer:
    """The last reply serves all further requests."""

    port: int = 0
    seen: list[Seen] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    connections: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def answer(self, *replies: Reply) -> None:
        self.replies = list(replies)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while not writer.is_closing():
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                request_line, *lines = head.strip().split("\r\n")
                headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                self.seen.append(Seen(path=request_line.split(" ")[1], headers=headers, body=body))
                reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
                await reply(writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client has gone, as some tests have it
        finally:
            writer.transport.abort()


@contextlib.asynccontextmanager
async def raw_server() -> AsyncIterator[RawServer]:
    found = RawServer()
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(found.handle(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


def http(body: bytes | Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """A whole reply; a body that is no bytes is sent as JSON."""
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    given = {"Content-Type": "application/json", "Content-Length": str(len(content)), **(headers or {})}

    async def reply(writer: asyncio.StreamWriter) -> None:
        head = "".join(f"{name}: {value}\r\n" for name, value in given.items())
        writer.write(f"HTTP/1.1 {status} X\r\n{head}\r\n".encode() + content)
        await writer.drain()

    return reply


def raw(*pieces: bytes, pause_s: float = 0.0, reset: bool = False) -> Reply:
    """Bytes as they are, a pause after each piece, then the end of the connection (``reset``: a rude one)."""

    async def reply(writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            if pause_s:
                await asyncio.sleep(pause_s)
        if reset:
            writer.transport.abort()
        writer.close()
        await writer.wait_closed()

    return reply
