"""Who can be asked, by the settings: the matrix, the choice of `--provider auto`, and the doctor's word on it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import InputError
from core.model import Modality
from core.settings import PREFIXES, forget
from scripts.doctor.check import State
from scripts.doctor.routing import check_routing
from scripts.routes import choose, matrix


@pytest.fixture(autouse=True)
def env(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[pytest.MonkeyPatch]:
    monkeypatch.chdir(tmp_path)
    for name in ("SWEEP_DIR", "DATABASE_URL", "REDIS_URL", "CACHE_URL"):
        monkeypatch.delenv(name, raising=False)
    for prefix in PREFIXES.values():
        for name in ("API_KEY", "BASE_URL", "MODEL", "EMBEDDING_MODEL", "ENABLED", "ENDPOINT", "MODEL_PATH"):
            monkeypatch.delenv(prefix + name, raising=False)
    forget()
    yield monkeypatch
    forget()


def test_the_matrix_tells_what_each_model_can_do(env: pytest.MonkeyPatch) -> None:
    env.setenv("OPENAI_API_KEY", "sk-test")
    forget()

    chat, embedding = matrix()

    assert (chat.able.place.model, embedding.able.place.model) == ("gpt-4o-mini", "text-embedding-3-small")
    assert not chat.why_not[Modality.CHAT]
    assert chat.why_not[Modality.EMBEDDING] == "it does no embedding"
    assert chat.able.context_tokens == 128_000


def test_auto_prefers_who_writes_the_style_and_never_asks_a_chat_provider_for_vectors(env: pytest.MonkeyPatch) -> None:
    env.setenv("OPENAI_API_KEY", "sk-test")
    env.setenv("ANTHROPIC_API_KEY", "sk-test")
    forget()

    numpy, why = choose("new", "docstring", models=[], style="numpy")
    vectors, _ = choose("new", "embedding", models=[], style="")

    assert numpy.provider == "anthropic"
    assert "not measured yet" in why
    assert vectors.provider == "openai"


def test_auto_without_a_provider_is_an_error_that_tells_what_to_do() -> None:
    with pytest.raises(InputError) as caught:
        choose("new", "docstring", models=[], style="google")
    assert "sweep doctor" in caught.value.hint


def test_the_doctor_tells_of_routing_only_where_somebody_can_be_asked(env: pytest.MonkeyPatch) -> None:
    assert [check.state for check in check_routing()] == [State.OFF]
    env.setenv("OPENAI_API_KEY", "sk-test")
    forget()
    (check,) = check_routing()
    assert check.state is State.OK
    assert "openai/gpt-4o-mini (chat): no calls lately" in check.detail
