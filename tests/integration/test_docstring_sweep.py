"""A docstring sweep with real servers, workers and a model that errs: callers are told what their callees got."""

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from core.model import JobState, ResultRow, SweepState
from core.sweep import SweepSpec, Target
from db.engine import connect
from db.models import RawCall
from db.results import report, rows
from scripts.bench.arena import MODEL, Arena, arena
from tasks import producer
from tasks.docstring.apply import apply

pytestmark = pytest.mark.slow

FILES = {
    "shop/__init__.py": "",
    "shop/prices.py": "def load_prices(path): return [line for line in open(path)]\n",
    "shop/order.py": "from .prices import load_prices\n\ndef count_orders(path):\n    return len(load_prices(path))\n",
    "shop/main.py": "import shop.order as o\n\ndef run_shop(path):\n    return o.count_orders(path), ping(1)\n\n"
    "def ping(n):\n    return pong(n)\n\ndef pong(n):\n    return ping(n - 1)\n",
}
MANY = "".join(f"def load_{n}(): return {n}\n\ndef count_{n}(): return load_{n}()\n\n" for n in range(40))


@pytest.fixture(scope="module")
def world() -> Iterator[Arena]:
    with arena() as made:
        made.simulator(seed=3)
        made.worker()
        made.worker()
        yield made


def source(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


def sweep(world: Arena, name: str, root: Path, **changes: Any) -> list[ResultRow]:
    spec = SweepSpec(
        name=name,
        kind="docstring",
        source={"paths": [str(root)]},
        targets=(Target(provider="openai", model=MODEL),),
        **changes,
    )
    producer.submit(world.database_url, spec)
    assert world.ended(name, timeout_s=60).state is SweepState.DONE
    engine = connect(world.database_url, role="reader", pool=1)
    try:
        return list(rows(engine, name))
    finally:
        engine.dispose()


def calls(world: Arena, name: str) -> int:
    engine = connect(world.database_url, role="reader", pool=1)
    try:
        return report(engine, name).calls
    finally:
        engine.dispose()


def asked(world: Arena, found: list[ResultRow]) -> dict[str, dict[str, str]]:
    """Key -> the callees that its prompt has told."""
    engine = connect(world.database_url, role="reader", pool=1)
    try:
        with engine.connect() as connection:
            ids = [row.call_id for row in found]
            calls_ = connection.execute(select(RawCall.id, RawCall.request_json).where(RawCall.id.in_(ids)))
            sent = {call.id: call.request_json for call in calls_}
    finally:
        engine.dispose()
    prompts = {row.key: sent[row.call_id]["messages"][1]["content"] for row in found if row.call_id}
    return {key: json.loads(text.splitlines()[1]).get("callees", {}) for key, text in prompts.items()}


def test_a_caller_is_told_what_the_same_sweep_has_written_for_its_callees(world: Arena) -> None:
    world.simulators[0].tell("faults", {"fail": []})
    found = sweep(world, "told", source(world.directory / "told", FILES), options={"modules": True})
    assert {row.state for row in found} == {JobState.DONE}
    written = {row.key: (row.result or {})["answer"]["summary"] for row in found}
    told = asked(world, found)
    assert told["shop/prices.py::load_prices"] == {}
    assert told["shop/order.py::count_orders"] == {"load_prices": written["shop/prices.py::load_prices"]}
    assert told["shop/main.py::run_shop"] == {
        "o.count_orders": written["shop/order.py::count_orders"],
        "ping": written["shop/main.py::ping"],
    }
    cycle = (told["shop/main.py::ping"], told["shop/main.py::pong"])
    assert sorted(map(len, cycle)) == [0, 1]
    assert told["shop/__init__.py"] == {name: written[f"shop/{name}.py"] for name in ("main", "order", "prices")}


def test_the_same_source_again_costs_no_call_whatever_failed_and_what_was_written_is_applied(world: Arena) -> None:
    root = source(world.directory / "again", {"many.py": MANY})
    world.simulators[0].tell("faults", {"fail": ["bad-json:0.3", "prose:0.3"]})
    first = sweep(world, "first", root, chunk_size=8)
    again = sweep(world, "again", root, chunk_size=4)
    done = [row for row in first if row.state is JobState.DONE]
    assert 0 < len(done) < len(first) == 80
    assert calls(world, "first") > 80
    assert calls(world, "again") == 0
    assert {row.key: (row.state, row.result) for row in again} == {row.key: (row.state, row.result) for row in first}
    written = {row.key.rpartition("::")[2] for row in done}
    told = {key.rpartition("::")[2]: set(callees) for key, callees in asked(world, done).items()}
    assert all(seen == {f"load_{name[6:]}"} & written for name, seen in told.items() if name.startswith("count_"))
    assert apply(iter(again)).inserted == len(done)
    defined = ast.parse((root / "many.py").read_text()).body
    assert {n.name for n in defined if isinstance(n, ast.FunctionDef) and ast.get_docstring(n)} == written
