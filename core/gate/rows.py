"""What a quota may be counted in, as data: the script and its twin loop over these rows."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

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


FIELDS = dict(zip((row.name for row in ROWS), ("rpm", "tpm", "itpm", "otpm", "rpd", "tpd"), strict=True))
"""What ``Limits`` calls them."""


def told(limits: Limits) -> list[int]:
    """Calls in flight, then a limit a row; 0: none."""
    return [getattr(limits, name) or 0 for name in ("in_flight", *FIELDS.values())]


def in_force(limits: Mapping[str, Sequence[int]]) -> dict[str, Any]:
    """Lane -> what it was told, as the script wants it: without rows that no lane needs, which costs it time."""
    needed = [at for at, row in enumerate(ROWS, 1) if row.always or any(given[at] for given in limits.values())]
    return {
        "rows": [list(ROWS[at - 1]) for at in needed],
        "limits": {lane: [given[0], *(given[at] for at in needed)] for lane, given in limits.items()},
    }


def by_headers(hints: Iterable[tuple[str, str, int]]) -> Limits:
    """Limits that headers have told, as (lane, row, limit)."""
    found: defaultdict[str, dict[str, Any]] = defaultdict(dict)
    for lane, row, limit in hints:
        found[lane.partition("/")[2]][FIELDS[row]] = int(limit)
    models = {model: Limits(**limits) for model, limits in found.items() if model}
    return Limits(**found[""], models=models)
