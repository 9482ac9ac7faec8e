"""The twin of the Lua files: the same operations on the same state, in Python. A test runs both side by side.

Comments that explain a rule are in the Lua file of the same name.
"""

import math
from collections.abc import Callable
from typing import Any

from core.gate.breaker import Breaker
from core.gate.budget import GRACE_S, Budgets, Era
from core.gate.lane import Intended, LaneState
from core.gate.rows import ROWS
from core.gate.schedule import HORIZON, LARGE, NEAR
from core.gate.window import MINUTE

MAX_WAIT = 2.0
LABELS = {"tokens": "tokens", "input": "input tokens"}


class Twin:
    """The state and its operations. ``run`` is what the script does."""

    def __init__(self) -> None:
        self.era: Era | None = None
        self.lanes: dict[str, LaneState] = {}
        self.breakers: dict[str, Breaker] = {}
        self.budgets = Budgets()
        self._limits: Callable[[str], list[int]] = lambda _: [0] * (len(ROWS) + 1)
        self._ops: dict[str, Callable[..., Any]] = {
            "admit": self._admit,
            "settle": self._settle,
            "restore": self._restore,
            "forget": self._forget,
            "status": self._status,
            "set_spent": self._set_spent,
            "ping": lambda **_: 1,
            "lanes": lambda provider, now: [now, [lane.name for lane in self._lanes_of(provider)]],
        }

    def run(self, op: list[Any], seen: int, limits: Callable[[str], list[int]], now: float) -> Any:
        """Runs one operation at a time."""
        self._limits = limits
        self._read_era(seen, now)
        return self._ops[op[0]](*op[1:], now=now)

    def intents(self, provider: str) -> list[tuple[str, str]]:
        """The provider's intents as texts, each with its lane."""
        return [(lane.name, intent.text) for lane in self._lanes_of(provider) for intent in lane.intents.values()]

    # -- main.lua

    @property
    def _now_era(self) -> Era:
        if self.era is None:
            raise AssertionError("run() reads the era first")
        return self.era

    def _read_era(self, seen: int, now: float) -> None:
        era = self.era or Era(born=math.floor(now), settled=now + GRACE_S)
        if seen > era.seq:
            era.born = max(era.born + 1, math.floor(now))
            era.seq, era.lost, era.settled = seen, now, now + GRACE_S
        era.seq += 1
        self.era = era

    def _breaker(self, provider: str, now: float) -> Breaker:
        return self.breakers.setdefault(provider, Breaker.new(now))

    def _lane(self, name: str, now: float) -> LaneState:
        era = self._now_era
        lane = self.lanes.get(name)
        if lane is None:
            breaker = self._breaker(_provider_of(name), now)
            lane = self.lanes[name] = LaneState(name=name, breaker=breaker, eased=now)
        lost = era.lost if lane.born != era.born and era.lost > 0 else None
        lane.refresh(self._limits(name), lost, now)
        lane.born = era.born
        return lane

    def _lanes_of(self, provider: str) -> list[LaneState]:
        return [lane for name, lane in self.lanes.items() if _provider_of(name) == provider]

    def _restore(self, name: str, call_id: int, sweep: int, worst: int, text: str, *, now: float) -> int:
        lane = self._lane(name, now)
        if call_id not in lane.intents:
            slot, booked, _, guessed, _ = text.split(" ", 4)
            lane.intents[call_id] = Intended(
                admitted=now,
                slot=int(slot),
                booked=_amounts(booked),
                worst=worst,
                guessed=_guessed(guessed),
                apart="/" in booked,
                text=f"{now:.6f} {text}",
            )
            if worst >= 0:
                self.budgets.reserve(sweep, worst)
        return 1

    def _forget(self, name: str, call_id: int, sweep: int, *, now: float) -> int:
        lane = self._lane(name, now)
        intent = lane.intents.pop(call_id, None)
        if intent is not None and intent.worst >= 0:
            self.budgets.spend(sweep, intent.worst, intent.worst, self._now_era)
        if lane.breaker.probe == call_id:
            lane.breaker.probe = 0
        return 1

    def _status(self, provider: str, *, now: float) -> list[Any]:
        breaker = self.breakers.get(provider) or Breaker.new(now)
        state = "half_open" if breaker.state == "open" and now >= breaker.till else breaker.state
        lanes = self._lanes_of(provider)
        requests, tokens = (sum(lane.dimensions[name].used(now) for lane in lanes) for name in ("requests", "tokens"))
        flying = sum(len(lane.intents) for lane in lanes)
        frozen = max([0.0, *(lane.frozen - now for lane in lanes)])
        hints = sorted([lane.name, row, d.hint] for lane in lanes for row, d in lane.dimensions.items() if d.hint > 0)
        return [state, requests, tokens, flying, frozen, hints]

    def _set_spent(self, sweep: int, spent: int, *, now: float) -> int:
        del now
        self.budgets.set_spent(sweep, spent, self._now_era)
        return 1

    # -- admit.lua

    def _admit(self, *op: Any, now: float) -> list[Any]:
        name, call_id, model, est, sweep, worst, cap, pos, ask, out = op
        lane = self._lane(name, now)
        retry, probe = lane.breaker.ask(now)
        counts = worst >= 0 and cap >= 0
        guess = {"requests": 1, "tokens": est, "input": est - out, "output": out}
        refused = _refusal(lane, call_id, guess, retry) or (
            self.budgets.check(sweep, worst, cap, self._now_era, now) if counts else None
        )
        if refused is not None:
            return refused
        costs = _costs(lane, model, guess)
        t = _when(lane, call_id, costs, pos, now)
        if isinstance(t, list):
            return t
        for d in lane.dimensions.values():
            d.book(costs[d.row.counts], t)
        if probe:
            lane.breaker.lease(call_id, now)
        slot = math.floor(t)
        if call_id not in lane.intents and counts:
            self.budgets.reserve(sweep, worst)
        worst = worst if counts else -1
        apart = lane.counts("input") or lane.counts("output")
        text = f"{now:.6f} {slot} {costs['tokens']} {worst} {est} {ask}"
        lane.intents[call_id] = Intended(
            admitted=now, slot=slot, booked=costs, worst=worst, guessed=guess, apart=apart, text=text
        )
        return ["ticket", t - now, slot, costs["tokens"], lane.breaker.epoch, probe, lane.pushed]

    # -- settle.lua

    def _settle(self, *op: Any, now: float) -> int:
        name, call_id, model, sweep, epoch, era, health, sent, total, cost, worst, freeze, hints, inp, out = op
        lane = self._lane(name, now)
        intent = lane.intents.pop(call_id, None)
        if intent is None and era == self._now_era.born:
            return 0
        worst, reserved = (worst, 0) if intent is None else (intent.worst, intent.worst)
        if worst >= 0:
            self.budgets.spend(sweep, (cost if cost >= 0 else worst) if sent else 0, reserved, self._now_era)
        if intent is not None:
            real = {"requests": 1, "tokens": total, "input": inp, "output": out}
            _settle_tokens(lane, intent, model, real if sent else None)
        lane.breaker.tell(call_id, epoch, health, now)
        if intent is not None:
            _take_hints(lane, hints, intent.slot, now)
        if freeze >= 0:
            lane.throttled(now if intent is None else intent.slot, now)
            lane.freeze(freeze, now)
        elif health == "good":
            if intent is not None:
                _forget_hints(lane, intent.slot, now)
            lane.grow()
        return 1


def _provider_of(lane: str) -> str:
    return lane.partition("/")[0]


def _refusal(lane: LaneState, call_id: int, guess: dict[str, int], retry: float) -> list[Any] | None:
    if retry > 0:
        return ["refused", "breaker_open", f"provider {_provider_of(lane.name)} keeps failing", retry]
    for row in ROWS:
        limit = lane.dimensions[row.name].limit if row.name in lane.dimensions else 0
        most = guess[row.counts]
        if 0 < limit < most and row.counts != "output":
            period = "day" if row.window_s > MINUTE else "minute"
            return [
                "refused",
                "too_large",
                f"{most} {LABELS[row.counts]}, but {lane.name} allows {limit} a {period}",
                -1,
            ]
    if not lane.has_room():
        return ["wait", 0.05 + call_id % 97 / 500, "calls in flight", 0]
    return None


def _costs(lane: LaneState, model: str, guess: dict[str, int]) -> dict[str, int]:
    costs = {"requests": 1, "tokens": lane.models[model].expected(guess["tokens"]), "input": 0, "output": 0}
    for what in ("input", "output"):
        if lane.counts(what):
            costs[what] = lane.models[f"{model} {what}"].expected(guess[what])
    for d in lane.dimensions.values():
        if d.limit > 0:
            costs[d.row.counts] = min(costs[d.row.counts], d.limit)
    return costs


def _when(lane: LaneState, call_id: int, costs: dict[str, int], pos: float, now: float) -> float | list[Any]:
    t, step, horizon = max(now, lane.frozen), 0.0, HORIZON
    for d in lane.dimensions.values():
        cost = costs[d.row.counts]
        start = d.earliest(cost, now)
        if not d.paced and start > now + HORIZON:
            return ["wait", MAX_WAIT * (0.5 + call_id % 97 / 194), "quota of the day", 0]
        t = max(t, start)
        if d.paced and d.limit > 0:
            takes = d.seconds(cost)
            step = max(step, takes)
            if LARGE[0] < takes < LARGE[1] and d.row.counts != "requests":
                horizon = NEAR
    return _queue(lane, call_id, t, pos, (step, horizon), now) or t


def _queue(
    lane: LaneState, call_id: int, t: float, pos: float, takes: tuple[float, float], now: float
) -> list[Any] | None:
    step, horizon = takes
    ahead = t - now
    if ahead <= horizon and (ahead <= horizon / 4 or lane.line <= now + horizon or 0 < pos <= now + horizon):
        return None
    if pos > 0:
        pos = max(pos, t)
    else:
        pos = max(lane.line, t)
        lane.line = pos + step
    most = MAX_WAIT * (0.5 + call_id % 97 / 194)
    return ["wait", min(most, max(0.02, pos - now - horizon / 2)), "quota", pos]


def _settle_tokens(lane: LaneState, intent: Intended, model: str, real: dict[str, int] | None) -> None:
    for d in lane.dimensions.values():
        booked = intent.booked[d.row.counts]
        taken = real[d.row.counts] if real else 0
        if taken >= 0 and booked > 0:
            d.correct(intent.slot, taken - booked)
    if real is None or real["tokens"] <= 0:
        return
    lane.models[model].learn(intent.guessed["tokens"], real["tokens"])
    for what in ("input", "output"):
        if intent.apart and lane.counts(what) and real[what] >= 0:
            lane.models[f"{model} {what}"].learn(intent.guessed[what], real[what])


def _take_hints(lane: LaneState, hints: list[list[Any]], slot: int, now: float) -> None:
    dropped, free = False, lane.adaptive()
    for (name, *_), limit, remaining, reset_s in hints:
        number = [row.name for row in ROWS].index(name)
        d = lane.dimension(ROWS[number], limit)
        if d is not None:
            d.take_hint(limit, remaining, reset_s, slot, now)
            dropped = d.set_limit(lane.told[number + 1], max(now, lane.frozen)) or dropped
    if dropped or (free and not lane.adaptive()):
        lane.explained(now)


def _forget_hints(lane: LaneState, slot: int, now: float) -> None:
    for number, row in enumerate(ROWS, 1):
        d = lane.dimensions.get(row.name)
        if d is not None and d.hint > 0 and slot > d.hint_at + 60:
            d.hint = 0
            d.set_limit(lane.told[number], max(now, lane.frozen))


def _amounts(text: str) -> dict[str, int]:
    """Tokens, and input and output where they are counted."""
    tokens, *parts = (int(part) for part in text.split("/"))
    given, out = [*parts, 0, 0][:2]
    return {"requests": 1, "tokens": tokens, "input": given, "output": out}


def _guessed(text: str) -> dict[str, int]:
    """All tokens, and those of the output where they are counted."""
    tokens, _, out = text.partition("/")
    return {"requests": 1, "tokens": int(tokens), "input": int(tokens) - int(out or 0), "output": int(out or 0)}
