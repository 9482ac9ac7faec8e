"""Which path is which: OpenAI's, Azure's and Anthropic's, by exact match first."""

import re
from dataclasses import dataclass
from enum import StrEnum

from scripts.simulator.dialects import ANTHROPIC, AZURE, OPENAI, Dialect


class Endpoint(StrEnum):
    """What a path asks for."""

    CHAT = "chat"
    EMBEDDINGS = "embeddings"
    MESSAGES = "messages"
    MODELS = "models"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """``name``: the Azure deployment, or the model of ``/v1/models/{id}``."""

    endpoint: Endpoint
    dialect: Dialect
    name: str = ""
    needs_version: bool = False  # Azure's ?api-version=
    redirected: bool = False  # the target of the redirect fault

    @property
    def method(self) -> str:
        return "GET" if self.endpoint is Endpoint.MODELS else "POST"


REDIRECTED = "/redirected"

_EXACT = {
    "/v1/chat/completions": Route(endpoint=Endpoint.CHAT, dialect=OPENAI),
    "/v1/embeddings": Route(endpoint=Endpoint.EMBEDDINGS, dialect=OPENAI),
    "/v1/messages": Route(endpoint=Endpoint.MESSAGES, dialect=ANTHROPIC),
    "/v1/models": Route(endpoint=Endpoint.MODELS, dialect=OPENAI),
    "/openai/v1/chat/completions": Route(endpoint=Endpoint.CHAT, dialect=AZURE),
    "/openai/v1/embeddings": Route(endpoint=Endpoint.EMBEDDINGS, dialect=AZURE),
    "/openai/v1/models": Route(endpoint=Endpoint.MODELS, dialect=AZURE),
    "/openai/models": Route(endpoint=Endpoint.MODELS, dialect=AZURE, needs_version=True),
}
_DEPLOYMENT = re.compile(r"/openai/deployments/([^/]+)/(chat/completions|embeddings)")
_MODEL = re.compile(r"(/openai)?(?:/v1)?/models/(.+)")


def find_route(path: str) -> Route | None:
    """The route of a decoded path; None: nothing is served there."""
    if path.startswith(REDIRECTED):
        found = find_route(path.removeprefix(REDIRECTED))
        return found and Route(endpoint=found.endpoint, dialect=found.dialect, name=found.name, redirected=True)
    return _EXACT.get(path) or _pattern(path)


def _pattern(path: str) -> Route | None:
    if match := _DEPLOYMENT.fullmatch(path):
        endpoint = Endpoint.EMBEDDINGS if match[2] == "embeddings" else Endpoint.CHAT
        return Route(endpoint=endpoint, dialect=AZURE, name=match[1], needs_version=True)
    if match := _MODEL.fullmatch(path):
        return Route(endpoint=Endpoint.MODELS, dialect=AZURE if match[1] else OPENAI, name=match[2])
    return None
