import codecs
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from core.errors import InputError
from core.model import JobDraft
from tasks.embedding import KIND
from tasks.kind import Problem


def _found(source: Mapping[str, Any], **options: Any) -> tuple[list[JobDraft], list[Problem]]:
    found = list(KIND.jobs(source, options))
    return [f for f in found if isinstance(f, JobDraft)], [f for f in found if isinstance(f, Problem)]


def _paths(*paths: Path, **source: Any) -> Mapping[str, Any]:
    return {"paths": [str(path) for path in paths], **source}


def test_a_directory_gives_its_text_files_sorted_and_leaves_the_rest(tmp_path: Path) -> None:
    for name in ("b.md", "a.txt", "sub/c.rst", "sub/d.html", "e.py", ".hidden/f.txt", ".g.txt", "h.csv", "i.jsonl"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"text of {name}")

    jobs, problems = _found(_paths(tmp_path))

    assert [job.key for job in jobs] == [f"{tmp_path}/{n}#0001" for n in ("a.txt", "b.md", "sub/c.rst", "sub/d.html")]
    assert problems == []


def test_a_job_tells_its_document_position_title_and_checksum(tmp_path: Path) -> None:
    path = tmp_path / "guide.md"
    path.write_text("# The Guide\n\n" + "A sentence of the guide. " * 100)

    jobs, _ = _found(_paths(path), chunk_tokens=100, overlap=10)

    assert [job.key for job in jobs] == [f"{path}#{i:04}" for i in range(1, len(jobs) + 1)]
    assert len(jobs) > 4
    assert {job.input["title"] for job in jobs} == {"The Guide"}
    assert {job.input["document"] for job in jobs} == {str(path)}
    assert [job.input["position"] for job in jobs] == list(range(1, len(jobs) + 1))
    assert len({job.input["sha256"] for job in jobs}) == 1


def test_a_relative_path_is_the_key_as_it_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.txt").write_text("text")
    monkeypatch.chdir(tmp_path)

    assert [job.key for job in _found({"paths": ["docs"]})[0]] == ["docs/a.txt#0001"]
    assert [job.key for job in _found({"paths": ["./docs//a.txt"]})[0]] == ["docs/a.txt#0001"]


def test_a_file_that_is_named_twice_or_linked_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text")
    (tmp_path / "b.txt").symlink_to(tmp_path / "a.txt")
    (tmp_path / "loop").symlink_to(tmp_path)

    jobs, problems = _found(_paths(tmp_path, tmp_path / "a.txt"))

    assert (len(jobs), problems) == (1, [])


def test_bad_files_are_named_and_the_others_go_on(tmp_path: Path) -> None:
    (tmp_path / "good.txt").write_text("text")
    (tmp_path / "empty.txt").write_text(" \n\0\n")
    (tmp_path / "latin.txt").write_bytes("café".encode("latin-1"))
    (tmp_path / "binary.txt").write_bytes(bytes(range(9)) * 10)
    (tmp_path / "utf16.txt").write_bytes("no byte order mark".encode("utf-16-le"))
    (tmp_path / "only.md").write_text("<!-- nothing -->")

    jobs, problems = _found(_paths(tmp_path, tmp_path / "missing.txt"))

    assert [job.input["text"] for job in jobs] == ["text"]
    assert {Path(problem.where).name: problem.what.partition(":")[0] for problem in problems} == {
        "empty.txt": "empty",
        "latin.txt": "not utf-8 text",
        "binary.txt": "binary, not text",
        "utf16.txt": "binary, not text",
        "only.md": "empty",
        "missing.txt": "no such file or directory",
    }


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (codecs.BOM_UTF8 + "naïve".encode(), "utf-8"),
        (codecs.BOM_UTF16_LE + "naïve".encode("utf-16-le"), "utf-8"),
        (codecs.BOM_UTF32_BE + "naïve".encode("utf-32-be"), "utf-8"),
        ("naïve".encode("latin-1"), "latin-1"),
        (b"na\0\xc3\xafve\0 \r\n", "utf-8"),
    ],
    ids=["UTF-8 with mark", "UTF-16", "UTF-32", "asked for", "NULs and white space"],
)
def test_text_arrives_whatever_way_it_is_encoded(tmp_path: Path, content: bytes, encoding: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(content)

    jobs, _ = _found(_paths(path, encoding=encoding))

    assert [job.input["text"] for job in jobs] == ["naïve"]


@pytest.mark.parametrize("make", ["nothing", "an empty directory", "an empty file", "a pipe"])
def test_a_source_without_any_text_is_refused_with_the_reason(tmp_path: Path, make: str) -> None:
    path = tmp_path / "x.txt"
    if make == "an empty directory":
        path.mkdir()
    elif make == "an empty file":
        path.touch()
    elif make == "a pipe":
        os.mkfifo(path)

    with pytest.raises(InputError, match="there is no text to embed"):
        _found(_paths(path))


def test_jsonl_gives_a_document_a_line_keyed_by_id_or_line(tmp_path: Path) -> None:
    path = tmp_path / "corpus.jsonl"
    path.write_text(
        '{"id": "doc-1", "body": "first", "title": "One"}\n'
        '{"body": "sec\\u0000ond"}\n'
        '{"id": "doc-1", "body": "again"}\n'
        "oops\n"
        '{"id": 4}\n'
        '{"id": 5, "body": 5}\n'
        '{"id": 6, "body": ""}\n'
    )

    jobs, problems = _found(_paths(path, field="body"))

    assert [(job.key, job.input["text"], job.input["title"]) for job in jobs] == [
        ("doc-1#0001", "first", "One"),
        (f"{path}:2#0001", "second", "corpus.jsonl"),
    ]
    assert [problem.where for problem in problems] == ["doc-1#0001", f"{path}:4", f"{path}:5", f"{path}:6", "6"]


def test_csv_rows_are_documents_of_the_column_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "corpus.csv"
    path.write_text('sku;note\nA;"one;\ntwo"\nB;three\n')

    jobs, problems = _found(_paths(path, column="note", key="sku"))

    assert [(job.key, job.input["text"]) for job in jobs] == [("A#0001", "one;\ntwo"), ("B#0001", "three")]
    assert problems == []


def test_a_field_that_no_line_has_is_named_with_those_there_are(tmp_path: Path) -> None:
    path = tmp_path / "corpus.csv"
    path.write_text("id,note\n1,a\n")

    with pytest.raises(InputError, match=r"no field 'text'; there are: id, note"):
        _found(_paths(path))


def test_records_in_a_directory_are_read_once_their_field_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("plain")
    (tmp_path / "b.jsonl").write_text('{"text": "line"}\n')

    assert len(_found(_paths(tmp_path))[0]) == 1
    assert len(_found(_paths(tmp_path, field="text"))[0]) == 2


def test_installed_packages_give_their_descriptions() -> None:
    jobs, problems = _found({"packages": ["Celery", "no-such-package"]})

    assert jobs[0].key == "celery#0001"
    assert "Distributed Task Queue" in jobs[0].input["text"]
    assert [(problem.where, problem.what) for problem in problems] == [
        ("no-such-package", "no such package is installed")
    ]


def test_all_installed_packages_are_some_hundred_chunks() -> None:
    jobs, _ = _found({"packages": True})

    assert len({job.input["document"] for job in jobs}) > 50
    assert len(jobs) > 300
    assert len({job.key for job in jobs}) == len(jobs)


def test_equal_documents_under_other_names_give_equal_texts(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("One.\n\nTwo.\n")
    (tmp_path / "b.txt").write_text("  One.\n\nTwo.")

    jobs, _ = _found(_paths(tmp_path))

    assert jobs[0].input["text"] == jobs[1].input["text"]


@pytest.mark.parametrize(
    ("source", "options"),
    [
        ({}, {}),
        ({"paths": []}, {}),
        ({"paths": ["a"], "unknown": 1}, {}),
        ({"paths": ["a"]}, {"chunk_tokens": 9000}),
        ({"paths": ["a"]}, {"chunk_tokens": 100, "overlap": 51}),
        ({"paths": ["a"]}, {"dimensions": 0}),
    ],
)
def test_a_spec_that_cannot_be_meant_is_refused(source: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        KIND.jobs(source, options)
