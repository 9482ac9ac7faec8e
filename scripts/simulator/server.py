"""A request's way: route, read, price, quota, fault, latency, answer. Everything on one event loop."""

import asyncio
import logging
import random
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web

from core.ports import Clock
from scripts.simulator.answers import Answers, Writer
from scripts.simulator.chat import read_chat
from scripts.simulator.completions import chat_job, render_completion
from scripts.simulator.control import Control
from scripts.simulator.counting import Approximate, Counting, Exact
from scripts.simulator.damage import damaged
from scripts.simulator.dialects import ANTHROPIC, OPENAI, error_body
from scripts.simulator.embeddings import read_embeddings
from scripts.simulator.faults import BODIES, UNBILLED, WIRE, Faults
from scripts.simulator.jobs import Job
from scripts.simulator.limits import Quota
from scripts.simulator.messages import read_message_request, render_message
from scripts.simulator.models import Models
from scripts.simulator.options import HeaderMode, Options, TokenMode
from scripts.simulator.refusals import (
    Refused,
    bad_request,
    no_key,
    no_such_path,
    not_json,
    our_own_fault,
    too_large,
    wrong_key,
    wrong_method,
)
from scripts.simulator.routes import Endpoint, Route, find_route
from scripts.simulator.stats import ABANDONED, Run, Stats
from scripts.simulator.statuses import STATUSES
from scripts.simulator.vectors import Embedder

log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Exchange:
    """One request under way. ``status``: what the book will say."""

    request: web.BaseRequest
    route: Route
    run: Run
    id: str
    started: float
    status: str = ABANDONED
    headers: dict[str, str] = field(default_factory=dict)


class Simulator:
    """One simulated provider. ``handle`` is an aiohttp low-level request handler."""

    def __init__(self, options: Options, clock: Clock, writer: Writer) -> None:
        """``writer``: answers chat prompts by rule; only asked when the options want rules."""
        now = clock.monotonic()
        self._options = options
        self._clock = clock
        self._rng = random.Random(options.seed)
        self._counting: Counting = Exact() if options.tokens is TokenMode.EXACT else Approximate()
        self._answers = Answers(options.answers, writer)
        self._models = Models(options.models)
        self._embedder = Embedder()
        self._quota = Quota(options.limits, options.burst_s, now)
        self._faults = Faults(options.faults, options.seed, now)
        self._stats = Stats()
        self._control = Control(self._stats, self._quota, self._faults, clock)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        route = find_route(request.path)
        if route is not None and request.method == route.method == "POST":
            return await self._call(request, route)
        return await self._control.answer(request) or self._look_up(request, route)

    async def _call(self, request: web.BaseRequest, route: Route) -> web.StreamResponse:
        """The request boundary: whatever happens, the book has it."""
        run = self._stats.arrive(self._clock.time())
        exchange = Exchange(
            request=request,
            route=route,
            run=run,
            id=f"{id(run) & 0xFFFFFF:06x}{run.requests:026x}",
            started=self._clock.monotonic(),
        )
        try:
            return await self._answer(exchange)
        except Refused as exc:
            return self._refusal(exchange, exc)
        except Exception:
            log.exception("request failed", extra={"path": request.path})
            return self._refusal(exchange, our_own_fault())
        finally:
            self._stats.leave(run, exchange.status)

    async def _answer(self, exchange: Exchange) -> web.StreamResponse:
        route, run = exchange.route, exchange.run
        raw = await _read(exchange.request)
        self._check_headers(exchange.request, route)
        if route.redirected:
            run.redirects_followed += 1
        job = self._job(route, _parsed(raw), run)
        now = self._clock.monotonic()
        excess = self._quota.admit(job.price.total, now)
        if excess is not None:
            run.timeline.refuse(now)
            raise Refused(route.dialect.over_limit(excess, job.model))
        run.timeline.accept(now, job.price.total, watched=self._quota.limited)
        fault = self._faults.pick(job, now)
        if fault is not None:
            run.faults[fault.name] += 1
            return await self._fail(exchange, job, fault.name)
        run.bill(job.fingerprints, job.price.prompt, job.price.completion)
        await self._take_time(exchange)
        return self._response(exchange, job.body(exchange.id))

    def _job(self, route: Route, body: dict[str, Any], run: Run) -> Job:
        if route.endpoint is Endpoint.EMBEDDINGS:
            job = read_embeddings(body, route.name, self._counting, self._embedder)
            self._models.check_embedding(job.model)
            run.ask(job.fingerprints)
            return job
        if route.endpoint is Endpoint.MESSAGES:
            ask, render = read_message_request(body, self._counting), render_message
        else:
            ask, render = read_chat(body, route.name, self._counting), render_completion
        self._models.check_chat(ask.model)
        asked_before = run.ask((ask.fingerprint,))
        return chat_job(ask, self._answers.text(ask, asked_before), asked_before, render, self._counting)

    async def _fail(self, exchange: Exchange, job: Job, fault: str) -> web.StreamResponse:
        if fault in STATUSES:
            refusal = STATUSES[fault](job.model, self._clock.time())
            if refusal.status >= 500:
                await self._take_time(exchange)
            raise Refused(refusal)
        if fault in WIRE:
            exchange.status = {"hang": fault, "reset": fault, "redirect": "307"}.get(fault, "200")
            await self._take_time(exchange)
            return await damaged(fault, exchange.request, job.body(exchange.id), self._headers(exchange))
        if fault in BODIES:
            await self._take_time(exchange)
            body, kind = BODIES[fault]
            return self._response(exchange, body, content_type="text/html" if kind == "html" else "application/json")
        if fault not in UNBILLED:
            run = exchange.run
            run.bill(job.fingerprints, job.price.prompt, job.price.completion)
        await self._take_time(exchange)
        # Only faults that this job can have are picked.
        return self._response(exchange, job.spoiled(fault, exchange.id) or b"")

    async def _take_time(self, exchange: Exchange) -> None:
        left = exchange.started + self._options.latency.draw(self._rng) - self._clock.monotonic()
        if left <= 0:
            return
        try:
            await self._clock.sleep(left)
        except asyncio.CancelledError:
            exchange.run.abandoned += 1
            raise

    def _look_up(self, request: web.BaseRequest, route: Route | None) -> web.Response:
        """What costs nothing and is not counted: models, and paths that do not exist."""
        dialect = route.dialect if route else OPENAI
        try:
            if route is None:
                raise no_such_path(request.method, request.path)
            if route.endpoint is not Endpoint.MODELS or request.method != "GET":
                raise wrong_method(request.method)
            self._check_headers(request, route)
            body = orjson.dumps(self._models.one(route.name) if route.name else self._models.listed())
        except Refused as exc:
            body, content_type = error_body(dialect, exc.refusal, "")
            return web.Response(body=body, status=exc.refusal.status, content_type=content_type)
        return web.Response(body=body, content_type="application/json")

    def _check_headers(self, request: web.BaseRequest, route: Route) -> None:
        headers = request.headers
        if route.needs_version and "api-version" not in request.query:
            raise no_such_path(request.method, request.path)
        key = self._options.key
        if key:
            scheme, _, bearer = headers.get("authorization", "").partition(" ")
            given = headers.get(route.dialect.key_header) or (bearer.strip() if scheme.lower() == "bearer" else "")
            if not given:
                raise no_key()
            if given != key:
                raise wrong_key(given)
        if route.dialect is ANTHROPIC and "anthropic-version" not in headers:
            raise bad_request("anthropic-version: header is required")

    def _refusal(self, exchange: Exchange, exc: Refused) -> web.Response:
        body, content_type = error_body(exchange.route.dialect, exc.refusal, exchange.id)
        exchange.headers.update(exc.refusal.headers)
        return self._response(exchange, body, status=exc.refusal.status, content_type=content_type)

    def _response(
        self, exchange: Exchange, body: bytes, *, status: int = 200, content_type: str = "application/json"
    ) -> web.Response:
        exchange.status = str(status)
        headers = self._headers(exchange)
        headers["content-type"] = content_type
        return web.Response(body=body, status=status, headers=headers)

    def _headers(self, exchange: Exchange) -> dict[str, str]:
        dialect = exchange.route.dialect
        headers = exchange.headers
        headers[dialect.id_header] = f"req_{exchange.id}"
        headers["openai-processing-ms"] = str(int((self._clock.monotonic() - exchange.started) * 1000))
        if self._quota.limited and self._options.headers is HeaderMode.LIMITS:
            headers.update(dialect.limits(self._quota.levels(), self._clock.time()))
        return headers


async def _read(request: web.BaseRequest) -> bytes:
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge as exc:
        raise too_large() from exc
    except web.RequestPayloadError as exc:
        raise not_json() from exc


def _parsed(raw: bytes) -> dict[str, Any]:
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as exc:
        raise not_json() from exc
    if not isinstance(body, dict):
        raise not_json()
    return body
