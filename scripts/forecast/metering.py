"""Counting tokens once, however many runs ask: it would take most of a forecast's time."""

from core.model import ChatRequest, Request, Usage
from core.ports import Meter


class Remembering:
    """``core.ports.Meter`` over another one."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._counted: dict[tuple[str, int, bool], int] = {}

    def prompt_tokens(self, request: Request, *, exact: bool = True) -> int:
        key = (request.model, _content(request), exact)
        if (found := self._counted.get(key)) is None:
            found = self._counted[key] = self._meter.prompt_tokens(request, exact=exact)
        return found

    def worst_case(self, request: Request, prompt_tokens: int) -> tuple[int, float | None]:
        return self._meter.worst_case(request, prompt_tokens)

    def cost(self, provider: str, model: str, usage: Usage) -> float | None:
        return self._meter.cost(provider, model, usage)


def _content(request: Request) -> int:
    # A hash, not the texts: thousands of prompts may be long.
    if isinstance(request, ChatRequest):
        return hash((request.messages, None if request.schema is None else request.schema.name))
    return hash(request.text)
