"""A planted key and a planted prompt, looked for in everything that a running installation shows or keeps."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from core.sweep import SweepSpec, Target
from scripts import embedded
from tasks import producer
from tests.planted import Echo, Monitor, echo, holds, of_flower, of_postgres, of_process_list, of_redis, of_table
from tests.processes import family, listening

PROVIDERS = ("openai", "azure", "hyperbolic", "anthropic")
KEYS = {name: f"sk-planted-{name}-0123456789abcdef" for name in PROVIDERS}
PROMPT = "PLANTED-PROMPT-7f3a9c"
PREFIXES = {"openai": "OPENAI", "azure": "AZURE_OPENAI", "hyperbolic": "HYPERBOLIC", "anthropic": "ANTHROPIC"}
ENDINGS = {"answered": "ok", "refused": "REFUSED", "broken": "BROKEN", "unauthorized": "UNAUTHORIZED", "slow": "SLOW"}


@dataclass
class Installation:
    """`sweep up` in a project of its own, with keys for every provider."""

    project: Path
    provider: Echo
    env: dict[str, str]

    @property
    def directory(self) -> Path:
        return self.project / ".sweep"

    def sweep(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [Path(sys.executable).with_name("sweep"), *words],
            cwd=self.project,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    def submit(self, database_url: str, provider: str, ending: str) -> None:
        name = f"{ending}-{provider}"
        source = self.project / f"{name}.jsonl"
        source.write_text(
            "".join(
                json.dumps({"id": i, "prompt": f"{ENDINGS[ending]} {PROMPT} {provider} {i} {'x' * 2000}"}) + "\n"
                for i in range(1 if ending == "broken" else 3)  # three in a row would open the breaker
            )
        )
        spec = SweepSpec(
            name=name,
            kind="prompt",
            source={"path": str(source)},
            options={"key": "id"},
            targets=(Target(provider=provider, model="m"),),
            on_open="wait",
        )
        producer.submit(database_url, spec)


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    (tmp_path / "pyproject.toml").touch()
    with echo(*KEYS.values()) as provider:
        env = {"PATH": os.defpath, "HOME": str(tmp_path), "LOG_LEVEL": "DEBUG"}
        for name, prefix in PREFIXES.items():
            env |= {
                f"{prefix}_API_KEY": KEYS[name],
                f"{prefix}_BASE_URL": f"{provider.url}/v1",
                f"{prefix}_MAX_RETRY_ATTEMPTS": "1",
            }
        try:
            yield Installation(project=tmp_path, provider=provider, env=env)
        finally:
            provider.hold.set()
            embedded.down(tmp_path / ".sweep")


@pytest.mark.slow
@pytest.mark.timeout(300)  # four workers, Flower and twenty commands: two minutes where three others want the machine
def test_a_planted_key_is_nowhere_and_a_planted_prompt_only_in_rows_and_cached_answers(
    installation: Installation, eventually: Callable[..., None]
) -> None:
    shown: dict[str, str] = {}
    up = installation.sweep("up", *(word for name in PROVIDERS for word in ("-p", name)))
    assert up.returncode == 0, up.stderr
    url, login = next(
        line.removeprefix("Flower: ").rstrip(")").split(" (login ")
        for line in up.stderr.splitlines()
        if line.startswith("Flower: ")
    )
    servers = embedded.running(installation.directory)
    assert servers is not None
    broker = Monitor(servers.redis_url)
    try:
        for ending in ENDINGS:
            for provider in PROVIDERS:
                installation.submit(servers.database_url, provider, ending)
        eventually(lambda: installation.provider.waiting == 3 * len(PROVIDERS), within=60)

        # Calls are in flight: their intents are in the gate.
        in_broker = list(of_redis(servers.redis_url))
        assert any(b"llmsweep:gate:intents:" in key for key in in_broker)
        argv = list(of_process_list())
        assert sum("workers.main" in line for line in argv) >= len(PROVIDERS)
        installation.provider.hold.set()

        def ended() -> bool:
            states = [json.loads(row)["state"] for row in of_table(servers.database_url, "sweeps")]
            return states.count("paused") == len(PROVIDERS) and set(states) == {"done", "paused"}

        eventually(ended, within=60)
        in_broker += list(of_redis(servers.redis_url))
    finally:
        broker.close()

    for ending in ENDINGS:
        for words in (["status"], ["status", "--json"], ["report"]):
            told = installation.sweep(words[0], f"{ending}-azure", *words[1:])
            shown[f"{words} {ending}"] = told.stdout + told.stderr
    exported = installation.sweep("export", "answered-openai", "-o", "-")
    shown |= {"doctor": installation.sweep("doctor").stdout, "ls": installation.sweep("ls").stdout, "up": up.stderr}
    pages = dict(of_flower(url, login))
    logs = {file.name: file.read_bytes() for file in (installation.directory / "log").iterdir()}

    # Servers, workers and Flower are for this machine only.
    assert {address for pid in family(installation.directory) for address in listening(pid)} == {"127.0.0.1"}
    assert any(b"DEBUG" in log for log in logs.values())
    assert exported.stdout
    passwords = {server.split(":")[2].split("@")[0] for server in (servers.database_url, servers.redis_url)}
    keys = [*KEYS.values(), *passwords]
    everything = [*keys, PROMPT]
    assert [(place, found) for place, text in shown.items() if (found := holds(text, keys))] == []
    assert holds(exported.stdout, keys) == []
    assert [line for line in argv if holds(line, everything)] == []
    assert [item for item in in_broker if holds(item, everything)] == []
    assert sum(b"provider." in line for line in broker.seen) > len(PROVIDERS)  # messages among them
    assert [line for line in broker.seen if holds(line, everything)] == []
    assert [(path, found) for path, text in pages.items() if (found := holds(text, everything))] == []
    assert [(name, found) for name, log in logs.items() if (found := holds(log, everything))] == []
    rows = list(of_postgres(servers.database_url))
    assert [(table, row[:300]) for table, row in rows if holds(row, keys)] == []
    assert [item[:300] for item in of_redis(servers.cache_url) if holds(item, keys)] == []

    # And the search finds what is where it may be.
    assert {table for table, row in rows if holds(row, [PROMPT])} >= {"raw_calls", "jobs"}
    assert any(holds(item, [PROMPT]) for item in of_redis(servers.cache_url))
    assert any("[key]" in row for _, row in rows)
    assert json.loads(shown["['status', '--json'] unauthorized"])["state"] == "paused"
