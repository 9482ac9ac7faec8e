"""What the doctor says about servers and providers, and that it keeps keys to itself."""

import http.server
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from core.settings import PREFIXES, Settings, forget, settings
from db import schema
from scripts import embedded
from scripts.doctor import Check, State, examine
from scripts.doctor.providers import check_providers
from scripts.doctor.servers import check_servers

KEY = "sk-planted-secret"


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    for name in ("SWEEP_DIR", "DATABASE_URL", "REDIS_URL", "CACHE_URL"):
        monkeypatch.delenv(name, raising=False)
    for prefix in PREFIXES.values():
        for name in ("API_KEY", "BASE_URL", "MODEL", "ENABLED", "ENDPOINT"):
            monkeypatch.delenv(prefix + name, raising=False)
    forget()
    yield
    forget()


def by_name(checks: Iterator[Check]) -> dict[str, Check]:
    return {check.name: check for check in checks}


class _Models(http.server.BaseHTTPRequestHandler):
    """A provider that lists its models to those who know the key."""

    def do_GET(self) -> None:
        good = self.headers.get("Authorization") == f"Bearer {KEY}" and self.path == "/v1/models"
        self.send_response(200 if good else 401)
        self.end_headers()
        self.wfile.write(json.dumps({"data": [{"id": "small"}, {"id": "large"}]} if good else {}).encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in the class above
        del format, args


@contextmanager
def a_provider() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Models) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
        server.shutdown()
        thread.join()


def test_everything_is_well_on_a_healthy_machine_and_the_look_leaves_nothing_behind(tmp_path: Path) -> None:
    found = by_name(examine(settings()))
    assert {check.state for check in found.values()} == {State.OK, State.OFF}
    assert "pgvector" in found["database"].detail
    assert "noeviction, AOF" in found["broker"].detail
    assert "allkeys-lfu" in found["cache"].detail
    assert list(tmp_path.iterdir()) == []


def test_servers_that_were_down_are_down_again_after_the_look(tmp_path: Path) -> None:
    directory = tmp_path / ".sweep"
    embedded.up(directory, owner=os.getpid())
    embedded.down(directory)
    found = by_name(check_servers(settings(), migrate=True))
    assert "started for this check" in found["database"].detail
    assert found["migrations"] == Check(name="migrations", state=State.OK, detail=f"at {schema.head()}")
    assert embedded.running(directory) is None


def test_a_database_without_tables_is_a_warning_with_the_command_that_makes_them(
    servers: embedded.Servers, redis_url: str
) -> None:
    loaded = Settings(database_url=servers.database_url, redis_url=redis_url)
    found = by_name(check_servers(loaded, migrate=False))
    assert found["migrations"].state is State.WARNING
    assert found["migrations"].fix == "sweep doctor --migrate"


def test_each_server_that_is_away_is_named_with_its_fix_and_without_its_password() -> None:
    loaded = Settings(
        database_url="postgresql://me:hunter2@127.0.0.1:1/db",
        redis_url="redis://:hunter2@127.0.0.1:1/0",
        cache_url="nonsense hunter2",
    )
    found = by_name(check_servers(loaded, migrate=False))
    assert [found[name].state for name in ("database", "broker", "cache")] == [State.FAILED] * 3
    assert all(found[name].fix for name in ("database", "broker", "cache"))
    assert "hunter2" not in str(found)


@pytest.mark.parametrize("url", ["mysql://me:hunter2@h/db", "postgresql://me:hun%ter2@h:x/db", "hunter2"])
def test_an_address_that_is_no_postgresql_is_called_so_without_quoting_it(url: str, redis_url: str) -> None:
    found = by_name(check_servers(Settings(database_url=url, redis_url=redis_url), migrate=False))
    assert found["database"].state is State.FAILED
    assert "no PostgreSQL address" in found["database"].detail
    assert "ter2" not in str(found)


def test_a_broker_that_evicts_is_refused_and_one_that_forgets_is_warned_about(own_servers: embedded.Servers) -> None:
    loaded = Settings(
        database_url=own_servers.database_url, redis_url=own_servers.redis_url, cache_url=own_servers.cache_url
    )
    with redis.Redis.from_url(own_servers.redis_url) as broker:
        broker.config_set("appendonly", "no")
        assert by_name(check_servers(loaded, migrate=False))["broker"].state is State.WARNING
        broker.config_set("maxmemory-policy", "allkeys-lru")
        refused = by_name(check_servers(loaded, migrate=False))["broker"]
    assert refused.state is State.FAILED
    assert "noeviction" in refused.fix


def test_a_provider_that_takes_the_key_is_well(monkeypatch: pytest.MonkeyPatch) -> None:
    with a_provider() as url:
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("OPENAI_MODEL", "large")
        forget()
        found = by_name(check_providers(settings()))
    assert found["openai"] == Check(name="openai", state=State.OK, detail=f"{url}, 2 models")
    assert found["anthropic"].state is State.OFF


def test_a_model_that_the_provider_does_not_list_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    with a_provider() as url:
        monkeypatch.setenv("HYPERBOLIC_BASE_URL", url)
        monkeypatch.setenv("HYPERBOLIC_API_KEY", KEY)
        monkeypatch.setenv("HYPERBOLIC_MODEL", "huge")
        forget()
        found = by_name(check_providers(settings()))["hyperbolic"]
    assert found.state is State.WARNING
    assert "does not list the model huge" in found.detail


def test_a_refused_key_an_unsendable_key_and_a_dead_address_are_told_apart_and_no_key_is_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with a_provider() as url:
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-wrong")
        monkeypatch.setenv("HYPERBOLIC_BASE_URL", "http://127.0.0.1:1/v1")
        monkeypatch.setenv("HYPERBOLIC_API_KEY", KEY)
        monkeypatch.setenv("ANTHROPIC_BASE_URL", url)
        monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-pländ")
        forget()
        found = by_name(check_providers(settings()))
    assert "refuses the key" in found["openai"].detail
    assert "does not answer" in found["hyperbolic"].detail
    assert [found[name].state for name in ("openai", "hyperbolic", "anthropic")] == [State.FAILED] * 3
    shown = str(found)
    assert not any(key in shown for key in (KEY, "sk-wrong", "sk-pl"))


def test_a_disabled_provider_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_ENABLED", "false")
    forget()
    assert by_name(check_providers(settings()))["openai"].state is State.OFF
