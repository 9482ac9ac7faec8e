"""The scenarios, and what each is held against."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from core.ports import Limits
from scripts.bench.quota.curve import Curve, most
from scripts.bench.quota.ground import ground, prompts, rest
from scripts.bench.report import Row, write

_USED = 0.98
_STEADY_S = 5
_SETTLED_S = 10  # after a change of the limit, until it is judged again
_AHEAD_S = 1.2  # what the gate books ahead: under way when a limit drops
_UNTOLD_S = 30  # until an untold limit that has risen again is found out
_UNTOLD_USED = 0.90
_UNTOLD_REFUSED = 0.05

_SHORT, _MIXED, _LONG = (5, 20), (20, 400), (300, 400)

_PEERS = (
    ("LiteLLM router", 0.97, 1_830, 0),
    ("Inspect", 0.89, 1_670, 0),
    ("Curator", 0.87, 68, 0),
    ("OpenAI cookbook", 1.00, 2_951, 409),
)
"""Issue 3: the same run on these, as they were measured before this project began. They are not run again here."""


def requests_alone() -> list[Row]:
    """3,000 calls at 3,000 a minute, to the end: the run that the peers' figures are of."""
    name, limits, calls = "3,000 RPM", Limits(rpm=3000), 3000
    with ground(limits, limits, answers="fast", tokens="approx") as played:
        played.submit("rpm", prompts(calls, _SHORT))
        played.staff()
        status = played.arena.ended("rpm", timeout_s=180)
        stats = played.stats()
    whole = calls / (stats["last_at"] - stats["first_at"]) / (3000 / 60)
    return [
        *_steady(name, stats, limits, refused=0),
        Row(row=f"{name}: 3,000 calls, used from the first to the last", value=_percent(whole), unit="%"),
        _most(name, "calls given up", status.failed, "calls", 0),
        *(
            Row(
                row=f"published, not measured here: {peer}",
                value=_percent(used),
                unit=f"% used, {hits:,} 429s, {lost} given up",
            )
            for peer, used, hits, lost in _PEERS
        ),
    ]


def tokens_alone() -> list[Row]:
    """Prompts of 20 to 400 words, answers of 40 to 1,000 tokens."""
    limits = Limits(tpm=1_000_000)
    with ground(limits, limits, answers="varied") as played:
        played.submit("tpm", prompts(5000, _MIXED))
        played.staff()
        rest(75)
        stats = played.stats()
    return _steady("1,000,000 TPM", stats, limits, refused=0.001)


def both_in_turn() -> list[Row]:
    """Short prompts (requests bind) and long ones (tokens bind) take turns of some 20 s."""
    name, limits = "2,000 RPM and 600,000 TPM in turn", Limits(rpm=2000, tpm=600_000)
    turns = (prompts(count, words, seed) for seed, (count, words) in enumerate([(660, _SHORT), (290, _LONG)] * 3))
    with ground(limits, limits, answers="varied") as played:
        played.submit("both", chain.from_iterable(turns), chunk_size=2)
        played.staff()
        rest(80)
        stats = played.stats()
    return _steady(name, stats, limits, refused=0.001, in_turn=True)


def drop_told() -> list[Row]:
    """The limit drops by 70 % and recovers; the provider's headers tell."""
    name, (before, low, after) = "3,000 RPM, drop by 70 %, told", _drop(headers="limits")
    high, less = Limits(rpm=3000), Limits(rpm=900)
    dropped = sum(low.between(0, _SETTLED_S).refused)
    return [
        _least(name, "used before", before.used(high)),
        _least(name, f"used while low, after {_SETTLED_S} s", low.between(_SETTLED_S, len(low)).used(less)),
        _least(
            name, f"used after the recovery, after {_SETTLED_S} s", after.between(_SETTLED_S, len(after)).used(high)
        ),
        _most(name, "429s at the drop, of those under way", dropped, "calls", round(_AHEAD_S * 50)),
        _most(name, "429s apart from that", _refused(before, low.between(_SETTLED_S, len(low)), after), "calls", 0),
    ]


def drop_untold() -> list[Row]:
    """The same, and nobody tells: only the 429s do."""
    name, (before, low, after) = "3,000 RPM, drop by 70 %, untold", _drop(headers="none")
    high, less = Limits(rpm=3000), Limits(rpm=900)
    settled = low.between(_SETTLED_S, len(low))
    share = sum(settled.refused) / max(1, sum(settled.requests))
    return [
        _least(name, "used before", before.used(high)),
        _least(name, f"used while low, after {_SETTLED_S} s", settled.used(less), goal=_UNTOLD_USED),
        _least(
            name,
            f"used after the recovery, after {_UNTOLD_S} s",
            after.between(_UNTOLD_S, len(after)).used(high),
            goal=_UNTOLD_USED,
        ),
        _most(name, "429s while low, of its calls", _percent(share), "%", _percent(_UNTOLD_REFUSED)),
    ]


def redis_killed() -> list[Row]:
    """``kill -9`` for the server of broker and gate, which has an append-only file."""
    name, limits = "3,000 RPM, Redis killed", Limits(rpm=3000)
    with ground(limits, limits, answers="fast", tokens="approx") as played:
        played.submit("killed", prompts(6000, _SHORT))
        played.staff()
        rest(20)
        at = played.second()
        away_s = played.kill_redis()
        rest(45)
        stats = played.stats()
    around = Curve.of(stats).between(at - 2, at + 8)
    return [
        Row(row=f"{name}: seconds without it", value=round(away_s, 2), unit="s"),
        _least(name, "used in the ten seconds around it", around.used(limits)),
        *_steady(name, stats, limits, refused=0),
    ]


def limits_unknown() -> list[Row]:
    """The settings tell none: the gate starts with a few calls, and takes the limits from the first headers."""
    truth = Limits(rpm=3000, tpm=400_000)
    with ground(truth, Limits(), answers="varied") as played:
        played.submit("unknown", prompts(4000, _SHORT))
        played.staff()
        rest(65)
        stats = played.stats()
    return _steady("limits from headers alone", stats, truth, refused=0.001)


PLAYS: Sequence[Callable[[], list[Row]]] = (
    requests_alone,
    tokens_alone,
    both_in_turn,
    drop_told,
    drop_untold,
    redis_killed,
    limits_unknown,
)


def run(names: Sequence[str] = ()) -> int:
    """Plays all, or those named; 1 when a row does not hold."""
    return write("bench-quota", list(chain.from_iterable(_played(names))))


def _played(names: Sequence[str]) -> Iterator[list[Row]]:
    for play in PLAYS:
        if not names or play.__name__ in names:
            sys.stderr.write(f"bench-quota: {play.__name__}\n")
            yield play()


def _drop(**simulator: str) -> tuple[Curve, Curve, Curve]:
    """Before the drop, while low, after the recovery."""
    high, less = Limits(rpm=3000), Limits(rpm=900)
    with ground(high, high, answers="fast", tokens="approx", **simulator) as played:
        played.submit("drop", prompts(8000, _SHORT))
        played.staff()
        rest(18)
        down = played.limit(less)
        rest(45)
        up = played.limit(high)
        rest(30 if simulator["headers"] == "limits" else _UNTOLD_S + 15)
        curve = Curve.of(played.stats())
    return curve.between(_STEADY_S, down - 1), curve.between(down, up - 1), curve.between(up, len(curve) - 1)


def _steady(name: str, stats: Mapping[str, Any], limits: Limits, *, refused: float, in_turn: bool = False) -> list[Row]:
    """``refused``: the share of the calls that may be; ``in_turn``: sometimes one limit binds, sometimes the other."""
    curve = Curve.of(stats)
    start = curve.steady_s(limits)
    steady = curve.between(start, len(curve) - 1)
    share = sum(curve.refused) / max(1, sum(curve.requests))
    return [
        _least(name, "used in steady state", steady.used_in_turn(limits) if in_turn else steady.used(limits)),
        _most(name, "steady after", start, "s", _STEADY_S),
        _most(name, "429s of all calls", _percent(share), "%", _percent(refused)),
        _most(name, "highest minute", _percent(most(stats, limits, 60)), "% of its quota", 100),
        Row(row=f"{name}: highest second", value=_percent(most(stats, limits, 1)), unit="% of its quota"),
    ]


def _refused(*curves: Curve) -> int:
    return sum(sum(curve.refused) for curve in curves)


def _least(name: str, what: str, share: float, *, goal: float = _USED) -> Row:
    return Row(
        row=f"{name}: {what}", value=_percent(share), unit="%", goal=f">= {_percent(goal):g}", holds=share >= goal
    )


def _most(name: str, what: str, value: float, unit: str, goal: float) -> Row:
    return Row(row=f"{name}: {what}", value=value, unit=unit, goal=f"<= {goal:g}", holds=value <= goal)


def _percent(share: float) -> float:
    return round(100 * share, 2)
