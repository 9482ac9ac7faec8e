"""The commands as a person or a script uses them: from an input to results, on real servers and workers."""

import csv
import json
import sqlite3
import subprocess
import textwrap
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.commands import BIN, PROMPTS, World

STATUS = {
    "name", "state", "reason", "jobs", "pending", "done", "cached", "fallback", "failed", "cancelled", "calls",
    "calls_unknown", "tokens", "cost_usd", "cost_usd_max", "budget_usd", "rate_per_s", "eta_s", "problems", "providers",
}  # fmt: skip
LINE = {"key", "state", "result", "error", "provider", "model", "cached", "tokens", "cost_usd", "call_id"}
TOKENS = {"prompt", "completion", "cached", "reasoning"}
GATE = {"queue", "breaker", "rpm_used", "tpm_used", "in_flight", "calls", "failed"}

CODE = """
def area(width: float, height: float) -> float:
    return width * height


class Basket:
    def add(self, name: str, price: float = 0.0) -> None:
        if price < 0:
            raise ValueError("a price is never negative")
        self.items.append((name, price))
"""


@pytest.fixture(scope="session")
def asked(world: World) -> World:
    """The world after a sweep of eight prompts, called `asked`."""
    # Questions that no other test asks: one of them would find its answer in the cache.
    world.file("asked.jsonl", *({**prompt, "prompt": f"Asked: {prompt['prompt']}"} for prompt in PROMPTS))
    told = world.sweep("submit", "prompt", "asked.jsonl", "-n", "asked", "--watch", "--budget", "1")
    assert told.out.startswith("asked\n")
    assert "8 jobs" in told.err
    return world


def test_status_has_the_documented_fields_and_counts(asked: World) -> None:
    found = asked.sweep("status", "asked", "--json").json()
    assert set(found) == STATUS
    assert set(found["tokens"]) == TOKENS
    assert set(found["providers"]) == {"openai"}
    assert set(found["providers"]["openai"]) == GATE
    counts = {name: found[name] for name in ("state", "jobs", "pending", "done", "failed", "calls", "budget_usd")}
    assert counts == {"state": "done", "jobs": 8, "pending": 0, "done": 8, "failed": 0, "calls": 8, "budget_usd": 1.0}
    assert 0 < found["cost_usd"] == found["cost_usd_max"] < 1
    (listed,) = [one for one in asked.sweep("ls", "--json").json() if one["name"] == "asked"]
    assert set(listed) == STATUS
    assert "asked" in asked.sweep("ls").out
    assert "8 done" in asked.sweep("status", "asked").out


def test_lines_come_in_input_order_on_standard_output_and_talk_does_not(asked: World) -> None:
    told = asked.sweep("export", "asked")
    lines = told.lines()
    assert [line["key"] for line in lines] == [prompt["id"] for prompt in PROMPTS]
    assert all(set(line) == LINE and set(line["tokens"]) == TOKENS for line in lines)
    assert {line["state"] for line in lines} == {"done"}
    assert all(line["result"]["text"] for line in lines)
    assert "8 lines" in told.err


def test_exports_go_to_a_file_that_is_there_whole_or_to_one_named_after_the_sweep(asked: World, tmp_path: Path) -> None:
    asked.sweep("export", "asked", "-o", str(tmp_path / "out.jsonl"))
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 8
    assert asked.sweep("export", "asked", "-f", "csv", cwd=tmp_path).out == ""
    assert len(list(csv.DictReader((tmp_path / "asked.csv").read_text().splitlines()))) == 8
    assert sorted(path.name for path in tmp_path.iterdir()) == ["asked.csv", "out.jsonl"]
    piped = asked.sweep("export", "asked", "-f", "csv", "-o", "-").out
    assert piped.splitlines()[0].startswith("key,state,answer")


def test_a_reader_that_has_enough_is_no_error(asked: World) -> None:
    script = f"set -o pipefail; {BIN}/sweep export asked | head -c 20; exit $?"
    done = subprocess.run(
        ["/bin/bash", "-c", script], cwd=asked.folder, env=dict(asked.env), capture_output=True, text=True, check=False
    )
    assert (done.returncode, len(done.stdout)) == (0, 20), done.stderr
    assert "Exception" not in done.stderr
    assert "Broken" not in done.stderr


def test_the_same_spec_again_asks_nobody(asked: World) -> None:
    before = asked.simulator.stats(brief=True)["requests"]
    again = asked.sweep("submit", "prompt", "asked.jsonl", "-n", "asked", "--budget", "1")
    assert (again.out, "asked is done already" in again.err) == ("asked\n", True)
    copy = asked.sweep("submit", "prompt", "asked.jsonl", "-n", "asked-again", "--watch")
    assert "8 cached" in copy.out + copy.err
    assert asked.simulator.stats(brief=True)["requests"] == before


def test_cleared_answers_are_still_known_to_the_database_and_no_cache_buys_anew(asked: World) -> None:
    assert set(asked.sweep("cache", "stats", "--json").json()) == {"hits", "misses", "evictions", "entries"}
    assert "answers forgotten" in asked.sweep("cache", "clear", "--sweep", "asked").err
    before = asked.simulator.stats(brief=True)["requests"]
    asked.sweep("submit", "prompt", "asked.jsonl", "-n", "from-rows", "--watch")
    assert asked.simulator.stats(brief=True)["requests"] == before
    asked.sweep("submit", "prompt", "asked.jsonl", "-n", "anew", "--watch", "--no-cache", "--limit", "3")
    assert asked.simulator.stats(brief=True)["requests"] == before + 3


def test_report_and_study_count_calls_tokens_and_money(asked: World) -> None:
    report = asked.sweep("report", "asked", "--json").json()
    assert report["calls"] == 8
    assert report["lines"][0]["model"] == "gpt-4o-mini"
    assert "gpt-4o-mini" in asked.sweep("report", "asked").out
    assert len(asked.sweep("study", "recent", "--limit", "3", "--json").json()) == 3
    for words in (["summary"], ["compare"], ["series"], ["prompts", "plus"]):
        assert asked.sweep("study", *words, "--json").json()


def test_a_command_works_from_any_directory_below_the_project(asked: World) -> None:
    below = asked.folder / "deep" / "er"
    below.mkdir(parents=True)
    env = {name: value for name, value in asked.env.items() if name != "SWEEP_DIR"}
    done = subprocess.run(
        [BIN / "sweep", "status", "asked", "--json"], cwd=below, env=env, capture_output=True, text=True, check=False
    )
    assert json.loads(done.stdout)["done"] == 8, done.stderr


def test_a_dry_run_shows_requests_and_stores_nothing(world: World) -> None:
    world.file("dry.jsonl", *PROMPTS)
    told = world.sweep("submit", "prompt", "dry.jsonl", "-n", "dry", "--param", "temperature=0,1", "--dry-run")
    assert told.out.count('"request"') == 5
    assert told.err.count("would ask openai/gpt-4o-mini") == 2
    assert "no sweep is called 'dry'" in world.sweep("status", "dry", code=2).err


def test_a_spec_file_holds_a_grid(world: World) -> None:
    world.file("grid.jsonl", *PROMPTS[:2])
    (world.folder / "grid.toml").write_text(
        textwrap.dedent("""
            kind = "prompt"
            source = { path = "grid.jsonl" }
            targets = [
              { provider = "openai", model = "gpt-4o-mini" },
              { provider = "hyperbolic", model = "meta-llama/Llama-3.3-70B-Instruct" },
            ]
            params = { temperature = [0.0, 0.7] }
            samples = 2
            on_open = "wait"
        """)
    )
    world.sweep("submit", "grid.toml", "--watch")
    lines = world.sweep("export", "grid").lines()
    assert len(lines) == 2 * 2 * 2 * 2
    assert {line["provider"] for line in lines} == {"openai", "hyperbolic"}
    assert lines[0]["key"] == "q0 @ openai/gpt-4o-mini temperature=0.0 #1"
    assert [line["key"].split(" ")[0] for line in lines] == ["q0"] * 8 + ["q1"] * 8


def test_docstrings_become_a_patch_and_then_source(world: World) -> None:
    source = world.folder / "shop.py"
    source.write_text(CODE)
    world.sweep("submit", "docstring", "shop.py", "-n", "docs", "--style", "numpy", "--watch")
    patch = world.sweep("apply", "docs", "--diff").out
    assert world.sweep("export", "docs", "-f", "patch", "-o", "-").out == patch
    assert patch.startswith(("--- a/", "diff --git"))
    assert source.read_text() == CODE
    world.sweep("export", "docs", "-f", "json", "-o", "docs.json")
    assert len(json.loads((world.folder / "docs.json").read_text())) == 3
    applied = world.sweep("apply", "docs")
    assert "3 docstrings in 1 files" in applied.err
    assert "Parameters\n    ----------" in source.read_text()
    assert "3 were there already" in world.sweep("apply", "docs").err
    source.write_text(source.read_text().replace("width * height", "width + height").replace('"""', "'''"))
    assert world.sweep("apply", "docs", code=1).err.startswith("refused: ")


def test_a_dictionary_is_written_in_every_format(world: World) -> None:
    _warehouse(world.folder / "orders.db")
    world.sweep("submit", "dictionary", "sqlite:///orders.db", "-n", "dictionary", "--sample-rows", "100", "--watch")
    for fmt in ("markdown", "csv", "json", "dbt", "sql", "xlsx"):
        told = world.sweep("export", "dictionary", "-f", fmt)
        assert "2 fields" in told.err
    made = {path.name for path in world.folder.glob("dictionary*")}
    assert made == {"dictionary", *(f"dictionary.{suffix}" for suffix in ("csv", "json", "yml", "sql", "xlsx"))}
    assert (world.folder / "dictionary" / "index.md").is_file()


def test_a_gap_report_holds_code_against_its_design(world: World) -> None:
    (world.folder / "store.py").write_text(CODE)
    (world.folder / "design.md").write_text("# Store\n\n- `area` gives width times height.\n- A basket adds items.\n")
    world.sweep("submit", "gap", "store.py", "design.md", "-n", "gap", "--watch")
    for fmt in ("markdown", "json", "sarif"):
        world.sweep("export", "gap", "-f", fmt)
    assert {path.name for path in world.folder.glob("gap.*")} == {"gap.md", "gap.json", "gap.sarif"}


def test_documents_are_found_by_meaning_and_vectors_pruned(world: World) -> None:
    docs = world.folder / "texts"
    docs.mkdir()
    (docs / "retry.md").write_text("# Retrying\n\nA task that failed is tried again after a growing pause.\n")
    (docs / "colour.md").write_text("# Colours\n\nThe palette has seven shades of green and two of blue.\n")
    world.sweep("submit", "embedding", "texts", "-n", "texts", "--param", "dimensions=64,128", "--watch")
    assert world.sweep("status", "texts", "--json").json()["jobs"] == 4
    (hit,) = world.sweep("search", "how do I try a failed task again?", "--sweep", "texts", "-k", "1", "--json").json()
    assert hit["key"].startswith("texts/retry.md#0001")
    assert set(hit) == {"key", "score", "sweep", "text"}
    assert "retry.md" in world.sweep("search", "failed task").out
    assert "vectors of 64" in world.sweep("export", "texts", "-f", "npy", "-o", "vectors.npy").err
    assert "4 vectors would be deleted" in world.sweep("prune", "texts", "--dry-run").err
    assert "4 vectors deleted" in world.sweep("prune", "texts").err


def test_pause_resume_and_cancel_are_told_and_a_cancelled_sweep_is_no_success(world: World) -> None:
    world.file("steered.jsonl", *({"id": f"s{n}", "prompt": f"steer {n}"} for n in range(3)))
    # Nobody works on this provider's queue.
    words = ("submit", "prompt", "steered.jsonl", "-n", "steered", "-p", "azure", "-m", "gpt-4o")
    world.sweep(*words, AZURE_OPENAI_ENDPOINT="http://127.0.0.1:9", AZURE_OPENAI_API_KEY="none")
    assert "steered is paused" in world.sweep("pause", "steered").err
    assert world.sweep("status", "steered", "--json").json()["state"] == "paused"
    assert "steered is running" in world.sweep("resume", "steered").err
    assert "steered is cancelled" in world.sweep("cancel", "steered").err
    assert world.sweep("watch", "steered", code=None).code == 1
    assert "is cancelled" in world.sweep("resume", "steered", code=2).err


def test_a_model_that_the_provider_does_not_have_fails_with_the_providers_own_words(world: World) -> None:
    world.file("unknown.jsonl", *PROMPTS[:2])
    told = world.sweep("submit", "prompt", "unknown.jsonl", "-n", "unknown", "-m", "gpt-99", "--watch", code=1)
    assert "2 failed" in told.out
    lines = world.sweep("export", "unknown").lines()
    assert [line["error"]["status"] for line in lines] == [404, 404]
    assert "gpt-99" in lines[0]["error"]["message"]
    assert "2 failed jobs" in world.sweep("retry", "unknown", "--failed").err
    assert world.sweep("watch", "unknown", code=1).code == 1


def test_a_refused_key_parks_the_sweep_and_it_goes_on_when_told(world: World) -> None:
    world.file("parked.jsonl", *({"id": f"p{n}", "prompt": f"park {n}"} for n in range(4)))
    world.simulator.fail("401")
    try:
        told = world.sweep("submit", "prompt", "parked.jsonl", "-n", "parked", "--watch", code=3)
    finally:
        world.simulator.fail()
    assert "openai" in told.out
    found = world.sweep("status", "parked", "--json", code=3).json()
    assert (found["state"], found["pending"]) == ("paused", 4)
    world.sweep("resume", "parked")
    assert "4 done" in world.sweep("watch", "parked").out


def test_a_budget_parks_the_sweep_before_it_costs_more(world: World) -> None:
    world.file("dear.jsonl", *({"id": f"d{n}", "prompt": f"dear {n} " * 50} for n in range(20)))
    told = world.sweep("submit", "prompt", "dear.jsonl", "-n", "dear", "--budget", "0.0101", "--watch", code=3)
    assert "budget_exhausted" in told.out
    found = world.sweep("status", "dear", "--json", code=3).json()
    assert found["pending"] > 0
    assert found["cost_usd_max"] <= found["budget_usd"] == 0.0101
    world.sweep("resume", "dear", "--budget", "1")
    assert world.sweep("watch", "dear").code == 0


def test_answers_that_are_refused_fall_back_on_rules_and_are_asked_for_again(world: World) -> None:
    (world.folder / "plain.py").write_text("def plus(a: int, b: int) -> int:\n    return a + b\n")
    world.simulator.fail("wrong-schema")
    try:
        words = ("submit", "docstring", "plain.py", "-n", "plain", "--on-reject", "fallback", "--watch")
        assert "1 by rule" in world.sweep(*words, code=0).out
    finally:
        world.simulator.fail()
    assert "1 answered by rule" in world.sweep("retry", "plain", "--fallbacks").err
    assert "1 done" in world.sweep("watch", "plain").out


@pytest.mark.parametrize(
    ("module", "words", "said"),
    [
        ("prompt_grid", ["examples.jsonl"], "q0 @ openai/gpt-4o-mini temperature=0.0 #1\t0.0\t"),
        ("describe_warehouse", ["sqlite:///warehouse.db"], "orders.total: "),
        ("document_package", ["wheel", "wheel.patch"], "wheel.patch: "),
    ],
)
def test_the_example_producers_do_what_they_say(world: World, module: str, words: list[str], said: str) -> None:
    world.file("examples.jsonl", *PROMPTS[:2])
    _warehouse(world.folder / "warehouse.db")
    (world.folder / "wheel").mkdir(exist_ok=True)
    (world.folder / "wheel" / "__init__.py").write_text(CODE)
    done = subprocess.run(
        [BIN / "python", "-m", f"scripts.examples.{module}", *words],
        cwd=world.folder,
        env=dict(world.env),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert said in done.stdout


def _warehouse(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, total NUMERIC)")


def test_every_command_has_a_help_text_with_an_example(world: World) -> None:
    commands: dict[str, Any] = {"": ["demo", "up", "worker", "ls", "export"], "submit": ["docstring", "spec"]}
    for group, names in commands.items():
        for name in names:
            words = [word for word in (group, name) if word]
            assert "Example: " in world.sweep(*words, "--help").out.replace("\n", " ")
