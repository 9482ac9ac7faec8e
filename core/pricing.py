"""Money: what a call cost, and what it can cost at most. Prices from the ``genai-prices`` package, offline, in USD.

Whose price list counts:

- ``rules`` costs 0; nothing else is ever free.
- A base URL of a maker whose prices are known (OpenAI, OpenRouter, Groq, Together ...): that maker's list.
- Any other address (LM Studio, Ollama, vLLM, a gateway, the simulator): the list of the provider whose API it speaks,
  by the model's name. Gateways charge so, and a simulated run costs what the real one would. A model that is not on
  that list, as local models are, has an unknown price: None, never 0.
- Azure: by the deployment's name, or by ``AZURE_OPENAI_MODEL`` where that names the model behind the deployment.
"""

import functools
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import orjson

from core.clock import SystemClock
from core.errors import InputError
from core.model import ChatRequest, Request, Usage
from core.ports import Clock
from core.settings import FREE, Settings
from core.tokens import DEFAULT_COMPLETION, count, count_messages, is_assumed
from core.values import value

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, TieredPrices

# Hugging Face's router passes Hyperbolic's prices on without a markup; Hyperbolic itself is not on the list.
_LISTS = {"openai": "openai", "azure": "azure", "anthropic": "anthropic", "hyperbolic": "huggingface_hyperbolic"}

# The most output tokens that a model gives. Source: OpenAI's model pages, 2026-11. The first match counts.
_MAX_OUTPUT = (
    (re.compile(r"^gpt-[5-9].*chat"), 16_384),
    (re.compile(r"^gpt-[5-9]"), 128_000),
    (re.compile(r"^o1-mini"), 65_536),
    (re.compile(r"^o\d"), 100_000),
    (re.compile(r"^gpt-4\.1"), 32_768),
    (re.compile(r"^(chatgpt-4o|gpt-4o)"), 16_384),
    (re.compile(r"^gpt-4-(turbo|1106|0125)|^gpt-3\.5|^gpt-35"), 4_096),
    (re.compile(r"^gpt-4"), 8_192),
)

_BYTES_A_TOKEN = 3

_ASSUMED_MARGIN = 1.5
"""Other makers' tokenizers find up to 1.4 times (Anthropic) the tokens that the assumed one finds in a text."""


@value
class Rate:
    """USD a token. A call with more input tokens than a tier's start pays that tier's price for all its tokens."""

    base: float
    tiers: tuple[tuple[int, float], ...] = ()  # ascending

    def at(self, prompt: int) -> float:
        """The price for a call with so many input tokens."""
        if not self.tiers:
            return self.base
        return next((price for start, price in reversed(self.tiers) if prompt > start), self.base)


@dataclass(frozen=True, kw_only=True)
class Rates:
    """What a model charges. None: not charged apart; such tokens cost what all of their direction do."""

    prompt: Rate
    completion: Rate | None = None  # None: the model has no output (embeddings)
    cached: Rate | None = None
    cache_write: Rate | None = None
    reasoning: Rate | None = None
    per_request: float = 0.0

    def cost(self, usage: Usage) -> float | None:
        """Each token once. None: there is output, and no price for it."""
        if self.completion is None and usage.completion:
            return None
        inputs = _split(
            usage.prompt,
            self.prompt,
            (usage.cached, self.cached),
            (usage.cache_write, self.cache_write),
            at=usage.prompt,
        )
        if self.completion is None:
            return self.per_request + inputs
        outputs = _split(usage.completion, self.completion, (usage.reasoning, self.reasoning), at=usage.prompt)
        return self.per_request + inputs + outputs

    def worst(self, prompt: float, completion: int) -> float | None:
        """The most that so many tokens can cost, whatever part of them the provider finds special."""
        if self.completion is None and completion:
            return None
        dearest_in, dearest_out = self._flat or self._dearest(round(prompt))
        return self.per_request + prompt * dearest_in + completion * dearest_out

    @functools.cached_property
    def _flat(self) -> tuple[float, float] | None:
        """The dearest prices, where the size of a call does not change them."""
        rates = (self.prompt, self.cached, self.cache_write, self.completion, self.reasoning)
        return None if any(rate.tiers for rate in rates if rate) else self._dearest(0)

    def _dearest(self, prompt: int) -> tuple[float, float]:
        """USD of the dearest input token and of the dearest output token, in a call with so many input tokens."""
        return (
            max(rate.at(prompt) for rate in (self.prompt, self.cached, self.cache_write) if rate),
            max((rate.at(prompt) for rate in (self.completion, self.reasoning) if rate), default=0.0),
        )


def _split(total: int, rate: Rate, *special: tuple[int, Rate | None], at: int) -> float:
    usd = 0.0
    for tokens, own in special:
        if tokens and own is not None:
            usd += tokens * own.at(at)
            total -= tokens
    return usd + total * rate.at(at) if total > 0 else usd


def price(provider: str, model: str, usage: Usage, *, base_url: str = "", now: float) -> float | None:
    """USD of a call, at the prices of the moment ``now`` (POSIX seconds). None: unknown, never 0."""
    if provider in FREE:
        return 0.0
    rates = _rates(_price_list(provider, base_url), model, usage.tier, _minute(now))
    return None if rates is None else rates.cost(usage)


def _minute(now: float) -> int:
    return int(now // 60)


@functools.lru_cache(maxsize=1024)
def _rates(price_list: str, model: str, tier: str, minute: int) -> Rates | None:
    """A model's prices in a minute: some change by date, some by the hour."""
    info = _model_info(price_list, model)
    if info is None:
        return None
    context = {"service_tier": tier, "speed": tier} if tier else None
    return _from_prices(info.get_prices(datetime.fromtimestamp(minute * 60, UTC), context))


def _from_prices(prices: "ModelPrice") -> Rates | None:
    prompt = _rate(prices.input_mtok)
    if prompt is None:
        return None
    requests = prices.requests_kcount
    return Rates(
        prompt=prompt,
        completion=_rate(prices.output_mtok),
        cached=_rate(prices.cache_read_mtok),
        cache_write=_rate(prices.cache_write_mtok),
        reasoning=_rate(prices.output_reasoning_mtok),
        per_request=float(requests) / 1e3 if isinstance(requests, Decimal) else 0.0,
    )


def _rate(found: "Decimal | TieredPrices | None") -> Rate | None:
    if found is None:
        return None
    if isinstance(found, Decimal):
        return Rate(base=float(found) / 1e6)
    tiers = tuple((tier.start, float(tier.price) / 1e6) for tier in found.tiers)
    return Rate(base=float(found.base) / 1e6, tiers=tiers)


@functools.lru_cache(maxsize=1024)
def _model_info(price_list: str, model: str) -> "ModelInfo | None":
    from genai_prices.data_snapshot import get_snapshot  # noqa: PLC0415  0.4 s to import: only who asks for a price pays

    try:
        return get_snapshot().find_provider_model(model, None, price_list, None)[1]
    except LookupError:
        return None


@functools.cache
def _price_list(provider: str, base_url: str) -> str:
    from genai_prices.data_snapshot import get_snapshot  # noqa: PLC0415  likewise

    if base_url:
        try:
            return get_snapshot().find_provider(None, None, base_url).id
        except LookupError:
            pass
    return _LISTS.get(provider, provider)


class Meter:
    """``core.ports.Meter`` for the providers as they are set up."""

    def __init__(self, settings: Settings, *, clock: Clock | None = None) -> None:
        self._settings = settings
        self._clock = clock or SystemClock()
        self._seller = functools.cache(self._look_up_seller)  # asked three times a call, and settings do not change

    def prompt_tokens(self, request: Request, *, exact: bool = True) -> int:
        """Exact for OpenAI's models, but for the schema's share; an estimate for others. Not ``exact``: by the length.

        Counting takes 0.1 ms a kilobyte.
        """
        if not exact:
            return _by_length(request)
        model = self._seller(request.provider, request.model).model
        if isinstance(request, ChatRequest):
            return count_messages(request.messages, model, request.schema)
        return count(request.text, model)

    def worst_case(self, request: Request, prompt_tokens: int) -> tuple[int, float | None]:
        """The most tokens and USD that the request can cost: up to ``max_tokens``, else to the model's own limit."""
        seller = self._seller(request.provider, request.model)
        completion = _most_output(request, seller, prompt_tokens) if isinstance(request, ChatRequest) else 0
        tokens = prompt_tokens + completion
        if request.provider in FREE:
            return tokens, 0.0
        price_list = _price_list(request.provider, seller.base_url)
        rates = _rates(price_list, seller.model, _tier(request), _minute(self._clock.time()))
        if rates is None:
            return tokens, None
        margin = _ASSUMED_MARGIN if is_assumed(seller.model) else 1.0
        return tokens, rates.worst(prompt_tokens * margin, completion)

    def cost(self, provider: str, model: str, usage: Usage) -> float | None:
        """What a call cost. None: unknown, never 0."""
        seller = self._seller(provider, model)
        return price(provider, seller.model, usage, base_url=seller.base_url, now=self._clock.time())

    def context_tokens(self, provider: str, model: str) -> int | None:
        """How many tokens the model takes, prompt and answer together. None: nobody told."""
        if provider in FREE:
            return None
        seller = self._seller(provider, model)
        info = _model_info(_price_list(provider, seller.base_url), seller.model)
        return None if info is None else info.context_window

    def _look_up_seller(self, provider: str, model: str) -> "_Seller":
        try:
            found = self._settings.provider(provider)
        except InputError:  # rules, or not set up here (any more): the name alone decides
            return _Seller(model=model)
        if provider == "azure" and model == found.deployment and found.model:
            model = found.model
        return _Seller(model=model, base_url=found.base_url or found.endpoint)


@value
class _Seller:
    """Who charges, and what the model is called there."""

    model: str
    base_url: str = ""


def _by_length(request: Request) -> int:
    # Most texts have three to four bytes a token. Framing: some tokens a message, and three for the reply.
    if not isinstance(request, ChatRequest):
        return len(request.text.encode(errors="replace")) // _BYTES_A_TOKEN + 1
    size = sum(len(message.content.encode(errors="replace")) for message in request.messages)
    if request.schema is not None:
        size += len(orjson.dumps(request.schema.json, option=orjson.OPT_NON_STR_KEYS))
    return size // _BYTES_A_TOKEN + 4 * len(request.messages) + 3


def _tier(request: Request) -> str:
    # OpenAI asks for a dearer or cheaper service by `service_tier`, Anthropic by `speed`. `auto` may be served, and
    # billed, as the project's own tier: the reply tells.
    params = request.params if isinstance(request, ChatRequest) else {}
    asked = params.get("service_tier", params.get("speed"))
    return asked if isinstance(asked, str) and asked not in {"auto", "default", "standard"} else ""


def _most_output(request: ChatRequest, seller: _Seller, prompt_tokens: int) -> int:
    params = request.params
    asked = params.get("max_completion_tokens", params.get("max_tokens"))
    most = asked if isinstance(asked, int) else _own_limit(request.provider, seller, prompt_tokens)
    choices = params.get("n")
    return most * (choices if isinstance(choices, int) and choices > 1 else 1)


def _own_limit(provider: str, seller: _Seller, prompt_tokens: int) -> int:
    if provider == "anthropic":
        return DEFAULT_COMPLETION  # what our transport asks for
    info = _model_info(_price_list(provider, seller.base_url), seller.model)
    window = info.context_window if info is not None else None
    most = _listed_most(seller.model)
    if window is None:
        return DEFAULT_COMPLETION if most is None else most
    room = max(0, window - prompt_tokens)
    return room if most is None else min(most, room)


@functools.lru_cache(maxsize=1024)
def _listed_most(model: str) -> int | None:
    return next((most for pattern, most in _MAX_OUTPUT if pattern.search(model)), None)
