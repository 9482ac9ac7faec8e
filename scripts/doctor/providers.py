"""The providers: does each that is set up answer, and take our key. Costs nothing: only the list of models is asked."""

import asyncio
import socket
from collections.abc import Iterator, Mapping

import httpx

from core.errors import InputError
from core.providers.address import GuardedResolver, check_base_url
from core.settings import BASE_URLS, LOCAL, PREFIXES, ProviderSettings, Settings, provider_settings
from scripts.doctor.check import Check, State, failed, passed

_ANTHROPIC_VERSION = "2023-06-01"


def check_providers(loaded: Settings) -> Iterator[Check]:
    """One check a provider that has settings of its own."""
    for name in PREFIXES:
        try:
            settings = provider_settings(name)
            if not settings.enabled:
                yield Check(name=name, state=State.OFF, detail="disabled")
                continue
            if name == LOCAL:
                yield _local(loaded, settings)
                continue
            if settings.api_key is None and settings.base_url == BASE_URLS[name] and not settings.endpoint:
                yield Check(name=name, state=State.OFF, detail=f"no {PREFIXES[name]}API_KEY")
                continue
            loaded.provider(name)
            yield _probe(name, settings, allow_private=loaded.allow_private_base_urls)
        except InputError as exc:
            yield failed(name, exc)


def _local(loaded: Settings, settings: ProviderSettings) -> Check:
    """Raises InputError."""
    if settings.model_path is None:
        return Check(name=LOCAL, state=State.OFF, detail="no LOCAL_MODEL_PATH")
    loaded.provider(LOCAL)
    return passed(LOCAL, f"models of {settings.model_path}")


def require_provider(loaded: Settings, name: str) -> None:
    """Raises InputError unless the provider answers and takes our key."""
    settings = loaded.provider(name)
    if name == LOCAL:
        return
    found = _probe(name, settings, allow_private=loaded.allow_private_base_urls)
    if found.state is State.FAILED:
        raise InputError(f"provider {name}: {found.detail}", hint=found.fix)


def _probe(name: str, settings: ProviderSettings, *, allow_private: bool) -> Check:
    prefix = PREFIXES[name]
    base = check_base_url(settings.base_url or settings.endpoint, allow_private=allow_private)
    url = f"{base.removesuffix('/openai')}/openai/models" if name == "azure" else f"{base}/models"
    query = {"api-version": settings.api_version} if name == "azure" else {}
    try:
        _judge_resolution(base, allow_private=allow_private or settings.trust_env)
        answer = httpx.get(
            url,
            params=query,
            headers=_headers(name, settings),
            timeout=settings.connection_timeout,
            trust_env=settings.trust_env,
        )
    except (httpx.HTTPError, OSError, UnicodeError) as exc:
        # Not the error's text: a header that cannot be sent is quoted in it, and that is the key.
        return Check(
            name=name,
            state=State.FAILED,
            detail=f"{base} does not answer ({type(exc).__name__})",
            fix=f"is it running? correct {prefix}BASE_URL, or set {prefix}ENABLED=false",
        )
    return _judge(name, base, answer, settings.model)


def _judge_resolution(base: str, *, allow_private: bool) -> None:
    """The key goes nowhere that a call may not go. Raises OSError for a name that leads into a closed network."""

    async def resolve() -> None:
        await GuardedResolver(allow_private=allow_private).resolve(httpx.URL(base).host, 0, socket.AF_UNSPEC)

    asyncio.run(resolve())


def _judge(name: str, base: str, answer: httpx.Response, model: str) -> Check:
    prefix = PREFIXES[name]
    if answer.status_code in {401, 403}:
        return Check(name=name, state=State.FAILED, detail=f"{base} refuses the key", fix=f"correct {prefix}API_KEY")
    if answer.status_code >= 500:
        return Check(
            name=name, state=State.FAILED, detail=f"{base} answers {answer.status_code}", fix="try again later"
        )
    models = _models(answer)
    if models is None:
        return Check(name=name, state=State.WARNING, detail=f"{base} answers, but lists no models")
    if model and name != "azure" and model not in models:
        return Check(
            name=name,
            state=State.WARNING,
            detail=f"{base} does not list the model {model}",
            fix=f"correct {prefix}MODEL; it has {', '.join(sorted(models)[:3])} ...",
        )
    return passed(name, f"{base}, {len(models)} models")


def _headers(name: str, settings: ProviderSettings) -> Mapping[str, str]:
    key = settings.api_key.get_secret_value().strip() if settings.api_key else ""
    match name:
        case "anthropic":
            return {"x-api-key": key, "anthropic-version": _ANTHROPIC_VERSION}
        case "azure":
            return {"api-key": key}
        case _:
            return {"Authorization": f"Bearer {key}"} if key else {}


def _models(answer: httpx.Response) -> set[str] | None:
    try:
        return {str(entry["id"]) for entry in answer.json()["data"]}
    except (ValueError, KeyError, TypeError):
        return None
