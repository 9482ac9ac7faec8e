"""The providers by name. Concretes meet here; the rest of the house knows ``core.ports.Provider``."""

from core.clock import SystemClock
from core.errors import InputError
from core.ports import Clock, Provider
from core.providers.address import check_base_url
from core.providers.anthropic import VERSION, Anthropic
from core.providers.azure import azure
from core.providers.hyperbolic import hyperbolic
from core.providers.local.provider import Local
from core.providers.openai_compatible import openai
from core.providers.rules import Embedder, Rules, Writer
from core.providers.transport import Route, Transport
from core.settings import BASE_URLS, LOCAL, PREFIXES, RULES, ProviderSettings
from core.settings import settings as shared_settings

__all__ = ["Embedder", "Writer", "create"]


def create(
    name: str,
    settings: ProviderSettings | None = None,
    *,
    answer: Writer | None = None,
    embedder: Embedder | None = None,
    clock: Clock | None = None,
) -> Provider:
    """A provider, ready to be used from any one event loop; nothing is connected yet.

    ``answer`` and ``embedder`` serve ``rules``, which needs no settings. Raises InputError for an unknown name, an
    address that calls may not go to, or a key that cannot be sent.
    """
    clock = clock or SystemClock()
    if name == RULES:
        if answer is None:
            raise InputError("provider rules has no writer")
        return Rules(answer=answer, embedder=embedder, clock=clock)
    if name not in PREFIXES:
        raise InputError(f"unknown provider {name!r}", hint=f"known providers: {', '.join([*PREFIXES, RULES])}")
    settings = settings or shared_settings().provider(name)
    if name == LOCAL:
        if settings.model_path is None:
            raise InputError("provider local has no model", hint="set LOCAL_MODEL_PATH=<a directory with a model>")
        return Local(root=settings.model_path.resolve(), clock=clock)
    return _networked(name, settings, clock)


def _networked(name: str, settings: ProviderSettings, clock: Clock) -> Provider:
    allow_private = shared_settings().allow_private_base_urls
    base_url = check_base_url(_address(name, settings), allow_private=allow_private)
    key = _key(name, settings)
    route = Route(
        headers=_headers(name, key),
        secret=key,
        request_timeout=settings.request_timeout,
        connection_timeout=settings.connection_timeout,
        max_connections=settings.max_concurrent_requests,
        trust_env=settings.trust_env,
        allow_private=allow_private,
    )
    transport = Transport(route, clock)
    match name:
        case "anthropic":
            return Anthropic(transport=transport, base_url=base_url)
        case "azure":
            return azure(settings, transport, base_url)
        case "hyperbolic":
            return hyperbolic(settings, transport, base_url)
        case _:
            return openai(settings, transport, base_url)


def _address(name: str, settings: ProviderSettings) -> str:
    if name == "azure":
        return settings.base_url or settings.endpoint
    return settings.base_url or BASE_URLS[name]


def _key(name: str, settings: ProviderSettings) -> str:
    key = "" if settings.api_key is None else settings.api_key.get_secret_value().strip()
    if not key.isascii() or not key.isprintable():
        raise InputError(f"the key of provider {name} holds characters that no header can carry")
    return key


def _headers(name: str, key: str) -> dict[str, str]:
    if name == "anthropic":
        return {"anthropic-version": VERSION, **({"x-api-key": key} if key else {})}
    if not key:
        return {}
    if name == "azure":
        return {"api-key": key}
    organization = shared_settings().openai_organization
    owner = {"OpenAI-Organization": organization} if name == "openai" and organization else {}
    return {"Authorization": f"Bearer {key}", **owner}
