"""How a provider will answer: as it did lately, else as is assumed here; what a person gives goes before both."""

import math
import random
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from core.model import Modality
from core.settings import RULES
from db.history import PastCall
from scripts.forecast.assume import Given
from scripts.forecast.recent import recent
from scripts.forecast.values import Failure, Manner, Reply, Told

ENOUGH = 30
"""Answered calls from which on history is believed."""

_P50_S = {Modality.CHAT: 2.0, Modality.EMBEDDING: 0.5}
_P95_OF_P50 = 2.5
_ERROR_RATE = 0.005
_COMPLETION = 200
_Z95 = 1.645
_POINTS = 400
_THROTTLED = 429


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Whom a sweep asks. ``completion``: tokens of the kind's own rule-based answers; None: it has none."""

    provider: str
    model: str
    modality: Modality
    completion: int | None = None

    @property
    def name(self) -> str:
        return f"{self.provider}/{self.model}"


def manner(target: Target, past: Sequence[PastCall], ratio: float, given: Given) -> tuple[Manner, list[Told]]:
    """The manner, and what it rests on."""
    # Without those that the gate is there to prevent.
    tries = [call for call in past if call.success or call.status != _THROTTLED]
    if sum(call.success for call in tries) >= ENOUGH:
        believed = recent(tries)
        found, source = _measured(believed), _source(target, believed, older=len(tries) - len(believed))
        found = replace(found, prompt_ratio=ratio)
    else:
        found, source = _assumed(target), "assumed"
    found, sources = _as_given(found, given)
    return found, list(_told(target, found, source, sources))


def _measured(tries: Sequence[PastCall]) -> Manner:
    failures = tuple(Failure(latency_s=c.latency_ms / 1000, status=c.status or 0) for c in tries if not c.success)
    replies = tuple(
        Reply(
            latency_s=call.latency_ms / 1000,
            completion=call.completion,
            cached=min(1.0, call.cached / call.prompt) if call.prompt else 0.0,
            rejected=call.rejected,
        )
        for call in tries
        if call.success
    )
    rate = len(failures) / len(tries)
    return Manner(replies=replies, failures=failures, error_rate=rate, measured=True, tries=len(tries))


def _assumed(target: Target) -> Manner:
    local = target.provider == RULES
    p50 = 0.0 if local else _P50_S[target.modality]
    completion = _COMPLETION if target.completion is None else target.completion
    completion = completion if target.modality is Modality.CHAT else 0
    return Manner(
        replies=_lognormal(p50, _P95_OF_P50 * p50, completion),
        failures=(Failure(latency_s=p50),),
        error_rate=0.0 if local else _ERROR_RATE,
    )


def _as_given(found: Manner, given: Given) -> tuple[Manner, frozenset[str]]:
    """Puts a person's figures over the found ones; returns their names as well."""
    if given.latency_p95 is not None or given.latency_p50 is not None:
        found = _with_latency(found, given)
    if given.completion_tokens is not None:
        mean = statistics.fmean(reply.completion for reply in found.replies)
        scale = given.completion_tokens / mean if mean else 0.0
        completions = (reply.completion * scale if mean else given.completion_tokens for reply in found.replies)
        pairs = zip(found.replies, completions, strict=True)
        found = replace(found, replies=tuple(replace(reply, completion=round(tokens)) for reply, tokens in pairs))
    if given.reject_rate is not None:
        found = replace(found, replies=tuple(_spoiled(found.replies, given.reject_rate)))
    if given.error_rate is not None:
        failures = found.failures or (Failure(latency_s=_median(found)),)
        found = replace(found, error_rate=given.error_rate, tries=0, failures=failures)
    if given.prompt_ratio is not None:
        found = replace(found, prompt_ratio=given.prompt_ratio)
    names = ("latency_p50", "latency_p95", "completion_tokens", "reject_rate", "error_rate", "prompt_ratio")
    return found, frozenset(name for name in names if getattr(given, name) is not None)


def _with_latency(found: Manner, given: Given) -> Manner:
    """A given median moves the whole distribution; a given 95th percentile makes it lognormal."""
    median = _median(found)
    p50 = median if given.latency_p50 is None else given.latency_p50
    if given.latency_p95 is None and median > 0:
        moved = (replace(reply, latency_s=reply.latency_s * p50 / median) for reply in found.replies)
        return replace(found, replies=tuple(moved))
    p95 = given.latency_p95 if given.latency_p95 is not None else _P95_OF_P50 * p50
    drawn = _lognormal(min(p50, p95), p95, 0)
    order = random.Random(0).sample(range(len(found.replies)), len(found.replies))
    replies = (
        replace(found.replies[index], latency_s=drawn[nth * len(drawn) // len(order)].latency_s)
        for nth, index in enumerate(order)
    )
    return replace(found, replies=tuple(replies), measured=False)


def _lognormal(p50: float, p95: float, completion: int) -> tuple[Reply, ...]:
    sigma = math.log(p95 / p50) / _Z95 if p50 > 0 else 0.0
    normal = statistics.NormalDist()
    shares = ((point + 0.5) / _POINTS for point in range(_POINTS))
    return tuple(Reply(latency_s=p50 * math.exp(sigma * normal.inv_cdf(s)), completion=completion) for s in shares)


def _spoiled(replies: Sequence[Reply], share: float) -> Iterator[Reply]:
    chosen = set(random.Random(1).sample(range(len(replies)), round(share * len(replies))))
    for index, reply in enumerate(replies):
        yield replace(reply, rejected=index in chosen)


def _median(found: Manner) -> float:
    return statistics.median(reply.latency_s for reply in found.replies)


def _told(target: Target, found: Manner, source: str, given: frozenset[str]) -> Iterator[Told]:
    latencies = sorted(reply.latency_s for reply in found.replies)
    figures: list[tuple[str, float, str]] = [
        ("latency_p50", _median(found), "s"),
        ("latency_p95", latencies[int(0.95 * len(latencies))], "s"),
        ("error_rate", found.error_rate, "of the calls"),
        ("reject_rate", statistics.fmean(reply.rejected for reply in found.replies), "of the answers"),
        ("completion_tokens", statistics.fmean(reply.completion for reply in found.replies), "tokens an answer"),
        ("prompt_ratio", found.prompt_ratio, "tokens for one that we count"),
    ]
    for name, value, unit in figures:
        if target.modality is Modality.EMBEDDING and name in {"completion_tokens", "reject_rate"}:
            continue
        from_rules = name == "completion_tokens" and source == "assumed" and target.completion is not None
        found_in = "as long as the kind's rule-based answers" if from_rules else source
        yield Told(name=f"{target.name} {name}", value=value, unit=unit, source="given" if name in given else found_in)


def _source(target: Target, past: Sequence[PastCall], *, older: int) -> str:
    age = datetime.now(UTC) - past[-1].created_at
    days = age.total_seconds() / 86_400
    when = f"{days:.0f} days" if days >= 2 else f"{24 * days:.0f} hours" if days >= 1 / 12 else f"{1440 * days:.0f} min"
    changed = f"; the {older:,} before were answered otherwise" if older else ""
    return f"the last {len(past):,} calls of {target.name}, {when}{changed}"
