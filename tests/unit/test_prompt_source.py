import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from core.errors import InputError
from core.model import JobDraft
from tasks.kind import Problem
from tasks.prompt import KIND


def _found(path: Path | str, **options: Any) -> tuple[list[JobDraft], list[Problem]]:
    found = list(KIND.jobs({"path": str(path)}, options))
    return [f for f in found if isinstance(f, JobDraft)], [f for f in found if isinstance(f, Problem)]


def _file(tmp_path: Path, content: str | bytes, name: str = "prompts.jsonl") -> Path:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def _keys(jobs: list[JobDraft]) -> list[str]:
    return [job.key for job in jobs]


def test_every_line_is_a_job_keyed_by_its_id_its_key_or_its_line_number(tmp_path: Path) -> None:
    path = _file(tmp_path, '{"prompt": "a", "id": "x"}\n{"prompt": "b", "key": 7}\n\n{"prompt": "c"}\n')

    jobs, problems = _found(path)

    assert _keys(jobs) == ["x", "7", "0000004"]
    assert jobs[0].input == {"row": {"prompt": "a", "id": "x"}}
    assert problems == []


def test_another_column_can_be_the_key(tmp_path: Path) -> None:
    assert _keys(_found(_file(tmp_path, '{"prompt": "a", "id": 1, "sku": "A-1"}\n'), key="sku")[0]) == ["A-1"]


def test_csv_rows_may_span_lines_and_use_other_delimiters(tmp_path: Path) -> None:
    comma = _file(tmp_path, 'id,prompt\n1,"two\nlines, one ""row"""\n', "a.csv")
    semicolon = _file(tmp_path, "id;prompt\r\n1;a, b\r\n", "b.csv")
    tab = _file(tmp_path, "id\tprompt\n1\ta, b; c\n", "c.tsv")

    assert _found(comma)[0][0].input["row"] == {"id": "1", "prompt": 'two\nlines, one "row"'}
    assert _found(semicolon)[0][0].input["row"]["prompt"] == "a, b"
    assert _found(tab)[0][0].input["row"]["prompt"] == "a, b; c"


@pytest.mark.parametrize(("content", "prompt"), [('{"prompt": "a"}\n', "a"), ("prompt,id\nb,1\n", "b")])
def test_standard_input_and_files_of_any_name_tell_their_format_by_their_first_character(
    content: str, prompt: str, tmp_path: Path
) -> None:
    reading = 'import json; from tasks.prompt import KIND; print(json.dumps(next(KIND.jobs({"path": "-"}, {})).input))'
    piped = subprocess.run([sys.executable, "-c", reading], input=content.encode(), capture_output=True, check=True)

    assert json.loads(piped.stdout)["row"]["prompt"] == prompt
    assert _found(_file(tmp_path, content, "prompts"))[0][0].input["row"]["prompt"] == prompt


def test_bad_lines_are_named_by_number_and_the_others_go_on(tmp_path: Path) -> None:
    path = _file(
        tmp_path,
        b'{"prompt": "good"}\n'
        b"not json\n"
        b'["a", "list"]\n'
        b'{"prompt": "caf\xe9"}\n'
        b'{"prompt": "  "}\n'
        b'{"question": "no prompt"}\n'
        b'{"prompt": "good", "id": "0000001"}\n'
        b'{"prompt": "cut o',
    )

    jobs, problems = _found(path)

    assert _keys(jobs) == ["0000001"]
    assert [(problem.where.removeprefix(f"{path}:"), problem.what.partition(":")[0]) for problem in problems] == [
        ("2", "not JSON"),
        ("3", "a list, not an object with named fields"),
        ("4", "not UTF-8"),
        ("5", "the prompt is empty"),
        ("6", "'prompt' is undefined; columns"),
        ("0000001", "this key was there before; only the first one becomes a job"),
        ("8", "not JSON"),
    ]


def test_bad_csv_rows_are_named_by_line_and_the_others_go_on(tmp_path: Path) -> None:
    path = _file(tmp_path, b'prompt,id\na,1\nb,2,3\nc\xff,4\n"d"x,5\ne,6\n', "a.csv")

    jobs, problems = _found(path)

    assert _keys(jobs) == ["1", "6"]
    assert [problem.where.removeprefix(f"{path}:") for problem in problems] == ["3", "4", "5"]
    assert problems[0].what == "3 cells under 2 columns"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "there is no prompt in"),
        ("\n\n", "there is no prompt in"),
        ("oops\n", "not JSON"),
        (b"\xff\xfe\x00", "broken utf-16"),
        (bytes(range(256)), "not UTF-8"),
        ('{"prompt": ""}\n', "the prompt is empty"),
        ("[]", "a list"),
    ],
)
def test_a_file_without_a_usable_line_is_refused_with_the_reason(
    tmp_path: Path, content: str | bytes, why: str
) -> None:
    with pytest.raises(InputError, match=why):
        _found(_file(tmp_path, content))


def test_a_csv_header_that_names_a_column_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a column twice: prompt"):
        _found(_file(tmp_path, "prompt,prompt\na,b\n", "a.csv"))


def test_a_missing_file_or_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        _found(tmp_path / "no.jsonl")
    with pytest.raises(InputError, match="Is a directory"):
        _found(tmp_path)


def test_a_template_that_names_an_unknown_column_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    path = _file(tmp_path, "id,question\n1,a\n2,b\n", "a.csv")

    with pytest.raises(InputError, match="asks for 'questoin', which no record has") as caught:
        _found(path, template="Q: {{ questoin }}")

    assert caught.value.hint == "columns: id, question"


def test_a_column_that_only_some_lines_have_is_a_problem_of_the_others(tmp_path: Path) -> None:
    path = _file(tmp_path, '{"b": 1}\n{"a": 2}\n{"b": 3}\n')

    jobs, problems = _found(path, template="{{ a }}")

    assert _keys(jobs) == ["0000002"]
    assert [problem.where for problem in problems] == [f"{path}:1", f"{path}:3"]


def test_a_wrong_template_on_a_long_file_is_refused_without_reading_it_all(tmp_path: Path) -> None:
    path = _file(tmp_path, '{"b": 1}\n' * 1000)

    with pytest.raises(InputError, match="asks for 'a'"):
        _found(path, template="{{ a }}")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"template": "{{ prompt"}, "template, line 1"),
        ({"system": "{% if %}"}, "system, line 1"),
        ({"template": "missing.jinja"}, "template file missing.jinja cannot be read"),
        ({"schema": "missing.json"}, "schema file missing.json cannot be read"),
        ({"schema": {"type": "no such type"}}, "not a JSON schema"),
    ],
)
def test_options_that_cannot_work_are_refused_before_any_line_is_read(
    tmp_path: Path, options: Mapping[str, Any], why: str
) -> None:
    with pytest.raises(InputError, match=why):
        KIND.jobs({"path": str(tmp_path / "never read")}, options)


def test_nul_characters_are_left_out(tmp_path: Path) -> None:
    jobs, _ = _found(_file(tmp_path, '{"prompt": "a\\u0000b", "list": ["\\u0000c"]}\n'))

    assert jobs[0].input["row"] == {"prompt": "ab", "list": ["c"]}


def test_a_file_in_utf16_with_its_mark_is_read(tmp_path: Path) -> None:
    assert _keys(_found(_file(tmp_path, '{"prompt": "é", "id": 1}\n'.encode("utf-16")))[0]) == ["1"]


def test_an_overlong_line_is_a_problem_and_the_next_one_is_read(tmp_path: Path) -> None:
    path = _file(tmp_path, '{"prompt": "' + "x" * (17 << 20) + '"}\n{"prompt": "a"}\n')

    jobs, problems = _found(path)

    assert _keys(jobs) == ["0000002"]
    assert problems == [Problem(where=f"{path}:1", what="longer than 16 MB")]
