"""Hyperbolic: OpenAI's API at an address of its own, for open models."""

from core.providers.openai_compatible import Dialect, OpenAICompatible, under
from core.providers.transport import Transport
from core.settings import ProviderSettings


def hyperbolic(settings: ProviderSettings, transport: Transport, base_url: str) -> OpenAICompatible:
    """Chat, and embeddings where the account has a model for them."""
    dialect = Dialect(structured_output=settings.structured_output)
    return OpenAICompatible(name="hyperbolic", transport=transport, url_of=under(base_url), dialect=dialect)
