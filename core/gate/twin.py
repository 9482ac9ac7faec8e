"""The twin of the Lua files: the same operations on the same state, in Python. A test runs both side by side.

Comments that explain a rule are in the Lua file of the same name.
"""

import math
from collections.abc import Callable
from typing import Any

from core.gate.breaker import Breaker
from core.gate.budget import GRACE_S, Budgets, Era
from core.gate.provider import Intended, ProviderState
from core.gate.schedule import HORIZON

MAX_WAIT = 2.0


class Twin:
    """The state and its operations. ``run`` is what the script does."""

    def __init__(self) -> None:
        self.era: Era | None = None
        self.providers: dict[str, ProviderState] = {}
        self.budgets = Budgets()
        self._limits: Callable[[str], list[int]] = lambda _: [0, 0, 0]
        self._ops: dict[str, Callable[..., Any]] = {
            "admit": self._admit,
            "settle": self._settle,
            "restore": self._restore,
            "forget": self._forget,
            "status": self._status,
            "set_spent": self._set_spent,
            "ping": lambda **_: 1,
            "now": lambda now: now,
        }

    def run(self, op: list[Any], seen: int, limits: Callable[[str], list[int]], now: float) -> Any:
        """Runs one operation at a time."""
        self._limits = limits
        self._read_era(seen, now)
        return self._ops[op[0]](*op[1:], now=now)

    def intents(self, provider: str) -> list[str]:
        """The provider's intents as texts."""
        found = self.providers.get(provider)
        return [] if found is None else [intent.text() for intent in found.intents.values()]

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

    def _provider(self, name: str, now: float) -> ProviderState:
        era = self._now_era
        p = self.providers.get(name)
        if p is None:
            p = self.providers[name] = ProviderState(name=name, breaker=Breaker.new(now), eased=now)
        p.told = self._limits(name)
        p.recover(now)
        for d, told in zip(p.dimensions, p.told, strict=False):
            d.ease = p.ease
            d.set_limit(told, now)
            if p.born != era.born and era.lost > 0:
                d.tat = max(d.tat, era.lost + HORIZON + d.burst)
        p.born = era.born
        return p

    def _restore(self, provider: str, call_id: int, sweep: int, worst: int, text: str, *, now: float) -> int:
        p = self._provider(provider, now)
        if call_id not in p.intents:
            slot, tokens, known, est, ask = text.split(" ", 4)
            p.intents[call_id] = Intended(now, int(slot), int(tokens), int(known), int(est), ask)
            if worst >= 0:
                self.budgets.reserve(sweep, worst)
        return 1

    def _forget(self, provider: str, call_id: int, sweep: int, *, now: float) -> int:
        p = self._provider(provider, now)
        intent = p.intents.pop(call_id, None)
        if intent is not None and intent.worst >= 0:
            self.budgets.spend(sweep, intent.worst, intent.worst, self._now_era)
        if p.breaker.probe == call_id:
            p.breaker.probe = 0
        return 1

    def _status(self, provider: str, *, now: float) -> list[Any]:
        p = self._provider(provider, now)
        state = "half_open" if p.breaker.state == "open" and now >= p.breaker.till else p.breaker.state
        requests, tokens = (d.used(now, 0) for d in p.dimensions)
        return [state, requests, tokens, len(p.intents), max(0.0, p.frozen - now)]

    def _set_spent(self, sweep: int, spent: int, *, now: float) -> int:
        del now
        self.budgets.set_spent(sweep, spent, self._now_era)
        return 1

    # -- admit.lua

    def _admit(self, *op: Any, now: float) -> list[Any]:
        provider, call_id, model, est, sweep, worst, cap, pos, ask = op
        p = self._provider(provider, now)
        retry, probe = p.breaker.ask(now)
        counts = worst >= 0 and cap >= 0
        refused = self._refusal(p, call_id, est, retry) or (
            self.budgets.check(sweep, worst, cap, self._now_era, now) if counts else None
        )
        if refused is not None:
            return refused
        tokens = p.models[model].expected(est)
        if p.dimensions[1].limit > 0:
            tokens = min(tokens, p.dimensions[1].limit)
        costs = (1, tokens)
        booked = list(zip(p.dimensions, costs, strict=True))
        t = max(now, p.frozen, *(d.earliest(cost, now) for d, cost in booked))
        step = max([0.0, *(d.seconds(cost) for d, cost in booked if d.limit > 0)])
        waiting = _queue(p, call_id, t, pos, step, now)
        if waiting is not None:
            return waiting
        for d, cost in booked:
            d.book(cost, t)
        if probe:
            p.breaker.lease(call_id, now)
        slot = math.floor(t)
        if call_id not in p.intents and counts:
            self.budgets.reserve(sweep, worst)
        p.intents[call_id] = Intended(now, slot, tokens, worst if counts else -1, est, ask)
        return ["ticket", t - now, slot, tokens, p.breaker.epoch, probe, p.pushed]

    def _refusal(self, p: ProviderState, call_id: int, est: int, retry: float) -> list[Any] | None:
        if retry > 0:
            return ["refused", "breaker_open", f"provider {p.name} keeps failing", retry]
        limit = p.dimensions[1].limit
        if 0 < limit < est:
            return ["refused", "too_large", f"{est} tokens, but {p.name} allows {limit} a minute", -1]
        if not p.has_room():
            return ["wait", 0.05 + call_id % 97 / 500, "calls in flight", 0]
        return None

    # -- settle.lua

    def _settle(self, *op: Any, now: float) -> int:
        provider, call_id, model, sweep, epoch, era, health, sent, real, cost, worst, freeze, hints = op
        p = self._provider(provider, now)
        intent = p.intents.pop(call_id, None)
        if intent is None and era == self._now_era.born:
            return 0
        worst, reserved = (worst, 0) if intent is None else (intent.worst, intent.worst)
        if worst >= 0:
            self.budgets.spend(sweep, (cost if cost >= 0 else worst) if sent else 0, reserved, self._now_era)
        if intent is not None:
            _settle_tokens(p, intent, model, real if sent else None)
        p.breaker.tell(call_id, epoch, health, now)
        if intent is not None:
            _take_hints(p, hints, intent.slot, now)
        if freeze >= 0:
            p.throttled(now)
            p.freeze(freeze, now)
        elif health == "good":
            p.passed += 1
            p.grow()
        return 1


def _queue(p: ProviderState, call_id: int, t: float, pos: float, step: float, now: float) -> list[Any] | None:
    ahead = t - now
    if ahead <= HORIZON and (ahead <= HORIZON / 4 or p.line <= now + HORIZON or 0 < pos <= now + HORIZON):
        return None
    if pos > 0:
        pos = max(pos, t)
    else:
        pos = max(p.line, t)
        p.line = pos + step
    most = MAX_WAIT * (0.5 + call_id % 97 / 194)
    return ["wait", min(most, max(0.02, pos - now - HORIZON / 2)), "quota", pos]


def _settle_tokens(p: ProviderState, intent: Intended, model: str, real: int | None) -> None:
    requests, tokens = p.dimensions
    if real is None:
        requests.correct(intent.slot, -1)
        tokens.correct(intent.slot, -intent.tokens)
    elif real >= 0:
        tokens.correct(intent.slot, real - intent.tokens)
        if real > 0:
            p.models[model].learn(intent.est, real)


def _take_hints(p: ProviderState, hints: list[list[Any]], slot: int, now: float) -> None:
    dropped = False
    for number, limit, remaining, reset_s in hints:
        d = p.dimensions[number - 1]
        d.take_hint(limit, remaining, reset_s, slot, now)
        dropped = d.set_limit(p.told[number - 1], now) or dropped
    if dropped:
        p.hits, p.cool = 0, now + 5
