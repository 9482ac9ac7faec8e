"""docker-compose.yml and the Dockerfile, held against the command line, the settings and each other."""

import re
import tomllib
from typing import Any

import pytest
import typer
from ruamel.yaml import YAML

from core.settings import PREFIXES
from scripts.cli.main import app
from tests.image import ROOT

TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE: dict[str, Any] = YAML(typ="safe").load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
OURS = sorted(name for name, service in SERVICES.items() if service["image"] == "llmsweep:latest")
SECRETS = ("POSTGRES_PASSWORD", "REDIS_PASSWORD", "FLOWER_BASIC_AUTH")


def parse(words: list[str]) -> None:
    """What typer does with the words, short of running the command."""
    group: Any = typer.main.get_command(app)
    name, found, rest = group.resolve_command(group.context_class(group), list(words))
    assert found.make_context(name, list(rest)).params


@pytest.mark.parametrize("service", [name for name in OURS if name not in {"flower", "cli"}])
def test_every_command_is_one_that_the_command_line_knows(service: str) -> None:
    assert "entrypoint" not in SERVICES[service]
    parse(SERVICES[service]["command"])


def test_the_images_own_health_check_is_a_command_and_its_entry_point_the_program() -> None:
    (check,) = re.findall(r"^HEALTHCHECK .*CMD \[(.*)\]$", DOCKERFILE, re.MULTILINE)
    words = [word.strip(' "') for word in check.split(",")]
    assert words[0] == "sweep"
    parse(words[1:])
    assert 'ENTRYPOINT ["sweep"]' in DOCKERFILE
    assert re.findall(r"^USER (.*)$", DOCKERFILE, re.MULTILINE) == ["10001:10001"]


def test_no_variable_has_a_default_and_every_secret_is_required() -> None:
    used = re.findall(r"(?<!\$)\$\{?([A-Z_]+)([^}\s]*)", TEXT)
    assert {name for name, _ in used} == set(SECRETS)
    assert all(rest.startswith(":?") for _, rest in used)
    example = (ROOT / ".env.example").read_text()
    assert all(re.search(rf"^#{name}=<", example, re.MULTILINE) for name in SECRETS)


def test_no_password_is_on_a_command_line() -> None:
    for service in SERVICES.values():
        assert "PASSWORD" not in str(service.get("command", "")) + str(service.get("entrypoint", ""))


@pytest.mark.parametrize("service", OURS)
def test_our_containers_are_read_only_without_capabilities_and_write_to_tmp_alone(service: str) -> None:
    found = SERVICES[service]
    assert found["read_only"] is True
    assert found["tmpfs"] == ["/tmp"]  # noqa: S108 - the container's
    assert found["cap_drop"] == ["ALL"]
    assert found["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in found
    assert all(value.startswith("/tmp/") for value in re.findall(r"(?:DIR|FILE)=(\S+)", DOCKERFILE))  # noqa: S108


def test_only_flower_is_reachable_from_outside_on_loopback_and_behind_a_login() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"flower": ["127.0.0.1:5555:5555"]}
    assert "FLOWER_BASIC_AUTH" in SERVICES["flower"]["environment"]
    assert "--read_only=true" in SERVICES["flower"]["command"]
    assert all("network_mode" not in service for service in SERVICES.values())


def test_the_providers_keys_go_to_workers_and_the_command_line_alone() -> None:
    keyed = {name for name, service in SERVICES.items() if "env_file" in service}
    assert keyed == {name for name in SERVICES if name.startswith("worker-")} | {"cli"}


def test_each_provider_has_a_worker_that_can_be_scaled() -> None:
    workers = {name: service for name, service in SERVICES.items() if name.startswith("worker-")}
    # Not the local one: its models and their runtime are in nobody's image but the user's.
    assert {name.removeprefix("worker-") for name in workers} == set(PREFIXES) - {"local"}
    for name, service in workers.items():
        assert service["command"] == ["worker", "--provider", name.removeprefix("worker-")]
        assert "container_name" not in service
        assert "HEARTBEAT_FILE" in str(service["healthcheck"])


def test_the_two_redis_roles_have_opposite_duties() -> None:
    broker, cache = (COMPOSE["configs"][role]["content"] for role in ("broker", "cache"))
    assert "maxmemory-policy noeviction" in broker
    assert "appendonly yes" in broker
    assert "maxmemory-policy allkeys-lfu" in cache
    for role in ("broker", "cache"):
        assert SERVICES[role]["configs"] == [{"source": role, "target": "/etc/valkey.conf"}]
        assert SERVICES[role]["healthcheck"]["test"] == ["CMD", "valkey-cli", "ping"]


def test_postgresql_18_keeps_its_data_where_its_image_has_it() -> None:
    postgres = SERVICES["postgres"]
    assert re.fullmatch(r"pgvector/pgvector:\d+\.\d+\.\d+-pg18", postgres["image"])
    assert postgres["volumes"] == ["postgres-data:/var/lib/postgresql"]


def test_every_image_has_a_version() -> None:
    images = [service["image"] for service in SERVICES.values() if service["image"] != "llmsweep:latest"]
    images += re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert all(re.search(r":\d+\.\d+", image) for image in images)


def test_the_image_copies_exactly_the_packages_that_the_wheel_is_made_of() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = {name.rstrip("*") for name in project["tool"]["setuptools"]["packages"]["find"]["include"]}
    assert set(re.findall(r"^COPY (\w+)/ \1/$", DOCKERFILE, re.MULTILINE)) == packages | {"requirements"}
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert {".env", ".git", ".sweep", ".venv"} <= set(ignored)
    assert not packages & set(ignored)
