from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from core.errors import InputError
from core.fingerprint import fingerprint
from core.model import Accepted, Answer, Job, JobDraft, Rejected, ResultRow, Variant
from tasks.embedding import KIND
from tasks.kind import SweepKind
from tests.records import row

SMALL = Variant(provider="openai", model="text-embedding-3-small")


def _job(text: str) -> Job:
    return Job(id=1, key="a.txt#0001", input={"text": text})


def _answer(values: Any) -> Answer:
    return Answer(call_id=1, vector=np.array(values, dtype=np.float32))


def _row(i: int, vector: Any, **changes: Any) -> ResultRow:
    given: dict[str, Any] = {
        "key": f"a.txt#{i:04}",
        "input": {"document": "a.txt", "position": i},
        "result": {},
        "model": "small",
        "vector": None if vector is None else np.array(vector, dtype=np.float32),
    }
    return row(i, **(given | changes))


def test_it_is_a_sweep_kind_without_rule_based_vectors() -> None:
    kind: SweepKind = KIND

    assert kind.name == "embedding"
    assert kind.fallback(_job("x"), {}) is None
    assert kind.answer(()) is None


def test_nul_and_surrounding_white_space_change_no_fingerprint() -> None:
    prints = {fingerprint(KIND.request(_job(text), SMALL, {})) for text in ("text", " te\0xt\n", "\0text\t")}

    assert len(prints) == 1


def test_model_dimensions_and_provider_each_change_the_fingerprint() -> None:
    other = [
        (SMALL, {"dimensions": 256}),
        (Variant(provider="openai", model="text-embedding-3-large"), {}),
        (Variant(provider="azure", model=SMALL.model), {}),
        (SMALL, {}),
    ]

    assert len({fingerprint(KIND.request(_job("text"), variant, options)) for variant, options in other}) == 4


def test_a_grid_of_dimensions_goes_before_the_option() -> None:
    variant = Variant(provider="openai", model="m", params={"dimensions": 512})

    assert KIND.request(_job("x"), variant, {"dimensions": 256}).dimensions == 512


def test_a_corpus_with_one_edited_document_asks_only_for_the_chunks_around_the_edit(tmp_path: Path) -> None:
    for name in ("a.md", "b.md", "c.md"):
        sections = [f"# {name} part {i}\n\n{f'Sentence {i} of {name}. ' * 40}" for i in range(30)]
        (tmp_path / name).write_text("\n\n".join(sections))
    before = _prints(tmp_path)

    edited = tmp_path / "b.md"
    edited.write_text(edited.read_text().replace("# b.md part 10\n", "# b.md part 10\n\nA sentence that is new.\n"))
    after = _prints(tmp_path)

    assert len(before) > 60
    assert 1 <= len(after - before) <= 3
    assert len(before - after) <= 3


def _prints(directory: Path) -> set[str]:
    found = KIND.jobs({"paths": [str(directory)]}, {"chunk_tokens": 200, "overlap": 20})
    drafts = (draft for draft in found if isinstance(draft, JobDraft))
    return {fingerprint(KIND.request(Job(id=1, key=draft.key, input=draft.input), SMALL, {})) for draft in drafts}


@pytest.mark.parametrize("params", [{"temperature": 1}, {"dimensions": "many"}, {"dimensions": 0}])
def test_parameters_that_embedding_does_not_have_are_refused(params: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        KIND.request(_job("x"), Variant(provider="openai", model="m", params=params), {})


def test_a_sound_vector_is_accepted_with_its_dimension_and_norm() -> None:
    assert KIND.accept(_job("x"), _answer([3, 4]), {"dimensions": 2}) == Accepted(result={"dimension": 2, "norm": 5.0})


@pytest.mark.parametrize(
    ("values", "why"),
    [([0, 0], "zero"), ([1, np.nan], "finite"), ([1, np.inf], "finite"), ([], "no v")],
)
def test_a_vector_that_no_search_can_use_is_rejected(values: Any, why: str) -> None:
    verdict = KIND.accept(_job("x"), _answer(values), {"dimensions": 2})

    assert isinstance(verdict, Rejected)
    assert why in verdict.reason


def test_vectors_are_exported_with_their_keys_beside(tmp_path: Path) -> None:
    rows = [_row(1, [1, 2]), _row(2, None), _row(3, [3, 4])]

    said = KIND.export(iter(rows), "npy", tmp_path / "out.npy")

    loaded = np.load(tmp_path / "out.npy")
    keys = [orjson.loads(line) for line in (tmp_path / "out.jsonl").read_bytes().splitlines()]
    assert loaded.tolist() == [[1, 2], [3, 4]]
    assert loaded.dtype == np.float32
    assert [(key["row"], key["key"]) for key in keys] == [(0, "a.txt#0001"), (1, "a.txt#0003")]
    assert said.startswith("2 vectors of 2 in ")
    assert "1 jobs without a vector" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.jsonl", "out.npy"]


def test_each_model_and_dimension_gets_files_of_its_own(tmp_path: Path) -> None:
    rows = [_row(1, [1, 2]), _row(2, [1, 2, 3]), _row(3, [5, 6], model="org/large")]

    KIND.export(iter(rows), "npy", tmp_path / "out.npy")

    assert np.load(tmp_path / "out.openai.small.2.npy").shape == (1, 2)
    assert np.load(tmp_path / "out.openai.small.3.npy").shape == (1, 3)
    assert np.load(tmp_path / "out.openai.org_large.2.npy").tolist() == [[5, 6]]


def test_an_export_of_nothing_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no vectors to export"):
        KIND.export(iter([_row(1, None)]), "npy", tmp_path / "out.npy")

    assert list(tmp_path.iterdir()) == []


def test_an_export_into_a_missing_directory_or_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot write"):
        KIND.export(iter([_row(1, [1])]), "npy", tmp_path / "no" / "out.npy")
    with pytest.raises(InputError, match="no format 'xml'"):
        KIND.export(iter([]), "xml", tmp_path / "out.xml")
