"""How many tokens a completion will take, learned per template and model from what came back."""

from core.model import ChatRequest, Request, Usage

_FIRST_GUESS = 256
_WEIGHT = 0.05  # of the newest observation, once there are twenty


class Estimator:
    """A running mean of completion tokens per (template version, model). The gate corrects what bias is left."""

    def __init__(self) -> None:
        self._means: dict[tuple[str, str], tuple[int, float]] = {}

    def completion(self, request: Request) -> int:
        """Expected completion tokens; 0 for an embedding; never above the request's own cap."""
        if not isinstance(request, ChatRequest):
            return 0
        _, mean = self._means.get((request.version, request.model), (0, float(_FIRST_GUESS)))
        cap = request.params.get("max_completion_tokens", request.params.get("max_tokens"))
        return round(mean) if not isinstance(cap, int) else min(round(mean), cap)

    def learn(self, request: Request, usage: Usage) -> None:
        """Takes in what a request's answer really used."""
        if not isinstance(request, ChatRequest):
            return
        key = (request.version, request.model)
        count, mean = self._means.get(key, (0, 0.0))
        weight = max(_WEIGHT, 1 / (count + 1))
        self._means[key] = (count + 1, mean + weight * (usage.completion - mean))
