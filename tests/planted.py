"""Looking for planted secrets in everything that a running installation shows or keeps."""

import base64
import contextlib
import http.server
import json
import re
import socket
import threading
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psycopg2
import redis
import zstandard

from scripts.bench.arena import wait_for

_DATATABLE = "/tasks/datatable?draw=1&start=0&length=100&search[value]=&order[0][column]=0&order[0][dir]=asc" + "".join(
    f"&columns[{i}][data]={name}" for i, name in enumerate(("name", "uuid", "state", "args", "kwargs", "result"))
)
_BASE64 = re.compile(rb"[A-Za-z0-9+/=_-]{16,}")


def unwrapped(data: bytes) -> list[bytes]:
    """The bytes as they are, with JSON escapes undone, and what base64 and compression hide in them."""
    found = [data, data.replace(b"\\/", b"/").replace(b'\\"', b'"')]
    for word in _BASE64.findall(data):
        with contextlib.suppress(ValueError):
            found.append(base64.b64decode(word + b"=" * (-len(word) % 4)))
    for layer in list(found):
        with contextlib.suppress(zstandard.ZstdError):
            found.append(zstandard.ZstdDecompressor().decompress(layer[1:], max_output_size=2**26))
        with contextlib.suppress(zlib.error):
            found.append(zlib.decompress(layer))
    return found


def holds(data: bytes | str, secrets: Iterable[str]) -> list[str]:
    """Those of the secrets that the data holds, in whatever wrapping."""
    layers = unwrapped(data.encode(errors="surrogateescape") if isinstance(data, str) else data)
    return [secret for secret in secrets if any(secret.encode() in layer for layer in layers)]


def of_redis(url: str) -> Iterator[bytes]:
    """Every key with all that is under it."""
    with redis.Redis.from_url(url) as client:
        for key in client.scan_iter(count=1000):
            yield key
            kind = client.type(key)
            match kind:
                case b"string":
                    yield client.get(key) or b""
                case b"hash":
                    for name, value in client.hgetall(key).items():
                        yield from (name, value)
                case b"list":
                    yield from client.lrange(key, 0, -1)
                case b"set":
                    yield from client.smembers(key)
                case b"zset":
                    yield from client.zrange(key, 0, -1)
                case _:
                    assert kind == b"none", kind


def of_postgres(url: str) -> Iterator[tuple[str, str]]:
    """(table, row as text) of every row there is."""
    with contextlib.closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
        for (table,) in cursor.fetchall():
            cursor.execute(f'SELECT t::text FROM "{table}" t')
            for (row,) in cursor.fetchall():
                yield table, row


def of_process_list() -> Iterator[str]:
    """The command line of every process that we may see."""
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            yield file.read_bytes().replace(b"\0", b" ").decode(errors="replace")


def of_table(url: str, table: str) -> list[str]:
    """A table's rows as JSON."""
    with contextlib.closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(f'SELECT row_to_json(t)::text FROM "{table}" t')
        return [row for (row,) in cursor.fetchall()]


class Monitor:
    """All commands that a Redis server gets, from the start on: what passes through leaves no key."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._socket = socket.create_connection((parts.hostname, parts.port or 6379), timeout=0.2)
        self._socket.sendall(f"AUTH {parts.password}\r\nMONITOR\r\n".encode())
        self._parts: list[bytes] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    @property
    def seen(self) -> list[bytes]:
        return b"".join(self._parts).split(b"\r\n")

    def _run(self) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(TimeoutError):
                self._parts.append(self._socket.recv(2**16))

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self._socket.close()


@dataclass
class Echo:
    """A provider of every dialect that shows its callers' keys and prompts wherever it can."""

    keys: tuple[str, ...]
    hold: threading.Event = field(default_factory=threading.Event)  # calls whose prompt holds SLOW wait for it
    url: str = ""
    waiting: int = 0

    def answer(self, headers: Any, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        given = next((key for key in self.keys if any(key in value for value in headers.values())), "no key")
        prompt = json.dumps(body.get("messages", body.get("input")))
        if "SLOW" in prompt:
            self.waiting += 1
            self.hold.wait(60)
        if "UNAUTHORIZED" in prompt:
            return 401, {"error": {"message": f"Incorrect API key provided: {given}", "code": given, "type": "auth"}}
        if "REFUSED" in prompt:
            return 400, {"error": {"message": f"cannot answer {prompt} of {given}", "code": "bad", "type": "bad"}}
        if "BROKEN" in prompt:
            return 200, {"choices": [], "echo": prompt, "key": given}
        text = f"I was asked {prompt} by {given}"
        usage = {"prompt_tokens": 5, "completion_tokens": 5, "input_tokens": 5, "output_tokens": 5}
        return 200, {
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
            "content": [{"type": "text", "text": text}],
            "stop_reason": "end_turn",
            "usage": usage,
            "key": given,
        }


@contextlib.contextmanager
def echo(*keys: str) -> Iterator[Echo]:
    found = Echo(keys=keys)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, told = found.answer(self.headers, body)
            data = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("x-request-id", next((key for key in keys if key in str(self.headers)), "none"))
            self.end_headers()
            self.wfile.write(data)

        def do_GET(self) -> None:
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in the class above
            del format, args

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        found.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield found
        finally:
            found.hold.set()
            server.shutdown()
            thread.join()


def of_flower(url: str, login: str) -> Iterator[tuple[str, str]]:
    """(path, content) of every page and API answer, with the login; /metrics without."""
    user, _, password = login.partition(":")
    with httpx.Client(base_url=url, auth=(user, password), timeout=30, trust_env=False) as client:
        tasks = client.get("/api/tasks").json()
        assert tasks
        # Flower gives them a second to answer.
        workers = wait_for(
            "Flower's workers", lambda: client.get("/api/workers", params={"refresh": 1}).json(), timeout_s=60
        )
        paths = [
            *("/", "/workers", "/tasks", "/broker", "/api/tasks", "/api/workers", "/api/queues/length"),
            *("/api/task/types", _DATATABLE, "/workers?json=1&refresh=1"),
            *(f"/task/{task}" for task in tasks),
            *(f"/api/task/info/{task}" for task in tasks),
            *(f"/worker/{worker}" for worker in workers),
        ]
        for path in paths:
            answer = client.get(path)
            assert answer.status_code in {200, 404}, (path, answer.status_code)
            yield path, answer.text
        yield "workers", json.dumps(workers)
        yield "tasks", json.dumps(tasks)
    metrics = httpx.get(f"{url}/metrics", timeout=30, trust_env=False)
    assert metrics.status_code == 200
    yield "/metrics", metrics.text
