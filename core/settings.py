"""Settings from the environment and the project's ``.env``. Nothing else reads the environment.

``.env.example`` lists every name; a test holds the two together.
"""

import functools
import hashlib
import importlib.util
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from core.errors import InputError
from core.ports import Limits

M = TypeVar("M", bound=BaseSettings)

PREFIXES = {
    "openai": "OPENAI_",
    "azure": "AZURE_OPENAI_",
    "hyperbolic": "HYPERBOLIC_",
    "anthropic": "ANTHROPIC_",
    "local": "LOCAL_",
}
"""Provider name -> prefix of its settings. ``rules`` needs none."""

RULES = "rules"
"""The offline provider: the kinds' own rule-based writers."""

LOCAL = "local"
"""The user's own embedding models, run in the worker itself."""

LOCAL_EXTRA = "pip install llmsweep[local] (in a clone: make local)"

FREE = frozenset({RULES, LOCAL})
"""Providers that nobody is paid for."""

BASE_URLS = {
    "openai": "https://api.openai.com/v1",
    "azure": "",
    "hyperbolic": "https://api.hyperbolic.xyz/v1",
    "anthropic": "https://api.anthropic.com/v1",
    LOCAL: "",
}
"""Where a provider is unless ``BASE_URL`` says otherwise; Azure has one for each customer, a local model none."""

PROJECT_MARKS = ("pyproject.toml", ".git")
"""What the top folder of a project holds."""

_MODELS = {
    "openai": ("gpt-4o-mini", "text-embedding-3-small"),
    "azure": ("", ""),  # a deployment: nobody can guess it
    "hyperbolic": ("meta-llama/Llama-3.3-70B-Instruct", ""),
    "anthropic": ("claude-sonnet-4-5", ""),
    LOCAL: ("", ""),
    RULES: ("rules", ""),
}


def _from_json(value: Any) -> Any:
    try:
        return json.loads(value) if isinstance(value, str) else value
    except json.JSONDecodeError as exc:
        raise ValueError(f"is no JSON: {exc}") from exc


class ModelLimits(BaseModel):
    """The limits of a model that does not share its provider's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rpm: int | None = Field(default=None, ge=1)
    tpm: int | None = Field(default=None, ge=1)
    itpm: int | None = Field(default=None, ge=1)
    otpm: int | None = Field(default=None, ge=1)
    rpd: int | None = Field(default=None, ge=1)
    tpd: int | None = Field(default=None, ge=1)
    in_flight: int | None = Field(default=None, ge=1)


class ProviderSettings(BaseSettings):
    """One provider's settings. Times in seconds."""

    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True)

    api_key: SecretStr | None = None
    base_url: str = ""
    model: str = ""
    embedding_model: str = ""
    enabled: bool = True
    request_timeout: float = Field(default=60, gt=0)
    connection_timeout: float = Field(default=10, gt=0)
    max_retry_attempts: int = Field(default=3, ge=1, le=100)
    retry_multiplier: float = Field(default=2.0, ge=1)
    retry_min_wait: float = Field(default=4, ge=0)
    retry_max_wait: float = Field(default=30, ge=0)
    max_concurrent_requests: int = Field(default=256, ge=1)
    rate_limit_rpm: int | None = Field(default=None, ge=1)
    rate_limit_tpm: int | None = Field(default=None, ge=1)
    rate_limit_itpm: int | None = Field(default=None, ge=1)  # input tokens a minute
    rate_limit_otpm: int | None = Field(default=None, ge=1)  # output tokens a minute
    rate_limit_rpd: int | None = Field(default=None, ge=1)  # requests a day
    rate_limit_tpd: int | None = Field(default=None, ge=1)  # tokens a day
    rate_limit_in_flight: int | None = Field(default=None, ge=1)  # calls at once, of all workers together
    model_limits: Annotated[dict[str, ModelLimits], NoDecode, BeforeValidator(_from_json)] = Field(
        default_factory=dict
    )  # JSON: {"gpt-4o-mini": {"rpm": 5000}}
    cache_enabled: bool = True  # off: a sweep takes no answers that other sweeps have paid for
    cache_ttl: float = Field(default=3600, gt=0)
    cache_max_size: int | None = Field(default=None, ge=1)  # answers; None: the cache server's memory decides
    metrics_enabled: bool = True  # whether METRICS_PORT tells of this provider
    structured_output: Literal["json_schema", "json_object", "prompt"] = "json_schema"  # what the server can enforce
    trust_env: bool = False  # whether HTTP_PROXY and its kin apply to the calls
    # Azure only
    endpoint: str = ""
    deployment: str = ""
    api_version: str = "2024-10-21"

    # local only
    model_path: Path | None = None

    def limits(self) -> Limits:
        """What the account allows, as far as the settings tell."""
        return Limits(
            rpm=self.rate_limit_rpm,
            tpm=self.rate_limit_tpm,
            itpm=self.rate_limit_itpm,
            otpm=self.rate_limit_otpm,
            rpd=self.rate_limit_rpd,
            tpd=self.rate_limit_tpd,
            in_flight=self.rate_limit_in_flight,
            models={name: Limits(**own.model_dump()) for name, own in self.model_limits.items()},
        )


def _upper(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


class Settings(BaseSettings):
    """What all processes share. Unset URLs mean the embedded servers (``scripts.embedded`` fills them in)."""

    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True)

    database_url: str = ""
    redis_url: str = ""  # broker and gate: noeviction, AOF
    cache_url: str = ""  # unset: REDIS_URL
    broker_url: str = ""  # unset: REDIS_URL; amqp:// for RabbitMQ
    legacy_database_url: str = ""
    sweep_dir: Path | None = None  # the embedded servers' data; unset: the nearest .sweep/
    heartbeat_file: Path | None = None  # touched by a worker that lives, for health checks
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(_upper)] = "INFO"
    worker_slots: int = Field(default=8, ge=1, le=64)  # chunks that one worker process has in work
    chunk_lease_s: float = Field(default=10, ge=2)  # a dead worker's chunks are taken over after so long
    metrics_port: int | None = Field(default=None, ge=0, le=65535)  # a worker's Prometheus metrics; 0: a free port
    openai_organization: str = ""
    allow_private_base_urls: bool = False  # base URLs on private networks (loopback is always allowed)
    tiktoken_cache_dir: Path | None = None  # unset: llmsweep/tiktoken under the user's cache directory
    xdg_cache_home: Path | None = None

    def broker(self) -> str:
        """The Celery broker's URL."""
        return self.broker_url or self.redis_url

    def cache(self) -> str:
        """The cache server's URL."""
        return self.cache_url or self.redis_url

    def provider(self, name: str) -> ProviderSettings:
        """A provider's settings, checked. Raises InputError for an unknown, disabled or incomplete one."""
        loaded = provider_settings(name)
        prefix = PREFIXES[name]
        if not loaded.enabled:
            raise InputError(f"provider {name} is disabled", hint=f"set {prefix}ENABLED=true")
        if name == LOCAL:
            _check_local(loaded)
            return loaded
        if name == "azure" and not (loaded.endpoint or loaded.base_url):
            raise InputError("provider azure has no endpoint", hint="set AZURE_OPENAI_ENDPOINT=https://...")
        if loaded.api_key is None and not _is_own_server(name, loaded.base_url):
            raise InputError(
                f"provider {name} has no key",
                hint=f"set {prefix}API_KEY, or {prefix}BASE_URL for a server of your own (LM Studio, Ollama, vLLM)",
            )
        return loaded


def provider_settings(name: str) -> ProviderSettings:
    """A provider's settings as they are. Raises InputError for an unknown name or a bad value."""
    if name not in PREFIXES:
        known = ", ".join([*PREFIXES, RULES])
        raise InputError(f"unknown provider {name!r}", hint=f"known providers: {known}")
    return _load_provider(name)


def default_model(name: str, *, embedding: bool = False) -> str:
    """What a sweep asks for when it names no model. Raises InputError where there is no sensible default."""
    loaded = ProviderSettings.model_construct() if name == RULES else provider_settings(name)
    chosen = loaded.embedding_model if embedding else loaded.model or loaded.deployment
    if name == LOCAL and embedding and loaded.model_path is not None:
        chosen = chosen or loaded.model_path.resolve().name
    chosen = chosen or _MODELS[name][embedding]
    if not chosen:
        what = "EMBEDDING_MODEL" if embedding else "MODEL"
        raise InputError(f"which model of {name}?", hint=f"give --model, or set {PREFIXES.get(name, '')}{what}")
    return chosen


@functools.cache
def _load_provider(name: str) -> ProviderSettings:
    prefix = PREFIXES[name]
    loaded = _read(ProviderSettings, prefix)
    base_url = loaded.base_url or BASE_URLS[name]
    parts = urlsplit(base_url)
    if base_url and (parts.scheme not in {"http", "https"} or not parts.hostname):
        raise InputError(
            f"{prefix}BASE_URL is not a web address: {base_url!r}", hint="for example http://127.0.0.1:1234/v1"
        )
    return loaded.model_copy(update={"base_url": base_url.rstrip("/")})


@functools.cache
def settings() -> Settings:
    """The process's settings, read once. Raises InputError for a bad value."""
    return _read(Settings, "")


def forget() -> None:
    """Reads the environment anew at the next call (tests, and the demo after it has set its own)."""
    settings.cache_clear()
    _load_provider.cache_clear()


def use_tiktoken_cache(directory: Path) -> None:
    """Points tiktoken, which reads the environment itself, at rank files that are there: it never downloads."""
    os.environ["TIKTOKEN_CACHE_DIR"] = str(directory)  # noqa: TID251  this module is the one place for it


def _read(model: type[M], prefix: str) -> M:
    file = _env_file()
    try:
        return model(_env_prefix=prefix, _env_file=file)
    except ValidationError as exc:
        raise _bad_setting(exc, prefix) from exc
    except UnicodeDecodeError as exc:
        raise InputError(f"{file} is not text", hint="see .env.example") from exc
    except OSError as exc:
        raise InputError(f"{file} cannot be read: {exc.strerror}") from exc


def _env_file() -> Path | None:
    """The nearest ``.env`` from the working directory upwards, but not beyond the project."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if os.access(folder / ".env", os.F_OK):
            return folder / ".env"
        if any(os.access(folder / mark, os.F_OK) for mark in PROJECT_MARKS):
            return None
    return None


def _check_local(loaded: ProviderSettings) -> None:
    path = loaded.model_path
    if path is None:
        raise InputError("provider local has no model", hint="set LOCAL_MODEL_PATH=<a directory with a model>")
    if not path.is_dir():
        raise InputError(f"LOCAL_MODEL_PATH is no directory: {path}")
    light = all(importlib.util.find_spec(name) for name in ("onnxruntime", "tokenizers"))
    if not light and importlib.util.find_spec("sentence_transformers") is None:
        raise InputError("provider local needs packages that are not installed", hint=LOCAL_EXTRA)


def _is_own_server(name: str, base_url: str) -> bool:
    return base_url != BASE_URLS[name] and name != "azure"


def _bad_setting(exc: ValidationError, prefix: str) -> InputError:
    first = exc.errors(include_input=False, include_url=False)[0]
    name = prefix + "_".join(str(part) for part in first["loc"]).upper()
    return InputError(f"setting {name}: {first['msg']}", hint="see .env.example")


def cache_scope(name: str, loaded: ProviderSettings) -> str:
    """Empty for the provider itself; the host where another server answers: its `gpt-4o` is not OpenAI's.

    Without the port: a local server that comes back on another one is the same. For local models, what is in their
    directory: other weights under the same name are another model.
    """
    if name == LOCAL:
        return _print_of(loaded.model_path)
    official = not loaded.base_url or loaded.base_url == BASE_URLS[name]
    return "" if official else urlsplit(loaded.base_url).hostname or ""


def _print_of(directory: Path | None) -> str:
    """What tells a directory of models from another one of the same name: its files' names and sizes."""
    if directory is None:
        return ""
    files = (file for file in sorted(directory.rglob("*")) if file.is_file())
    listing = "".join(f"{file.relative_to(directory)}:{file.stat().st_size}" for file in files)
    return hashlib.sha256(listing.encode(errors="replace")).hexdigest()[:12]


def child_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """This process's environment with some names set anew, for the processes that it starts."""
    return {**os.environ, **extra}  # noqa: TID251 - the only place that reads the environment


def adopt(extra: Mapping[str, str]) -> None:
    """Sets names for this process and those that it starts, over environment and ``.env`` (the demo's providers)."""
    os.environ.update(extra)  # noqa: TID251 - the only place that writes the environment
    forget()
