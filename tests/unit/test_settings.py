"""Settings: what the example file says, what a bad value is answered with, where `.env` is looked for."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import InputError
from core.ports import Limits
from core.settings import BASE_URLS, PREFIXES, ProviderSettings, Settings, forget, provider_settings, settings

ROOT = Path(__file__).parents[2]
LINE = re.compile(r"^#([A-Z0-9_]+)=(.*?)\s{2,}# (\S.*)$")
AZURE_ONLY = {"endpoint", "deployment", "api_version"}
LOCAL_ONLY = {"model_path"}
OF_THE_NETWORK = {
    "api_key", "base_url", "model", "request_timeout", "connection_timeout", "structured_output", "trust_env",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for prefix in ("", *PREFIXES.values()):
        for name in (*Settings.model_fields, *ProviderSettings.model_fields):
            monkeypatch.delenv(f"{prefix}{name}".upper(), raising=False)
    monkeypatch.chdir(tmp_path)
    forget()
    yield
    forget()


def example() -> dict[str, tuple[str, str]]:
    """Name -> value and explanation of the example file's lines."""
    lines = (ROOT / ".env.example").read_text().splitlines()
    told = [LINE.match(line) for line in lines if line.startswith("#") and "=" in line.split("#")[1].split(" ")[0]]
    assert all(told), [line for line, found in zip(lines, told, strict=False) if not found]
    return {found[1]: (found[2], found[3]) for found in told if found}


def test_the_example_names_every_setting_and_no_other() -> None:
    known = {name.upper() for name in Settings.model_fields}
    for provider, prefix in PREFIXES.items():
        left_out = set() if provider == "azure" else AZURE_ONLY
        left_out = left_out | (OF_THE_NETWORK if provider == "local" else LOCAL_ONLY)
        known |= {f"{prefix}{name}".upper() for name in ProviderSettings.model_fields if name not in left_out}
    containers = set(re.findall(r"\$\{([A-Z_]+):\?", (ROOT / "docker-compose.yml").read_text()))
    assert set(example()) == known | containers


def test_the_example_shows_the_defaults_as_they_are() -> None:
    models: list[tuple[type[Settings | ProviderSettings], str]] = [(Settings, "")]
    for model, prefix in models + [(ProviderSettings, prefix) for prefix in PREFIXES.values()]:
        defaults = model.model_construct()
        for name in model.model_fields:
            shown = example().get(f"{prefix}{name}".upper(), ("<>", ""))[0]
            if not shown.startswith("<") and name not in {"base_url", "model", "embedding_model"}:
                given = getattr(model.model_validate({name: shown}), name)
                assert given == getattr(defaults, name), name
    assert {name: example()[f"{prefix}BASE_URL"][0] for name, prefix in PREFIXES.items() if BASE_URLS[name]} == {
        name: url for name, url in BASE_URLS.items() if url
    }


def test_a_whole_example_file_with_the_marks_taken_away_is_a_valid_env_file(tmp_path: Path) -> None:
    lines = [f"{name}={value}" for name, (value, _) in example().items() if not value.startswith("<")]
    (tmp_path / ".env").write_text("\n".join(lines))
    assert settings() == Settings.model_construct()
    assert provider_settings("openai").cache_ttl == 3600


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("WORKER_SLOTS=many", "setting WORKER_SLOTS: "),
        ("CHUNK_LEASE_S=0", "setting CHUNK_LEASE_S: "),
        ("METRICS_PORT=99999", "setting METRICS_PORT: "),
        ("LOG_LEVEL=LOUD", "setting LOG_LEVEL: "),
    ],
)
def test_a_bad_value_is_named_with_its_setting(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / ".env").write_text(line)
    with pytest.raises(InputError, match=message) as caught:
        settings()
    assert ".env.example" in caught.value.hint


@pytest.mark.parametrize("line", ["OPENAI_RATE_LIMIT_RPM=lots", "OPENAI_ENABLED=perhaps", "OPENAI_BASE_URL=nonsense"])
def test_a_bad_value_of_a_provider_is_named_with_its_prefix(tmp_path: Path, line: str) -> None:
    (tmp_path / ".env").write_text(line)
    with pytest.raises(InputError, match=line.partition("=")[0]):
        provider_settings("openai")


def test_a_models_own_limits_are_read_beside_its_providers(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        """OPENAI_RATE_LIMIT_RPD=9\nOPENAI_MODEL_LIMITS='{"m/1": {"rpm": 5, "otpm": 7}}'\n"""
    )
    found = provider_settings("openai").limits()
    assert (found.rpd, found.models) == (9, {"m/1": Limits(rpm=5, otpm=7)})


@pytest.mark.parametrize("value", ["nonsense", "[]", '{"m": 5}', '{"m": {"rpm": 0}}', '{"m": {"rmp": 5}}'])
def test_limits_of_models_that_cannot_be_read_are_named(tmp_path: Path, value: str) -> None:
    (tmp_path / ".env").write_text(f"OPENAI_MODEL_LIMITS='{value}'\n")
    with pytest.raises(InputError, match="OPENAI_MODEL_LIMITS"):
        provider_settings("openai")


def test_a_bad_key_is_not_quoted(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("OPENAI_API_KEY=sk-planted\nOPENAI_REQUEST_TIMEOUT=sk-planted")
    with pytest.raises(InputError) as caught:
        provider_settings("openai")
    assert "sk-planted" not in f"{caught.value} {caught.value.hint}"


def test_a_file_that_is_no_text_is_one_message(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"OPENAI_MODEL=\xff\xfe\x00")
    with pytest.raises(InputError, match=r"\.env is not text"):
        settings()


def test_the_file_is_found_from_below_the_project_and_never_outside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("WORKER_SLOTS=3")
    project = tmp_path / "project"
    deep = project / "a" / "b"
    deep.mkdir(parents=True)
    (project / "pyproject.toml").touch()
    monkeypatch.chdir(deep)
    forget()
    assert settings().worker_slots == 8
    (project / ".env").write_text("WORKER_SLOTS=5")
    forget()
    assert settings().worker_slots == 5
