"""Embedding sweeps from the command line: deployments that are asked first, documents that change."""

import json
from pathlib import Path

import pytest

from tests.commands import Refused, World

TEXT = "# {name}\n\nWhat {name} is for, and how it is used, in a sentence about {name}.\n"


def corpus(world: World, folder: str, *names: str) -> Path:
    docs = world.folder / folder
    docs.mkdir(exist_ok=True)
    for name in names:
        (docs / f"{name}.md").write_text(TEXT.format(name=name))
    return docs


def inputs(world: World) -> int:
    found = world.simulator.stats()["inputs"]
    assert isinstance(found, int)
    return found


def test_a_deployment_is_asked_once_for_the_whole_cluster_and_told(world: World) -> None:
    corpus(world, "probed", "alpha", "beta")
    before = inputs(world)

    first = world.sweep("submit", "embedding", "probed", "-n", "probed", "--dimensions", "96", "--watch").err
    again = world.sweep("submit", "embedding", "probed", "-n", "probed-again", "--dimensions", "96", "--watch").err

    line = "probed openai/text-embedding-3-small (96): 96 dimensions, normalised, texts of up to 8,192 tokens"
    assert line in first
    assert line in again
    assert inputs(world) - before == 3  # two texts and one probe


def test_an_invalid_deployment_is_left_out_and_named_and_the_others_go_on(world: World) -> None:
    corpus(world, "mixed-texts", "gamma")
    words = (
        "submit",
        "embedding",
        "mixed-texts",
        "-n",
        "mixed-texts",
        "-m",
        "text-embedding-3-small,gone-3",
        "--watch",
    )

    told = world.sweep(*words, code=1)

    assert "left out: openai/gone-3: " in told.err
    status = world.sweep("status", "mixed-texts", "--json").json()
    assert (status["state"], status["jobs"], status["done"], status["failed"]) == ("done", 1, 1, 0)
    # Told again, the sweep is the same one.
    assert "is done already" in world.sweep(*words, code=1).err


def test_a_dimension_that_no_deployment_has_is_a_point_of_the_grid_that_is_left_out(world: World) -> None:
    corpus(world, "points", "delta")
    words = ("-n", "points", "--param", "dimensions=32,99999", "--watch")

    told = world.sweep("submit", "embedding", "points", *words, code=1)

    assert "left out: openai/text-embedding-3-small (99999): " in told.err
    (line,) = world.sweep("export", "points").lines()
    assert line["result"]["dimension"] == 32


def test_without_a_deployment_that_works_nothing_is_stored(world: World, refused: Refused) -> None:
    corpus(world, "none", "epsilon")

    said = refused("submit", "embedding", "none", "-n", "none", "-m", "gone-1")

    assert "no deployment gives vectors" in said
    assert "none" not in {sweep["name"] for sweep in world.sweep("ls", "--json").json()}


def test_without_a_probe_nobody_is_asked_before(world: World) -> None:
    corpus(world, "unasked", "zeta")
    before = inputs(world)

    told = world.sweep("submit", "embedding", "unasked", "-n", "unasked", "--dimensions", "48", "--no-probe", "--watch")

    assert "probed" not in told.err
    assert inputs(world) - before == 1


def test_only_what_changed_is_embedded_anew_and_what_is_gone_can_be_pruned(world: World) -> None:
    docs = corpus(world, "changing", "one", "two", "three")
    words = ("submit", "embedding", "changing", "--dimensions", "80", "--watch", "-n")
    world.sweep(*words, "corpus-1")
    before = inputs(world)

    (docs / "two.md").write_text(TEXT.format(name="something else"))
    (docs / "three.md").unlink()
    world.sweep(*words, "corpus-2")

    assert inputs(world) - before == 1
    lines = world.sweep("export", "corpus-2").lines()
    assert {Path(line["key"]).name: line["cached"] for line in lines} == {"one.md#0001": True, "two.md#0001": False}
    assert "2 vectors deleted" in world.sweep("prune", "corpus-1").err
    assert "sound" in _vectors(world)
    hits = world.sweep("search", "something else", "--sweep", "corpus-2", "-k", "5", "--json").json()
    assert {Path(hit["key"]).name for hit in hits} == {"one.md#0001", "two.md#0001"}


def _vectors(world: World) -> str:
    return next(line for line in world.sweep("doctor", code=None).out.splitlines() if "vectors" in line)


@pytest.mark.parametrize("fault", ["nan-vector:1", "short-vector:1", "zero-vector:1"])
def test_one_bad_vector_fails_its_job_and_a_retry_mends_it(world: World, fault: str) -> None:
    name = fault.partition(":")[0]
    corpus(world, name, f"{name}-a", f"{name}-b", f"{name}-c")
    world.simulator.fail(fault)

    world.sweep("submit", "embedding", name, "-n", name, "--dimensions", "40", "--no-probe", "--watch", code=1)
    world.simulator.fail()

    states = [json.loads(line)["state"] for line in world.sweep("export", name).out.splitlines()]
    assert sorted(states) == ["done", "done", "failed"]
    before = inputs(world)
    world.sweep("retry", name, "--failed")
    world.sweep("watch", name)
    assert inputs(world) - before == 1
    assert world.sweep("status", name, "--json").json()["done"] == 3
