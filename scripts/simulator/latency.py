"""How long a call takes: fixed, lognormal, or with a heavy tail."""

import random
from dataclasses import dataclass
from typing import Protocol

from core.errors import InputError


class Latency(Protocol):
    """Seconds from a request's arrival to its answer."""

    def draw(self, rng: random.Random) -> float: ...


@dataclass(frozen=True, slots=True)
class Fixed:
    """Always the same."""

    seconds: float

    def draw(self, rng: random.Random) -> float:  # noqa: ARG002  nothing to draw
        return self.seconds


@dataclass(frozen=True, slots=True)
class Lognormal:
    """``median * exp(sigma * N(0, 1))``."""

    median: float
    sigma: float

    def draw(self, rng: random.Random) -> float:
        return self.median * rng.lognormvariate(0.0, self.sigma)


@dataclass(frozen=True, slots=True)
class Heavy:
    """The median, and ``factor`` times that for a share of the calls."""

    median: float
    share: float
    factor: float

    def draw(self, rng: random.Random) -> float:
        return self.median * (self.factor if rng.random() < self.share else 1.0)


def parse_latency(text: str) -> Latency:
    """``0.2``, ``lognormal:MEDIAN,SIGMA`` or ``heavy:MEDIAN,SHARE,FACTOR``. Raises InputError."""
    name, _, rest = text.rpartition(":")
    try:
        numbers = [float(part) for part in rest.split(",")]
    except ValueError as exc:
        raise _bad(text) from exc
    if not all(0 <= number < 1e6 for number in numbers):
        raise _bad(text)
    match name, numbers:
        case "", [seconds]:
            return Fixed(seconds)
        case "lognormal", [median, sigma]:
            return Lognormal(median, sigma)
        case "heavy", [median, share, factor] if share <= 1:
            return Heavy(median, share, factor)
        case _:
            raise _bad(text)


def _bad(text: str) -> InputError:
    return InputError(
        f"latency {text!r} cannot be read", hint="0.2, lognormal:MEDIAN,SIGMA or heavy:MEDIAN,SHARE,FACTOR (seconds)"
    )
