"""All that can be chosen about a simulator, checked."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

from core.errors import InputError
from core.ports import Limits
from scripts.simulator.faults import Fault, parse_fault
from scripts.simulator.latency import Fixed, Latency, parse_latency


class AnswerMode(StrEnum):
    """``rules``: the kinds' writers; ``fast``: cheap answers of one size, ``varied``: of many sizes, for benches."""

    RULES = "rules"
    FAST = "fast"
    VARIED = "varied"


class TokenMode(StrEnum):
    """``exact``: tiktoken; ``approx``: a quarter of the characters, for benches."""

    EXACT = "exact"
    APPROX = "approx"


class HeaderMode(StrEnum):
    """``limits``: every response tells limit, remainder and reset; ``none``: only a 429 tells when to come again."""

    LIMITS = "limits"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """``burst_s``: seconds of quota that may be used at once, 60 as the providers' minutes, 1 for a strict judge."""

    latency: Latency = field(default_factory=lambda: Fixed(0.0))
    limits: Limits = field(default_factory=Limits)
    burst_s: float = 60.0
    faults: tuple[Fault, ...] = ()
    answers: AnswerMode = AnswerMode.RULES
    tokens: TokenMode = TokenMode.EXACT
    headers: HeaderMode = HeaderMode.LIMITS
    models: tuple[str, ...] = ()  # empty: every name is served
    seed: int = 0
    key: str = ""  # empty: any key, or none


def read_options(
    *,
    latency: str = "0",
    rpm: int | None = None,
    tpm: int | None = None,
    burst: float = 60.0,
    fail: Sequence[str] = (),
    answers: str = "rules",
    tokens: str = "exact",
    headers: str = "limits",
    models: Sequence[str] = (),
    seed: int = 0,
    key: str = "",
) -> Options:
    """The command's words as values. Raises InputError."""
    return Options(
        latency=parse_latency(latency),
        limits=read_limits(rpm, tpm),
        burst_s=read_burst(burst),
        faults=tuple(parse_fault(spec) for spec in fail),
        answers=_one_of(AnswerMode, "answers", answers),
        tokens=_one_of(TokenMode, "tokens", tokens),
        headers=_one_of(HeaderMode, "headers", headers),
        models=tuple(models),
        seed=seed,
        key=key,
    )


def read_limits(rpm: Any, tpm: Any) -> Limits:
    """Raises InputError for a limit that is no whole number from 1."""
    for name, value in (("rpm", rpm), ("tpm", tpm)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise InputError(f"{name} is {value!r}", hint="a whole number from 1; leave it out for no limit")
    return Limits(rpm=rpm, tpm=tpm)


def read_burst(seconds: Any) -> float:
    """Raises InputError unless it is a positive number."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < 1e6:
        raise InputError(f"burst is {seconds!r}", hint="seconds of quota that may be used at once, more than 0")
    return float(seconds)


M = TypeVar("M", AnswerMode, TokenMode, HeaderMode)


def _one_of(modes: type[M], name: str, value: str) -> M:
    try:
        return modes(value)
    except ValueError as exc:
        raise InputError(f"{name} is {value!r}", hint=f"one of {', '.join(modes)}") from exc
