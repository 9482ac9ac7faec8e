"""`--assume NAME=VALUE`: what a person knows better than history does, or than we would assume."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from core.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """Seconds, shares of 1, milliseconds of CPU; None: not given."""

    workers: int | None = None
    slots: int | None = None  # chunks in work at once, a worker
    cores: int | None = None  # of all machines with workers
    concurrency: int | None = None  # calls in flight, a worker and provider
    rpm: int | None = None
    tpm: int | None = None
    latency_p50: float | None = None
    latency_p95: float | None = None
    error_rate: float | None = None
    reject_rate: float | None = None
    completion_tokens: int | None = None
    prompt_ratio: float | None = None  # the provider's tokens for one of ours
    cpu_ms: float | None = None


_SHARES = {"error_rate", "reject_rate"}
_FROM_ZERO = {"latency_p50", "latency_p95", "completion_tokens", "cpu_ms"}
_MOST = 1e9


def read(words: Iterable[str], *, workers: int | None = None) -> Given:
    """``("latency_p50=0.8", "rpm=500")`` as values. Raises InputError."""
    types = {field.name: int if "int" in str(field.type) else float for field in fields(Given)}
    found: dict[str, Any] = {} if workers is None else {"workers": workers}
    for word in words:
        name, sign, text = word.partition("=")
        name = name.strip().replace("-", "_")
        if not sign or name not in types:
            raise InputError(f"--assume {word!r} is no figure of a forecast", hint=f"NAME=VALUE; {_known(types)}")
        if name in found:
            raise InputError(f"--assume {name} is given twice")
        try:
            found[name] = types[name](text)
        except ValueError as exc:
            what = "a whole number" if types[name] is int else "a number"
            raise InputError(f"--assume {name}: {text!r} is not {what}") from exc
        _check(name, found[name])
    given = Given(**found)
    if given.latency_p50 is not None and given.latency_p95 is not None and given.latency_p95 < given.latency_p50:
        raise InputError("--assume latency_p95 is less than latency_p50")
    return given


def _check(name: str, value: float) -> None:
    least = 0.0 if name in _FROM_ZERO | _SHARES else 1e-6
    most = 1.0 if name in _SHARES else _MOST
    if not least <= value <= most:
        span = "from 0 to 1" if name in _SHARES else "0 or more" if name in _FROM_ZERO else "more than 0"
        raise InputError(f"--assume {name}={value:g} cannot be", hint=f"{name} is {span}")


def _known(types: Mapping[str, type]) -> str:
    return f"names: {', '.join(types)}"
