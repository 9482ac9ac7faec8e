"""Acceptance by code, not by trust; and the rule-based writer passes it."""

import json
from pathlib import Path
from typing import Any

import pytest

from core.fingerprint import fingerprint
from core.model import Accepted, Answer, ChatRequest, Job, JobDraft, Message, Rejected, Variant, Verdict
from tasks.docstring import KIND

SOURCE = """
LIMIT = 3

def read(path: str, *rest, mode="r", **kw) -> int:
    if not path:
        raise ValueError("no path")
    return len(open(path, mode).read()) + LIMIT
"""
VARIANT = Variant(provider="p", model="m")


def job(root: Path, source: str = SOURCE, name: str = "m") -> Job:
    (root / f"{name}.py").write_text(source)
    draft = next(iter(KIND.jobs({"paths": [str(root / f"{name}.py")]}, {})))
    assert isinstance(draft, JobDraft)
    return Job(id=1, key=draft.key, input=draft.input)


def request(work: Job) -> ChatRequest:
    found = KIND.request(work, VARIANT, {})
    assert isinstance(found, ChatRequest)
    return found


def verdict(work: Job, **changed: Any) -> Verdict:
    text = KIND.answer(request(work).messages)
    assert text is not None
    return KIND.accept(work, Answer(call_id=1, text=json.dumps({**json.loads(text), **changed})), {})


def params(*names: str) -> list[dict[str, str]]:
    return [{"name": name, "description": "Something."} for name in names]


ALL = ("path", "rest", "mode", "kw")


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"params": params("path")}, "lacks rest, mode, kw"),
        ({"params": params(*ALL, "invented")}, "invented"),
        ({"params": params(*ALL, "path")}, "twice"),
        ({"params": [*params("path", "rest", "mode"), {"name": "kw", "description": " "}]}, "no description for kw"),
        ({"raises": [{"type": "KeyError", "condition": "If so."}]}, "KeyError"),
        ({"raises": [{"type": "ValueError", "condition": ""}]}, "no condition"),
        ({"returns": None}, "returns must say"),
        ({"yields": "Items."}, "yields must be null"),
        ({"summary": ""}, "summary is empty"),
        ({"summary": "One\ntwo."}, "one line"),
        ({"summary": "word " * 30}, "longer than"),
        ({"summary": "@brief Read."}, "begin with a word"),
        ({"description": "Uses `nothere`."}, "nothere"),
        ({"description": "Calls foo_bar() first."}, "foo_bar"),
        ({"description": "May end in a CustomError."}, "CustomError"),
        ({"description": "Raises KeyError at times."}, "KeyError"),
        ({"description": "```python\nx\n```"}, "plain sentences"),
        ({"description": ">>> read('x')"}, "plain sentences"),
        ({"description": "TODO: write this."}, "plain sentences"),
        ({"description": "Args:\n    path: x"}, "plain sentences"),
        ({"description": ":param path: x"}, "plain sentences"),
        ({"description": "a\x00b"}, "control"),
        ({"summary": "Gibt die Laenge der Datei."}, "English"),
        ({"summary": "读取文件内容。"}, "English"),
        ({"summary": 1}, "valid string"),
        ({"extra": 1}, "extra"),
    ],
)
def test_an_answer_that_says_what_the_code_does_not_is_rejected(
    tmp_path: Path, changed: dict[str, Any], reason: str
) -> None:
    judged = verdict(job(tmp_path), **changed)
    assert isinstance(judged, Rejected)
    assert reason in judged.reason


@pytest.mark.parametrize("text", ["", "null", "[]", "Sure! Here is it.", '{"summary": "x"', "<html></html>"])
def test_what_is_no_answer_at_all_is_rejected(tmp_path: Path, text: str) -> None:
    assert isinstance(KIND.accept(job(tmp_path), Answer(call_id=1, text=text), {}), Rejected)


def test_stars_fences_and_typography_are_put_in_order(tmp_path: Path) -> None:
    work = job(tmp_path)
    told = {
        "summary": "Return the “length” — of it",
        "params": params("**kw", "mode", "*rest", "path"),
        "returns": "The length",
        "raises": [{"type": "builtins.ValueError", "condition": "If `path` is empty"}],
    }
    judged = KIND.accept(work, Answer(call_id=1, text=f"```json\n{json.dumps(told)}\n```"), {})
    assert isinstance(judged, Accepted)
    assert judged.result["answer"]["summary"] == 'Return the "length" - of it.'
    assert [param["name"] for param in judged.result["answer"]["params"]] == list(ALL)
    assert judged.result["answer"]["raises"][0]["type"] == "ValueError"


def test_code_in_backticks_may_be_in_any_script(tmp_path: Path) -> None:
    work = job(tmp_path, "def f(a):\n    return a + größe + 长度\n\nlength = 1\n")
    assert isinstance(verdict(work, description="Adds `größe` and `长度`."), Accepted)


def test_names_of_the_source_the_module_and_builtins_resolve(tmp_path: Path) -> None:
    assert isinstance(verdict(job(tmp_path), description="Adds `LIMIT` to `len(open(path))`."), Accepted)


def test_the_rule_based_answer_reads_like_the_code(tmp_path: Path) -> None:
    work = job(tmp_path)
    result = KIND.fallback(work, {"style": "google"})
    assert result is not None
    assert result["docstring"] == (
        "Read the path.\n\n"
        "Args:\n"
        "    path (str): The path, passed to `open`.\n"
        "    *rest: Any number of rests.\n"
        "    mode: The mode, passed to `open`. Defaults to `'r'`.\n"
        "    **kw: Further keyword arguments.\n\n"
        "Returns:\n"
        "    int: The value of `len(open(path, mode).read()) + LIMIT`.\n\n"
        "Raises:\n"
        "    ValueError: If `path` is not set."
    )


@pytest.mark.parametrize(
    ("source", "summary"),
    [
        ("class A:\n    def is_open(self): return True", "Tell whether the a is open."),
        ("def to_json(x): return x", "Convert to a JSON."),
        ("def get_user_id(x): return x", "Get the user ID."),
        ("def parse(text): return 1", "Parse the text."),
        ("def on_task_event(e): pass", "Handle the task event."),
        ("def load_from_file(x): return x", "Load the x from the file."),
        ("def rows(): yield 1", "Yield the rows."),
        ("def colour(): return 1", "Return the colour."),
        ("class HTTPServer: pass", "An HTTP server."),
        ("class TaskRevoke(Handler): pass", "Revokes a task."),
        ("class ParseError(Exception): pass", "Signals a parse error."),
    ],
)
def test_summaries_come_from_names(tmp_path: Path, source: str, summary: str) -> None:
    drafts = list(KIND.jobs({"paths": [str(_written(tmp_path, source))]}, {}))
    draft = drafts[-1]
    assert isinstance(draft, JobDraft)
    text = KIND.answer(request(Job(id=1, key=draft.key, input=draft.input)).messages)
    assert text is not None
    assert json.loads(text)["summary"] == summary


def _written(root: Path, source: str) -> Path:
    path = root / "m.py"
    path.write_text(source)
    return path


def test_the_same_code_gives_the_same_request_wherever_it_lies(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    one = request(job(tmp_path))
    other = request(job(tmp_path / "sub", "\n\n" + SOURCE, "other"))
    assert fingerprint(one) == fingerprint(other)


def test_the_prompt_is_known_again_after_a_repair_turn_and_others_are_not(tmp_path: Path) -> None:
    messages = request(job(tmp_path)).messages
    repaired = [*messages, Message(role="assistant", content="{}"), Message(role="user", content="summary is missing")]
    assert KIND.answer(repaired) == KIND.answer(messages)
    assert KIND.answer([Message(role="user", content="Facts:\n{}")]) is None
    assert KIND.answer([messages[0], Message(role="user", content="Facts:\nno json")]) is None


def test_a_variable_that_is_called_todo_may_be_named_but_nothing_is_left_to_do(tmp_path: Path) -> None:
    work = job(tmp_path, "def f(todo, TODO):\n    return todo.pop(TODO)\n")
    assert isinstance(verdict(work, description="Takes from `todo` what `TODO` names; the todo list stays."), Accepted)
    assert isinstance(verdict(work, description="TODO: tell more."), Rejected)
