"""A gap sweep with real servers, a worker and a model that errs: what is reported is what the ledger has."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.model import SweepState
from core.sweep import SweepSpec, Target
from db.engine import connect
from db.results import Report, report
from scripts.bench.arena import MODEL, Arena, arena
from tasks import producer
from tasks.results import export

pytestmark = pytest.mark.slow

DESIGN = """\
# Shop
- The `Book` must store orders.
- Orders must be archived at most 5 times.
- Invoices are sent by pigeon.
"""
CODE = """\
ORDER_TIMES = 3

class Book:
    def store(self, order): ...

def paint(): ...
"""


@pytest.fixture(scope="module")
def world() -> Iterator[Arena]:
    with arena() as made:
        made.simulator(fail=["bad-json:0.3", "prose:0.3"], seed=7)
        made.worker()
        yield made


def sweep(world: Arena, name: str, design: str) -> tuple[dict[str, object], Report]:
    """The exported token report of a sweep that has ended, and the ledger's."""
    (world.directory / "shop.py").write_text(CODE)
    (world.directory / "design.md").write_text(design)
    source = {"code": [str(world.directory / "shop.py")], "design": str(world.directory / "design.md")}
    target = Target(provider="openai", model=MODEL)
    spec = SweepSpec(name=name, kind="gap", source=source, targets=(target,), on_reject="fallback")
    producer.submit(world.database_url, spec)
    assert world.ended(name, timeout_s=60).state is SweepState.DONE
    out = Path(world.directory, f"{name}.json")
    export(world.database_url, name, "json", out)
    engine = connect(world.database_url, role="reader", pool=1)
    try:
        return json.loads(out.read_text()), report(engine, name)
    finally:
        engine.dispose()


def test_the_reports_totals_are_the_ledgers_to_the_token(world: Arena) -> None:
    found, ledger = sweep(world, "first", DESIGN.replace("Orders", "Parcels"))  # nobody has asked about these

    told = found["tokens"]
    assert isinstance(told, dict)
    assert ledger.tokens.prompt > 0
    assert told["ledger"]["prompt"] == ledger.tokens.prompt
    assert told["ledger"]["completion"] == ledger.tokens.completion
    assert told["cost"]["paid_usd"] == pytest.approx(ledger.cost_usd, abs=1e-9)
    assert found["unjudged"] == []


def test_what_was_asked_before_is_a_cache_hit_and_is_priced_as_one(world: Arena) -> None:
    sweep(world, "before", DESIGN)
    found, ledger = sweep(world, "after", DESIGN + "- Walls are painted green.\n")

    told = found["tokens"]
    assert isinstance(told, dict)
    assert told["cached"] == ledger.cached > 0
    assert told["ledger"]["prompt"] == ledger.tokens.prompt
    assert told["cost"]["paid_usd"] == pytest.approx(ledger.cost_usd, abs=1e-9)
    assert told["cost"]["without_cache_usd"] > told["cost"]["paid_usd"]
    assert told["cost"]["without_either_usd"] > told["cost"]["without_cache_usd"]
