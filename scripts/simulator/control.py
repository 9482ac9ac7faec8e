"""The simulator's own paths: ``/stats``, ``/reset``, ``/limits``, ``/faults`` and ``/healthz``. They need no key.

``POST /limits {"rpm": 600, "tpm": null, "burst": 1}``: what is left out stays, null takes a limit away.
``POST /faults {"fail": ["500:0.1", "hang:2"]}``: these and no others, from now.
``POST /reset``: counts from zero, full buckets, and the faults' counts and seconds anew.
"""

from typing import Any

import orjson
from aiohttp import web

from core.errors import InputError
from core.ports import Clock
from scripts.simulator.faults import Faults, parse_fault
from scripts.simulator.limits import Quota
from scripts.simulator.options import read_burst, read_limits
from scripts.simulator.stats import Stats

_PATHS = {"/stats": "GET", "/healthz": "GET", "/reset": "POST", "/limits": "POST", "/faults": "POST"}


class Control:
    """Reads and changes a running simulator."""

    def __init__(self, stats: Stats, quota: Quota, faults: Faults, clock: Clock) -> None:
        self._stats = stats
        self._quota = quota
        self._faults = faults
        self._clock = clock

    async def answer(self, request: web.BaseRequest) -> web.Response | None:
        """None: not a path of its own."""
        method = _PATHS.get(request.path)
        if method is None:
            return None
        if request.method != method:
            return _json({"error": {"message": f"{request.path} takes {method}"}}, 405)
        try:
            return _json(await self._act(request))
        except InputError as exc:
            return _json({"error": {"message": exc.message, "hint": exc.hint}}, 400)

    async def _act(self, request: web.BaseRequest) -> dict[str, Any]:
        match request.path:
            case "/stats":
                return self._stats.report(brief=request.query.get("brief") in {"1", "true"})
            case "/limits":
                return self._change_limits(await _body(request))
            case "/faults":
                return self._change_faults(await _body(request))
            case "/reset":
                self._stats.reset()
                self._quota.refill(self._clock.monotonic())
                self._faults.restart(self._clock.monotonic())
        return {"ok": True}

    def _change_limits(self, body: dict[str, Any]) -> dict[str, Any]:
        before = self._quota.limits
        limits = read_limits(body.get("rpm", before.rpm), body.get("tpm", before.tpm))
        burst_s = read_burst(body.get("burst", self._quota.burst_s))
        _refuse_unknown(body, {"rpm", "tpm", "burst"})
        self._quota.change(limits, burst_s, self._clock.monotonic())
        return {"rpm": limits.rpm, "tpm": limits.tpm, "burst": burst_s}

    def _change_faults(self, body: dict[str, Any]) -> dict[str, Any]:
        _refuse_unknown(body, {"fail"})
        specs = body.get("fail")
        if not isinstance(specs, list) or not all(isinstance(spec, str) for spec in specs):
            raise InputError("'fail' must be a list of faults", hint='{"fail": ["500:0.1"]}; [] for none')
        self._faults.change([parse_fault(spec) for spec in specs], self._clock.monotonic())
        return {"fail": specs}


async def _body(request: web.BaseRequest) -> dict[str, Any]:
    try:
        body = orjson.loads(await request.read())
    except orjson.JSONDecodeError as exc:
        raise InputError(f"the body is not JSON: {exc}") from exc
    if not isinstance(body, dict):
        raise InputError("the body must be a JSON object")
    return body


def _refuse_unknown(body: dict[str, Any], known: set[str]) -> None:
    unknown = sorted(body.keys() - known)
    if unknown:
        raise InputError(f"unknown field {unknown[0]!r}", hint=f"known: {', '.join(sorted(known))}")


def _json(content: dict[str, Any], status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(content), status=status, content_type="application/json")
