"""Which provider and model fits a request, and whom to prefer among those that do.

What they can do is known beforehand (capabilities); how well they do it is measured: success rates come from the rows
of the last hours, of all workers, and are asked again every few seconds.
"""

import logging
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from core.clock import SystemClock
from core.errors import Unavailable
from core.model import ChatRequest, JsonObject, Modality, Request
from core.ports import Clock
from core.settings import LOCAL, PREFIXES, RULES, ProviderSettings, provider_settings

log = logging.getLogger(__name__)

_FRESH_S = 15.0  # rates that old are good enough
_PRIOR = (9, 10)  # an unknown one counts as 9 good calls of 10: a few failures tell little
_HEALTHY = 0.5
_STEP = 0.05  # rates that differ by less are alike
_ANSWER = 256  # tokens, where the request does not tell how long its answer may be

_EMBEDS = re.compile(r"embed|\bbge-|\be5-|\bgte-|minilm", re.IGNORECASE)  # how models for vectors are called
_STYLES = {"anthropic": frozenset({"google", "numpy"})}
_COMMON_STYLES = frozenset({"google"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A provider and one of its models."""

    provider: str
    model: str

    def __str__(self) -> str:
        return f"{self.provider}/{self.model}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a place can do. ``context_tokens`` None: nobody told.

    ``schema``: it holds an answer to a JSON schema; others are told the schema in the prompt, and obey less often.
    """

    place: Place
    modalities: frozenset[Modality]
    context_tokens: int | None = None
    schema: bool = True
    styles: frozenset[str] = _COMMON_STYLES  # of docstrings, that its models are known to write well


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a request asks of its place. ``tokens``: prompt and answer; 0: not known yet."""

    modality: Modality
    tokens: int = 0
    schema: bool = False
    kind: str = ""
    style: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Recent calls, and those of them whose answer was taken."""

    calls: int = 0
    good: int = 0

    def __add__(self, other: "Rate") -> "Rate":
        return Rate(calls=self.calls + other.calls, good=self.good + other.good)

    @property
    def expected(self) -> float:
        """The share of good calls to reckon with, also where few have been seen."""
        good, calls = _PRIOR
        return (self.good + good) / (self.calls + calls)


Rates: TypeAlias = Mapping[tuple[str, str, str], Rate]
"""By provider, model and kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """``ways``: the places that fit, the best first. ``unfit``: the others, and why."""

    ways: tuple[Place, ...]
    unfit: Mapping[Place, str]


def capabilities(place: Place, context_tokens: int | None) -> Capabilities:
    """What a place can do, by its provider's settings and its model's name."""
    loaded = provider_settings(place.provider) if place.provider in PREFIXES else ProviderSettings.model_construct()
    embeds = place.provider == LOCAL or place.model == loaded.embedding_model or bool(_EMBEDS.search(place.model))
    return Capabilities(
        place=place,
        modalities=frozenset({Modality.EMBEDDING if embeds else Modality.CHAT}),
        context_tokens=context_tokens,
        schema=loaded.structured_output != "prompt",
        styles=_STYLES.get(place.provider, _COMMON_STYLES),
    )


def needs_of(request: Request, prompt_tokens: int, kind: str, options: JsonObject) -> Needs:
    """What a rendered request asks for."""
    if not isinstance(request, ChatRequest):
        return Needs(modality=Modality.EMBEDDING, tokens=prompt_tokens, kind=kind)
    asked = request.params.get("max_completion_tokens", request.params.get("max_tokens"))
    style = options.get("style")
    return Needs(
        modality=Modality.CHAT,
        tokens=prompt_tokens + (asked if isinstance(asked, int) else _ANSWER),
        schema=request.schema is not None,
        kind=kind,
        style=style if isinstance(style, str) else "",
    )


def misfit(able: Capabilities, needs: Needs) -> str:
    """Why a place can't be asked; empty: it can."""
    if needs.modality not in able.modalities:
        return f"it does no {needs.modality.value}"
    if able.context_tokens is not None and needs.tokens > able.context_tokens:
        return f"its context holds {able.context_tokens} tokens, {needs.tokens} are needed"
    return ""


def rate(rates: Rates, place: Place, kind: str = "") -> Rate:
    """How a place has done: with this kind, where it has done any; else with all."""
    of_place = {key[2]: found for key, found in rates.items() if key[:2] == (place.provider, place.model)}
    return of_place.get(kind) or sum(of_place.values(), Rate())


def order(candidates: Iterable[Capabilities], needs: Needs, rates: Rates) -> Routing:
    """The places that fit: those that mostly answer, then by preference, success and context. Else as they came."""
    unfit: dict[Place, str] = {}
    fit: list[Capabilities] = []
    for able in candidates:
        if why := misfit(able, needs):
            unfit[able.place] = why
        else:
            fit.append(able)
    fit.sort(key=lambda able: _rank(able, needs, rates), reverse=True)
    return Routing(ways=tuple(able.place for able in fit), unfit=unfit)


def _rank(able: Capabilities, needs: Needs, rates: Rates) -> tuple[bool, bool, bool, bool, float, float]:
    expected = rate(rates, able.place, needs.kind).expected
    return (
        able.place.provider != RULES,  # no model: when nobody else is left
        expected >= _HEALTHY,
        able.schema or not needs.schema,
        needs.style in able.styles,
        round(expected / _STEP),
        able.context_tokens or 0,
    )


def _nameplate(place: Place) -> Capabilities:
    return capabilities(place, None)


class Router:
    """A process's: what it can ask, with what all processes have seen."""

    def __init__(
        self,
        *,
        capabilities: Callable[[Place], Capabilities] | None = None,
        rates: Callable[[], Awaitable[Rates]] | None = None,
        clock: Clock | None = None,
    ) -> None:
        """``rates`` may raise Unavailable: then the last known ones count. Without them, all are taken to be alike."""
        self._capabilities = capabilities or _nameplate
        self._ask = rates
        self._clock = clock or SystemClock()
        self._rates: Rates = {}
        self._until = 0.0

    async def order(self, places: Sequence[Place], needs: Needs) -> Routing:
        """The places that fit, the best first."""
        return order([self._capabilities(place) for place in places], needs, await self._current())

    async def _current(self) -> Rates:
        if self._ask is not None and self._clock.monotonic() >= self._until:
            self._until = self._clock.monotonic() + _FRESH_S  # before the wait: others go on with what is known
            try:
                self._rates = await self._ask()
            except Unavailable as exc:
                log.warning("success rates not read, the last known count", extra={"error": str(exc)})
        return self._rates
