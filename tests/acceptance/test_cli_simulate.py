"""`sweep submit --simulate`, as a user runs it: an answer, from what there is, and nothing left behind."""

from pathlib import Path

from tests.commands import PROMPTS, Told, World


def figures(told: Told) -> dict[str, dict[str, object]]:
    return {each["name"]: each for each in told.json()["assumptions"]}


def sweeps(world: World) -> list[tuple[str, int]]:
    return [(each["name"], each["calls"]) for each in world.sweep("ls", "--json").json()]


def test_a_forecast_rests_on_the_workers_and_answers_that_there_are_and_changes_nothing(world: World) -> None:
    path = world.file("foretold.jsonl", *PROMPTS)
    world.sweep("submit", "prompt", path, "-n", "foretold-first", "--watch")
    before = (world.simulator.stats()["requests"], sweeps(world))
    told = world.sweep("submit", "prompt", path, "-n", "foretold-again", "--simulate", "--json")
    assert (told.json()["cached_jobs"], told.json()["calls"]) == (len(PROMPTS), 0)
    assert figures(told)["workers"]["source"] == "running now"
    assert figures(told)["slots"]["value"] == 4
    fresh = world.sweep("submit", "prompt", path, "-n", "foretold-anew", "--simulate", "--json", "--no-cache").json()
    assert fresh["calls"] >= len(PROMPTS)
    assert fresh["duration_s"]["low"] <= fresh["duration_s"]["value"] <= fresh["duration_s"]["high"]
    assert fresh["cost_usd"]["value"] > 0
    assert (world.simulator.stats()["requests"], sweeps(world)) == before


def test_what_later_waves_ask_is_known_too(world: World) -> None:
    lines = ("def doubled(n):", "    return 2 * n", "", "", "def quadrupled(n):", "    return doubled(doubled(n))")
    (world.folder / "waves.py").write_text("\n".join(lines) + "\n")
    world.sweep("submit", "docstring", "waves.py", "-n", "waves", "--watch")
    again = world.sweep("submit", "docstring", "waves.py", "-n", "waves-again", "--simulate", "--json").json()
    assert (again["jobs"], again["cached_jobs"], again["calls"]) == (2, 2, 0)


def test_without_servers_a_forecast_says_that_nothing_is_known_and_starts_none(world: World, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    path = world.folder / world.file("alone.jsonl", *PROMPTS)
    words = ["submit", "prompt", str(path), "--simulate", "--workers", "3", "--assume", "latency_p50=0.1"]
    told = world.sweep(*words, cwd=tmp_path, SWEEP_DIR=str(tmp_path / ".sweep"))
    assert "time" in told.out
    assert "nothing is known of earlier calls" in told.err
    assert [entry.name for entry in tmp_path.iterdir()] == ["pyproject.toml"]


def test_bad_figures_and_figures_without_a_forecast_are_refused(world: World) -> None:
    path = world.file("bad.jsonl", *PROMPTS)
    for words in (["--simulate", "--assume", "colour=blue"], ["--workers", "2"], ["--simulate", "--workers", "0"]):
        told = world.sweep("submit", "prompt", path, *words, code=2)
        assert told.out == ""
