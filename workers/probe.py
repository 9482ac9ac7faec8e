"""Before a sweep of embeddings: which of its deployments give vectors, and what vectors.

One short call a deployment, remembered in the cache for the whole cluster. It passes the gate and is recorded like any
other call, under the label ``probes``: its cost is known.
"""

import asyncio
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.errors import CacheUnavailable, InputError
from core.fingerprint import fingerprint
from core.heartbeat import Hold, Stop
from core.model import Answer, ChunkRef, EmbeddingRequest, JsonObject, Lease, Outcome, Variant
from core.parcels import Called, CallOutcome, Closed, NotCalled, Parcel, Parked
from core.ports import Follow, Lead
from core.providers.control import longest_input
from core.settings import Settings, provider_settings
from db.engine import connect
from db.labels import label
from workers.runtime import Runtime

_TEXT = "The quick brown fox jumps over the lazy dog."
_LABEL = "probes"
_PATIENCE_S = 15.0  # then the deployment counts as away, which is no fault of it
_UNIT = 1e-3  # how far from 1 the length of a normalised vector may be, in half precision
_PASSING = frozenset({408, 409, 425, 429})  # and 5xx: what will be well again by itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What a request names. ``dimensions`` None: the model's own."""

    provider: str
    model: str
    dimensions: int | None

    def __str__(self) -> str:
        return f"{self.provider}/{self.model}" + (f" ({self.dimensions})" if self.dimensions else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """It gives vectors of ``dimension`` and length ``norm``, of texts of up to ``longest`` tokens (None: not told)."""

    deployment: Deployment
    dimension: int
    norm: float
    longest: int | None
    remembered: bool  # no call was made: an earlier probe is not yet forgotten

    @property
    def normalised(self) -> bool:
        return abs(self.norm - 1) <= _UNIT


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsound:
    """It does not, and will not by itself."""

    deployment: Deployment
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsure:
    """Nobody can tell now: it, the gate or the network is away."""

    deployment: Deployment
    reason: str


Finding = Sound | Unsound | Unsure


def probe(settings: Settings, deployments: Sequence[Deployment]) -> list[Finding]:
    """One finding a deployment, in order. Raises LedgerUnavailable, and InputError when our own servers are not set."""
    engine = connect(settings.database_url, role="producer", pool=1)
    try:
        group_id = label(engine, _LABEL, "calls that asked embedding deployments what they are")
    finally:
        engine.dispose()
    runtime = Runtime(settings, fatal=lambda _: os.kill(os.getpid(), signal.SIGTERM))
    try:
        return runtime.call(_all(runtime, deployments, group_id))
    except TimeoutError as exc:
        raise InputError("the deployments did not answer in time", hint="--no-probe submits without asking") from exc
    finally:
        runtime.close()


async def _all(runtime: Runtime, deployments: Sequence[Deployment], group_id: int) -> list[Finding]:
    return list(await asyncio.gather(*(_one(runtime, deployment, group_id) for deployment in deployments)))


async def _one(runtime: Runtime, deployment: Deployment, group_id: int) -> Finding:
    try:
        scope = runtime.engine.caller.scope(deployment.provider)
    except InputError as exc:
        return Unsound(deployment=deployment, reason=f"{exc.message} ({exc.hint})" if exc.hint else exc.message)
    request = EmbeddingRequest(
        provider=deployment.provider,
        model=deployment.model,
        text=_TEXT,
        dimensions=deployment.dimensions,
        version="probe/1",
        salt=scope,
    )
    lease = _lease(runtime, deployment, group_id)
    hold = Hold(lease=lease)
    deadline = asyncio.get_running_loop().call_later(_PATIENCE_S, hold.halt, Stop.DRAINING)
    try:
        return await _asked(runtime, deployment, request, hold)
    finally:
        deadline.cancel()


async def _asked(runtime: Runtime, deployment: Deployment, request: EmbeddingRequest, hold: Hold) -> Finding:
    print_ = fingerprint(request)
    claim = await _claimed(runtime, print_, hold)
    if isinstance(claim, Answer):
        return await _sound(deployment, claim, remembered=True)
    tags = {"kind": "probe", "version": request.version}
    outcome: CallOutcome | None = None
    try:
        parcel = Parcel(requests=(request,), fingerprints=(print_,), tags=tags)
        outcome = await runtime.engine.caller.call(parcel, hold)
    finally:
        if claim is not None and not isinstance(outcome, Called):
            await _released(runtime, claim)
    if not isinstance(outcome, Called):
        return _not_called(deployment, outcome)
    await runtime.engine.recorder.record(Outcome(lease=hold.lease, calls=(outcome.record,)))
    return await _sound(deployment, outcome.answers[0], remembered=False)


async def _claimed(runtime: Runtime, print_: str, hold: Hold) -> Answer | Lead | None:
    """None: the cache is away, or whoever asks already takes too long."""
    while hold.stop is None:
        try:
            claim = (await runtime.engine.cache.claim([print_], runtime.owner))[print_]
        except CacheUnavailable:
            return None
        if not isinstance(claim, Follow):
            return claim
        await hold.patient(runtime.engine.clock.sleep(claim.seconds))
    return None


async def _released(runtime: Runtime, lead: Lead) -> None:
    try:
        await runtime.engine.cache.release([lead])
    except CacheUnavailable:
        return  # it lapses by itself


async def _sound(deployment: Deployment, answer: Answer, *, remembered: bool) -> Finding:
    if answer.vector is None:
        return Unsound(deployment=deployment, reason=answer.flaw or "no vector came back")
    return Sound(
        deployment=deployment,
        dimension=int(answer.vector.size),
        norm=float(np.linalg.norm(answer.vector.astype(np.float64))),
        longest=await longest_input(deployment.provider, provider_settings(deployment.provider), deployment.model),
        remembered=remembered,
    )


def _not_called(deployment: Deployment, outcome: CallOutcome) -> Finding:
    match outcome:
        case NotCalled(error=error):
            reason = str(error.get("message") or error.get("type"))
            found = Unsure if _will_pass(error) else Unsound
            return found(deployment=deployment, reason=reason)
        case Parked(reason=reason):
            return Unsound(deployment=deployment, reason=reason)
        case Closed():
            return Unsure(deployment=deployment, reason="the provider is down")
        case _:
            return Unsure(deployment=deployment, reason=f"no answer in {_PATIENCE_S:.0f} s")


def _will_pass(error: JsonObject) -> bool:
    if error.get("type") == "MalformedAnswer":  # it answers, and not with vectors
        return False
    status = error.get("status")
    return not isinstance(status, int) or status in _PASSING or status >= 500


def _lease(runtime: Runtime, deployment: Deployment, group_id: int) -> Lease:
    """No chunk's: the calls are booked under the label."""
    return Lease(
        ref=ChunkRef(sweep_id=0, no=0),
        owner=runtime.owner,
        fence=0,
        kind="embedding",
        sweep_name=_LABEL,
        group_id=group_id,
        variant=Variant(provider=deployment.provider, model=deployment.model),
    )
