"""What a Redis or Valkey server tells about itself, ours or one that REDIS_URL or CACHE_URL names."""

from dataclasses import dataclass
from urllib.parse import urlsplit

import redis

from core.errors import InputError

OLDEST = (6, 2)
"""The first version with all commands that the gate's and the cache's scripts use."""

_PATIENCE_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ValkeyFacts:
    """``policy`` and ``appendonly`` are empty where a managed server keeps its configuration to itself."""

    version: tuple[int, ...]
    policy: str
    appendonly: str
    maxmemory: int


def ask_valkey(name: str, url: str) -> ValkeyFacts:
    """Asks a server; ``name`` is the setting that names it. Raises InputError."""
    try:
        with redis.Redis.from_url(
            url,
            protocol=2,  # all that a server older than we need understands, and it must be able to tell its age
            socket_connect_timeout=_PATIENCE_S,
            socket_timeout=_PATIENCE_S,
            decode_responses=True,
        ) as client:
            info = client.info("server")
            memory = client.info("memory")
            persistence = client.info("persistence")
    except ValueError as exc:
        raise InputError(
            f"{name} is not a Redis address", hint="for example redis://:password@127.0.0.1:6379/0"
        ) from exc
    except redis.AuthenticationError as exc:
        raise InputError(f"{name}: the server at {_place(url)} refuses the password", hint=f"correct {name}") from exc
    except redis.RedisError as exc:
        raise InputError(
            f"{name}: no Redis or Valkey server answers at {_place(url)}",
            hint=f"start it, correct {name}, or unset it to use the embedded servers",
        ) from exc
    told = info.get("valkey_version") or info.get("redis_version") or "0"
    return ValkeyFacts(
        version=tuple(int(part) for part in str(told).split(".")[:2]),
        policy=str(memory.get("maxmemory_policy", "")),
        appendonly=str(persistence.get("aof_enabled", "")),
        maxmemory=int(memory.get("maxmemory", 0)),
    )


def require_valkey(name: str, url: str) -> None:
    """Raises InputError unless a server that we can work with answers."""
    version = ask_valkey(name, url).version
    if version < OLDEST:
        raise InputError(
            f"{name}: the server at {_place(url)} is version {'.'.join(map(str, version))}, too old",
            hint="Redis >= 6.2 or Valkey >= 7.2 is needed; unset it to use the embedded servers",
        )


def _place(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or 6379}"
