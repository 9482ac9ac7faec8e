"""Azure OpenAI: OpenAI's API behind deployments, an ``api-version`` and a key header of its own."""

import functools
from urllib.parse import quote

from yarl import URL

from core.providers.openai_compatible import Dialect, OpenAICompatible, UrlOf, under
from core.providers.transport import Transport
from core.settings import ProviderSettings


def azure(settings: ProviderSettings, transport: Transport, base_url: str) -> OpenAICompatible:
    """Requests name a deployment as their model, or the model that ``AZURE_OPENAI_MODEL`` says is behind it.

    A base URL that ends in ``/v1`` is the newer API without versions; there a request's model is always the deployment.
    """
    dialect = Dialect(structured_output=settings.structured_output, renames_max_tokens=True)
    url_of = under(base_url) if base_url.endswith("/v1") else _url_of(settings, _openai_root(base_url))
    return OpenAICompatible(name="azure", transport=transport, url_of=url_of, dialect=dialect)


def _openai_root(base_url: str) -> str:
    # AZURE_OPENAI_ENDPOINT is the resource, as the portal shows it; a base URL may already hold the path.
    return base_url if base_url.endswith("/openai") else f"{base_url}/openai"


def _url_of(settings: ProviderSettings, root: str) -> UrlOf:
    @functools.cache
    def url_of(model: str, path: str) -> URL:
        deployment = settings.deployment if settings.deployment and model == settings.model else model
        query = f"api-version={quote(settings.api_version, safe='')}"
        return URL(f"{root}/deployments/{quote(deployment, safe='')}/{path}?{query}", encoded=True)

    return url_of
