"""What the providers allow: by the settings, by what their headers have told the gate, or as somebody assumes."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from core.errors import Unavailable
from core.gate.rows import FIELDS
from core.ports import Limits
from core.settings import PREFIXES, RULES, provider_settings
from scripts.forecast.assume import Given
from scripts.forecast.values import Told
from workers.gates import gates

_ALWAYS_TOLD = {"rpm", "tpm"}
_AT_ONCE = 256


def limits(
    redis_url: str, providers: Iterable[str], given: Given
) -> tuple[dict[str, Limits], dict[str, int], list[Told]]:
    """The providers' limits and calls in flight, a worker; and where each of them is from."""
    found: dict[str, Limits] = {}
    concurrency: dict[str, int] = {}
    told: list[Told] = []
    for name, by_headers in _by_headers(redis_url, list(providers)).items():
        loaded = None if name == RULES else provider_settings(name)
        by_settings = loaded.limits() if loaded else Limits()
        known = _stricter(by_settings, by_headers)
        found[name] = replace(known, rpm=given.rpm or known.rpm, tpm=given.tpm or known.tpm)
        concurrency[name] = given.concurrency or (loaded.max_concurrent_requests if loaded else _AT_ONCE)
        told += _told(name, found[name], by_settings, given)
        source = "given" if given.concurrency else _setting(name, "MAX_CONCURRENT_REQUESTS")
        unit = "calls in flight, a worker"
        told.append(Told(name=f"{name} concurrency", value=concurrency[name], unit=unit, source=source))
    return found, concurrency, told


def _by_headers(redis_url: str, providers: Sequence[str]) -> Mapping[str, Limits]:
    """Nothing where the gate is away: the settings may tell enough."""
    try:
        asked = gates(redis_url, [name for name in providers if name != RULES]) if redis_url else {}
    except Unavailable:
        asked = {}
    return {name: asked[name].told if name in asked else Limits() for name in providers}


def _stricter(one: Limits, other: Limits) -> Limits:
    """Of each dimension the lower limit, as the gate has it."""
    fields = {name: _lower(getattr(one, name), getattr(other, name)) for name in (*FIELDS.values(), "in_flight")}
    models = {name: _stricter(own, other.models.get(name, Limits())) for name, own in one.models.items()}
    return Limits(**fields, models=models)


def _lower(one: int | None, other: int | None) -> int | None:
    return min((limit for limit in (one, other) if limit is not None), default=None)


def _told(name: str, found: Limits, by_settings: Limits, given: Given) -> Iterator[Told]:
    for label in FIELDS.values():
        value = getattr(found, label)
        if getattr(given, label, None) is not None:
            source = "given"
        elif value is None:
            source = "no limit is set"
        elif value == getattr(by_settings, label):
            source = _setting(name, f"RATE_LIMIT_{label.upper()}")
        else:
            source = "the provider's headers"
        if value is not None or label in _ALWAYS_TOLD:
            unit = "a day" if label.endswith("d") else "a minute"
            yield Told(name=f"{name} {label}", value=value, unit=unit, source=source)


def _setting(provider: str, name: str) -> str:
    return f"{PREFIXES.get(provider, '')}{name}"
