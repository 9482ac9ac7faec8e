"""POST a JSON object, get a JSON object or a ``ProviderError``: everything HTTP about a call, and nothing else.

Replies are untrusted: one deadline over everything, a cap on the size, no redirects, no proxies unless asked.
"""

import asyncio
import functools
import json
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson
from aiohttp.abc import AbstractResolver
from yarl import URL

from core.errors import MalformedAnswer, ProviderRefused, ProviderTimeout, ProviderUnreachable
from core.model import LimitHint, Usage
from core.nesting import DEEPEST, is_deep
from core.ports import Clock
from core.providers.address import GuardedResolver
from core.providers.limits import limit_hints
from core.providers.refusal import REQUEST_ID_HEADERS, excerpt, refusal
from core.values import value

_ERROR_CAP = 64 * 1024
_REAL_KEY = 12  # characters; what is shorter is a placeholder for a server that wants none
_DNS_CACHE_S = 60
# Below the 5 s after which uvicorn (vLLM and many own servers) drops idle connections: a POST that meets a connection
# as it closes is lost, and must not be repeated silently.
_KEEP_ALIVE_S = 4.0


@dataclass(frozen=True, kw_only=True)
class Route:
    """How calls travel. ``headers`` hold the key; ``secret`` is the key itself, to be cut out of what comes back."""

    headers: Mapping[str, str]
    secret: str
    request_timeout: float
    connection_timeout: float
    max_connections: int
    trust_env: bool
    allow_private: bool

    @functools.cached_property
    def secret_forms(self) -> frozenset[str]:
        """The key as it may come back: some JSON writers escape slashes."""
        return frozenset({self.secret, self.secret.replace("/", "\\/")} - {""})

    def __repr__(self) -> str:
        return f"Route(request_timeout={self.request_timeout}, max_connections={self.max_connections})"


@value
class Received:
    """A reply with status 2xx whose body is a JSON object."""

    body: dict[str, Any]
    latency_ms: float
    request_id: str
    limits: tuple[LimitHint, ...]
    clean: Callable[[str], str] = field(repr=False)  # cuts the key out of a text

    def malformed(self, message: str, usage: Usage | None = None) -> MalformedAnswer:
        """This reply as an error: it is no answer, but may have been billed."""
        return MalformedAnswer(
            message, body=self._excerpt(), latency_ms=self.latency_ms, usage=usage, limits=self.limits
        )

    def filtered(self, message: str, usage: Usage) -> ProviderRefused:
        """This reply as the refusal that it is, in spite of its status."""
        return ProviderRefused(
            self.clean(message),
            body=self._excerpt(),
            latency_ms=self.latency_ms,
            usage=usage,
            limits=self.limits,
            status=200,
            code="content_filter",
        )

    def _excerpt(self) -> str:
        return excerpt(orjson.dumps(self.body), self.clean)


class Transport:
    """One connection pool a loop, made when first needed: nothing is shared across a fork or between loops."""

    def __init__(self, route: Route, clock: Clock) -> None:
        self._route = route
        self._clock = clock
        self._timeout = aiohttp.ClientTimeout(total=route.request_timeout, sock_connect=route.connection_timeout)
        self._sessions: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, aiohttp.ClientSession] = (
            weakref.WeakKeyDictionary()
        )

    async def post(self, url: URL, payload: Mapping[str, Any], *, cap: int) -> Received:
        """Sends one call. ``cap``: the most bytes of body that are read. Raises ProviderError."""
        sent = _encode(payload)
        no_http = ""
        started = self._clock.monotonic()
        try:
            async with self._session().post(url, data=sent, allow_redirects=False) as response:
                good = 200 <= response.status < 300
                raw = await (_read(response, cap) if good else _read_error(response))
        except TimeoutError as exc:
            raise ProviderTimeout(self._late(exc), latency_ms=self._since(started)) from exc
        except aiohttp.ClientResponseError as exc:
            no_http = exc.message or type(exc).__name__
        except (aiohttp.ClientError, OSError) as exc:
            message = f"connection failed: {self._clean(str(exc) or type(exc).__name__)}"
            raise ProviderUnreachable(message, latency_ms=self._since(started)) from exc
        latency_ms = self._since(started)
        if no_http:  # raised here, without its cause: that one's repr shows the request's headers, and so the key
            raise MalformedAnswer(f"not HTTP: {self._clean(no_http)}", latency_ms=latency_ms)
        if not good:
            body = self._clean(raw.decode("utf-8", errors="replace"))
            headers = {name.lower(): self._clean(value) for name, value in response.headers.items()}
            raise refusal(response.status, headers, body, now=self._clock.time(), latency_ms=latency_ms)
        return self._received(raw, response, cap, latency_ms)

    async def close(self) -> None:
        """Closes this loop's connections."""
        session = self._sessions.pop(asyncio.get_running_loop(), None)
        if session is not None:
            await session.close()

    def _session(self) -> aiohttp.ClientSession:
        loop = asyncio.get_running_loop()
        session = self._sessions.get(loop)
        if session is None:
            self._sessions[loop] = session = self._new_session()
        return session

    def _new_session(self) -> aiohttp.ClientSession:
        route = self._route
        # Through a proxy it is the proxy that resolves and connects; the proxy itself may well be private.
        resolver: AbstractResolver | None = (
            None if route.trust_env else GuardedResolver(allow_private=route.allow_private)
        )
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=route.max_connections,
                ttl_dns_cache=_DNS_CACHE_S,
                keepalive_timeout=_KEEP_ALIVE_S,
                resolver=resolver,
            ),
            headers={
                "Content-Type": "application/json",
                "Accept": "application/json",
                "Accept-Encoding": "gzip, deflate",
                "User-Agent": "llmsweep",
                **route.headers,
            },
            timeout=self._timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=route.trust_env,
        )

    def _received(self, raw: bytes, response: aiohttp.ClientResponse, cap: int, latency_ms: float) -> Received:
        headers = response.headers
        limits = limit_hints(headers, self._clock.time())
        if len(self._route.secret) >= _REAL_KEY:  # an answer that echoes the key would take it into a row
            for form in self._route.secret_forms:
                raw = raw.replace(form.encode(), b"[key]")
        body = _json_object(raw) if len(raw) <= cap else f"the answer is larger than {cap} bytes"
        if isinstance(body, str):
            raise MalformedAnswer(body, body=excerpt(raw, self._clean), latency_ms=latency_ms, limits=limits)
        return Received(
            body=body,
            latency_ms=latency_ms,
            request_id=self._clean(next((headers[name] for name in REQUEST_ID_HEADERS if name in headers), "")),
            limits=limits,
            clean=self._clean,
        )

    def _since(self, started: float) -> float:
        return (self._clock.monotonic() - started) * 1000

    def _late(self, exc: TimeoutError) -> str:
        if isinstance(exc, aiohttp.ConnectionTimeoutError):
            return f"no connection within {self._route.connection_timeout:g} s"
        return f"no whole answer within {self._route.request_timeout:g} s"

    def _clean(self, text: str) -> str:
        for form in self._route.secret_forms:
            text = text.replace(form, "[key]")
        return text


def _encode(payload: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(payload)
    except TypeError as exc:  # lone surrogates, or a parameter that is no JSON: this job's own fault, nothing was sent
        raise ProviderRefused(f"the request is no valid JSON: {exc}", status=400, code="invalid_request") from exc


def _json_object(raw: bytes) -> dict[str, Any] | str:
    """The body, or what is wrong with it."""
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        body = _loads_nan(raw)
        if body is None:
            return "the answer is HTML" if raw.lstrip()[:1] == b"<" else "the answer is not JSON"
    if not isinstance(body, dict):
        return "the answer is not a JSON object"
    if raw.count(b"[") + raw.count(b"{") > DEEPEST and is_deep(body):
        return f"the answer is nested more than {DEEPEST} levels deep"
    return "the answer has status 200 and holds an error" if body.get("error") else body


def _loads_nan(raw: bytes) -> Any:
    """A body as Python servers write it when a model's numbers overflow: NaN and Infinity become null. None: not so."""
    if b"NaN" not in raw and b"Infinity" not in raw:
        return None
    try:
        return json.loads(raw, parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        return None


async def _read_error(response: aiohttp.ClientResponse) -> bytes:
    """As much of an error's body as comes: the status and the headers say enough without it."""
    try:
        return await _read(response, _ERROR_CAP)
    except (aiohttp.ClientError, OSError):  # TimeoutError is one
        return b""


async def _read(response: aiohttp.ClientResponse, cap: int) -> bytes:
    """The body, or somewhat more than ``cap`` bytes of it."""
    content = response.content
    chunk = await content.readany()
    if content.at_eof():
        return chunk
    chunks = [chunk]
    size = len(chunk)
    while size <= cap and (chunk := await content.readany()):
        chunks.append(chunk)
        size += len(chunk)
    if size > cap:
        response.close()  # never to be reused: the rest is still coming
    return b"".join(chunks)
