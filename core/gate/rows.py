"""What a quota may be counted in, as data: the script and its twin loop over these rows."""

from typing import NamedTuple

from core.ports import Limits

DAY_S = 86_400


class Row(NamedTuple):
    """A dimension. As JSON it is what `window.lua` describes."""

    name: str
    counts: str  # requests, tokens, input or output (tokens)
    window_s: int
    burst_s: float  # seconds of quota that may be caught up; 0: not paced, only the window counts
    full: float  # of the limit, in any window: tokens in flight may turn out to be more
    always: int = 0  # 1: counted without a limit as well, for the status


ROWS = (
    Row("requests", "requests", 60, 0.2, 1.0, 1),
    Row("tokens", "tokens", 60, 0.4, 0.993, 1),
    Row("input_tokens", "input", 60, 0.4, 0.993),
    Row("output_tokens", "output", 60, 0.4, 0.993),
    Row("requests_day", "requests", DAY_S, 0.0, 1.0),
    Row("tokens_day", "tokens", DAY_S, 0.0, 0.993),
)

NUMBERS = {row.name: number for number, row in enumerate(ROWS, 1)}
"""A dimension's name, as headers tell it -> its row's number."""


def told(limits: Limits) -> list[int]:
    """Calls in flight, then a limit a row; 0: none."""
    known = (limits.in_flight, limits.rpm, limits.tpm, limits.itpm, limits.otpm, limits.rpd, limits.tpd)
    return [limit or 0 for limit in known]
