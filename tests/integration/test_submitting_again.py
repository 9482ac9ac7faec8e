"""Submitting the same spec once more: what an ended sweep answers, and that nothing is stored twice."""

import json
from pathlib import Path

import pytest

from core.errors import InputError
from core.model import SweepState
from core.sweep import SweepSpec, Target
from db import control
from db.engine import connect
from tasks import producer


@pytest.fixture
def spec(tmp_path: Path) -> SweepSpec:
    path = tmp_path / "ask.jsonl"
    path.write_text("".join(json.dumps({"prompt": f"ask {n}"}) + "\n" for n in range(3)))
    return SweepSpec(
        name="again", kind="prompt", source={"path": str(path)}, targets=(Target(provider="rules", model="rules"),)
    )


def test_a_running_sweep_goes_on(database_url: str, spec: SweepSpec) -> None:
    producer.submit(database_url, spec)

    again = producer.submit(database_url, spec)

    assert (again.created, again.jobs, again.state) == (False, 3, SweepState.RUNNING)


def test_a_parked_sweep_runs_again(database_url: str, spec: SweepSpec) -> None:
    producer.submit(database_url, spec)
    engine = connect(database_url, role="producer", pool=1)
    control.pause(engine, "again")
    engine.dispose()

    assert producer.submit(database_url, spec).state is SweepState.RUNNING


def test_a_cancelled_sweep_does_not_pretend_to_go_on(database_url: str, spec: SweepSpec) -> None:
    producer.submit(database_url, spec)
    engine = connect(database_url, role="producer", pool=1)
    control.cancel(engine, "again")
    engine.dispose()

    with pytest.raises(InputError, match="cancelled"):
        producer.submit(database_url, spec)
