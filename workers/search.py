"""`sweep search`: the query becomes a vector the way the sweep's texts did, then the nearest are looked up.

The query's call passes the gate and is recorded like any other: it is paid once, and its cost is known.
"""

import os
import signal
from dataclasses import replace

from core.errors import InputError
from core.fingerprint import fingerprint
from core.heartbeat import Hold
from core.model import ChunkRef, EmbeddingRequest, Job, Modality, Outcome, Vector, VectorRecord
from core.parcels import Called, CallOutcome, Closed, NotCalled, Parcel, Parked
from core.settings import Settings
from db import progress, results, similarity
from db.engine import connect
from db.similarity import Hit
from db.specs import Plan
from tasks.registry import kind
from workers.runtime import Runtime

__all__ = ["Hit", "search"]

_KIND = "embedding"


def search(settings: Settings, text: str, *, sweep: str | None, k: int) -> list[Hit]:
    """The ``k`` texts nearest to ``text``, of one sweep or of all. Raises InputError."""
    engine = connect(settings.database_url, role="reader", pool=1)
    try:
        plan = results.plan_of(engine, sweep or _newest(progress.sweeps(engine)))
        if plan.kind != _KIND:
            raise InputError(f"sweep {plan.name} is of kind {plan.kind}, it has no vectors")
        variant = plan.variants[0]
        job = Job(id=0, key="query", input={"text": text})
        request = kind(_KIND).request(job, variant, plan.options)
        if not isinstance(request, EmbeddingRequest) or not request.text:
            raise InputError("the text to search for is empty")
        runtime = Runtime(settings, fatal=lambda _: os.kill(os.getpid(), signal.SIGTERM))
        try:
            scope = runtime.engine.caller.scope(variant.provider)
            vector = runtime.call(_vector(runtime, plan, replace(request, salt=scope)))
        except TimeoutError as exc:
            raise InputError("the query was not embedded in time", hint="see `sweep doctor`") from exc
        finally:
            runtime.close()
        return similarity.search(engine, vector, model=variant.model, k=k, sweep=sweep, kind=_KIND)
    finally:
        engine.dispose()


def _newest(sweeps: list[progress.SweepStatus]) -> str:
    embedded = [found.name for found in sweeps if found.kind == _KIND and found.done]
    if not embedded:
        raise InputError("there are no vectors to search", hint="make some: `sweep submit embedding PATH`")
    return embedded[0]


async def _vector(runtime: Runtime, plan: Plan, request: EmbeddingRequest) -> Vector:
    engine = runtime.engine
    print_ = fingerprint(request)
    known = await engine.ledger.find([print_], Modality.EMBEDDING)
    if print_ in known and (vector := known[print_].vector) is not None:
        return vector
    lease = plan.lease(ChunkRef(sweep_id=plan.sweep_id, no=0), owner=engine.owner, fence=0, budget_usd=None)
    parcel = Parcel(requests=(request,), fingerprints=(print_,), tags={"sweep": plan.name, "kind": "search"})
    outcome = await engine.caller.call(parcel, Hold(lease=lease))
    if not isinstance(outcome, Called):
        raise InputError(f"the query could not be embedded: {_why_not(outcome)}", hint="see `sweep doctor`")
    answer = outcome.answers[0]
    if answer.vector is None:
        raise InputError(f"{request.model} gave no vector for the query")
    stored = VectorRecord(
        call_id=answer.call_id, position=0, fingerprint=print_, model=request.model, vector=answer.vector
    )
    await engine.recorder.record(Outcome(lease=lease, calls=(outcome.record,), vectors=(stored,)))
    return answer.vector


def _why_not(outcome: CallOutcome) -> str:
    match outcome:
        case NotCalled(error=error):
            return str(error.get("message"))
        case Parked(reason=reason):
            return reason
        case Closed(retry_in_s=retry_in_s):
            return f"the provider is down; it is asked again in {retry_in_s:.0f} s"
        case _:
            return "it was stopped"
