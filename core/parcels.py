"""What the caller sends and what it brings back: parcels, outcomes, and the rows that calls become."""

from typing import Any, TypeAlias

from core.errors import ProviderError, ProviderRefused
from core.model import (
    Answer,
    CallRecord,
    CallStatus,
    ChatReply,
    ChatRequest,
    EmbeddingRequest,
    JsonObject,
    Reply,
    Request,
)
from core.ports import Refusal, Refused, Ticket
from core.values import value


@value
class Parcel:
    """What one call carries: one chat request, or many texts of one model to embed."""

    requests: tuple[Request, ...]
    fingerprints: tuple[str, ...]
    tags: JsonObject  # for the RawCall's metadata: sweep, kind, version


@value
class Called:
    """Answers in the order of the requests; ``record`` is still to be committed with the jobs that it serves."""

    record: CallRecord
    answers: tuple[Answer, ...]
    attempts: int = 1


@value
class NotCalled:
    """No answer, and none will come by trying again now. The jobs fail with ``error``.

    ``parts_may_pass``: what is wrong may be one text of many, or their number.
    """

    error: JsonObject
    attempts: int = 0
    parts_may_pass: bool = False


@value
class Parked:
    """The provider, or the budget, needs a person. The jobs stay pending."""

    reason: str
    budget: bool = False


@value
class Closed:
    """The breaker is open for ``retry_in_s`` more seconds."""

    retry_in_s: float


@value
class Halted:
    """The hold was stopped before an answer came. The jobs stay pending, unless another call for them has won."""


CallOutcome: TypeAlias = Called | NotCalled | Parked | Closed | Halted


def answers(call_id: int, reply: Reply) -> tuple[Answer, ...]:
    """A reply's answers, in the order of the requests."""
    if isinstance(reply, ChatReply):
        return (Answer(call_id=call_id, text=reply.text, finish_reason=reply.finish_reason),)
    return tuple(
        Answer(call_id=call_id, position=at, flaw=reply.flaws[at])
        if at in reply.flaws
        else Answer(call_id=call_id, position=at, vector=vector)
        for at, vector in enumerate(reply.vectors)
    )


def answered(parcel: Parcel, ticket: Ticket, reply: Reply, cost: float | None) -> CallRecord:
    """The row of a call that succeeded."""
    return _record(
        parcel,
        ticket,
        status=CallStatus.SUCCESS,
        latency_ms=round(reply.latency_ms, 3),
        usage=reply.usage,
        cost_usd=cost,
        response=reply.response,
        metadata={**parcel.tags, "request_id": reply.request_id, "served_model": reply.model},
    )


def failed(parcel: Parcel, ticket: Ticket, exc: ProviderError, cost: float | None) -> CallRecord:
    """The row of a call that failed."""
    return _record(
        parcel,
        ticket,
        status=CallStatus.FAILED,
        latency_ms=round(exc.latency_ms, 3),
        usage=exc.usage,
        cost_usd=cost,
        error=_error(exc),
        metadata=dict(parcel.tags),
    )


def given_up(parcel: Parcel, ticket: Ticket) -> CallRecord:
    """The row of a call that nobody waited for any more: it may have been billed."""
    return _record(
        parcel,
        ticket,
        status=CallStatus.UNKNOWN,
        error={"type": "Beaten", "message": "given up in flight: another call for the same jobs was faster"},
        metadata=dict(parcel.tags),
    )


def _record(parcel: Parcel, ticket: Ticket, **outcome: Any) -> CallRecord:
    ask = ticket.ask
    return CallRecord(
        id=ask.call_id,
        provider=ask.provider,
        model=ask.model,
        modality=ask.modality,
        fingerprint=ask.fingerprint,
        request=_request_json(parcel.requests),
        cost_max_usd=ask.worst_usd,
        **outcome,
    )


def _request_json(requests: tuple[Request, ...]) -> JsonObject:
    first = requests[0]
    if isinstance(first, ChatRequest):
        return {
            "messages": [{"role": message.role, "content": message.content} for message in first.messages],
            "params": dict(first.params),
            "schema": None if first.schema is None else first.schema.name,
        }
    texts = [request.text for request in requests if isinstance(request, EmbeddingRequest)]
    return {"input": texts, "dimensions": first.dimensions}


def _error(exc: ProviderError) -> JsonObject:
    """What a failed call's row says of its error."""
    said: dict[str, object] = {"type": type(exc).__name__, "message": exc.message[:2000]}
    if isinstance(exc, ProviderRefused):
        said |= {"status": exc.status, "code": exc.code, "provider_type": exc.type}
    if exc.body:
        said["body"] = exc.body[:2000]
    return said


def refusal(refused: Refused) -> NotCalled | Parked | Closed:
    """What the gate's refusal means for a parcel."""
    match refused.reason:
        case Refusal.BUDGET:
            return Parked(reason=refused.detail or "the budget is used up", budget=True)
        case Refusal.BREAKER_OPEN:
            return Closed(retry_in_s=refused.retry_in_s or 1.0)
        case Refusal.TOO_LARGE:
            return NotCalled(error={"type": "TooLarge", "message": refused.detail}, parts_may_pass=True)
