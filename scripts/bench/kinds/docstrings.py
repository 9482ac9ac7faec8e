"""Docstrings for packages that have few, and an examination that shares no code with the insertion."""

import ast
import io
import json
import shutil
import tokenize
from collections.abc import Iterable, Iterator
from importlib.machinery import PathFinder
from pathlib import Path

from scripts.bench.kinds import lint
from scripts.bench.kinds.stage import Stage
from scripts.bench.report import Row
from tasks.docstring.apply import apply

PACKAGES = ("celery", "kombu", "billiard", "flower", "prompt_toolkit")
_OPTIONS = {"modules": True}
_SPOILS = ("invented_parameter", "InventedConnectionError", "Sure! Here is what you asked for")
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def measure(stage: Stage) -> list[Row]:
    """Copies the packages, documents them, and compares every file with what it was."""
    tree = stage.directory / "packages"
    for name in PACKAGES:
        _copy(name, tree)
    before = {path: path.read_text(encoding="utf-8") for path in sorted(tree.rglob("*.py"))}
    had, all_ = _coverage(before)
    ruff_before, doclint_before = lint.ruff(tree), lint.pydoclint(tree, stage.directory)
    swept = stage.sweep("docstrings", "docstring", {"paths": [str(tree)]}, options=_OPTIONS)
    callees = [len(found) for found in _callees(stage.prompts(swept.name)) if found]
    again = stage.sweep("docstrings-again", "docstring", {"paths": [str(tree)]}, options=_OPTIONS)
    with stage.rows(swept.name) as rows:
        applied = apply(rows)
    after = {path: path.read_text(encoding="utf-8") for path in before}
    has, _ = _coverage(after)
    changed = [path for path in before if before[path] != after[path]]
    ruff_after, doclint_after = lint.ruff(tree), lint.pydoclint(tree, stage.directory)
    other_code = sum(_code(before[path]) != _code(after[path]) for path in before)
    other_comments = sum(_comments(before[path]) != _comments(after[path]) for path in before)
    spoiled = sum(any(mark in after[path] and mark not in before[path] for mark in _SPOILS) for path in before)
    new_errors = sum((ruff_after - ruff_before).values())
    return [
        Row(row=f"without a docstring, in {len(PACKAGES)} packages", value=swept.status.jobs, unit="jobs"),
        Row(row="answers made wrong by the simulator", value=swept.spoiled, unit="answers"),
        Row(row="answers refused by acceptance", value=swept.refused, unit="answers"),
        Row(row="jobs without a docstring after the repair turn", value=swept.status.failed, unit="jobs"),
        Row(row="prompts that tell what callees do", value=len(callees), unit="prompts"),
        Row(row="callees told in them", value=sum(callees), unit="callees"),
        Row(row="calls of a second sweep over the same source", value=again.status.calls, unit="calls", goal="0",
            holds=not again.status.calls),
        Row(row="docstrings inserted", value=applied.inserted, unit="docstrings", goal="= jobs done",
            holds=applied.inserted == swept.status.done and not applied.skipped),
        Row(row="files changed", value=len(changed), unit="files"),
        Row(row="coverage before", value=round(100 * had / all_, 1), unit="%"),
        Row(row="coverage after", value=round(100 * has / all_, 1), unit="%"),
        Row(row="ruff D findings before", value=ruff_before.total(), unit="findings"),
        Row(row="ruff D findings after", value=ruff_after.total(), unit="findings", goal="fewer",
            holds=ruff_after.total() < ruff_before.total()),
        Row(row="ruff D findings of rules that grew", value=new_errors, unit="findings"),
        Row(row="pydoclint findings before", value=doclint_before.total(), unit="findings"),
        Row(row="pydoclint findings after", value=doclint_after.total(), unit="findings"),
        *_doclint(doclint_before.total() / had, doclint_after.total() / has),
        Row(row="files whose code changed", value=other_code, unit="files", goal="0", holds=not other_code),
        Row(row="files whose comments changed", value=other_comments, unit="files", goal="0", holds=not other_comments),
        Row(row="files with a wrong answer in them", value=spoiled, unit="files", goal="0", holds=not spoiled),
        Row(row="time, submit to end", value=round(swept.seconds, 1), unit="s"),
    ]  # fmt: skip


def _callees(prompts: Iterable[str]) -> Iterator[dict[str, str]]:
    """What the facts in each prompt tell of callees; the facts are its second line."""
    for prompt in prompts:
        yield json.loads(prompt.splitlines()[1]).get("callees", {})


def _doclint(before: float, after: float) -> Iterator[Row]:
    """A share, because pydoclint looks at what has a docstring: more of them, more findings."""
    yield Row(row="pydoclint findings a hundred docstrings, before", value=round(100 * before, 1), unit="")
    yield Row(
        row="pydoclint findings a hundred docstrings, after", value=round(100 * after, 1), unit="", goal="fewer",
        holds=after < before,
    )  # fmt: skip


def _copy(name: str, tree: Path) -> None:
    found = PathFinder.find_spec(name)  # kombu has no spec once it is imported
    if found is None or found.origin is None:
        raise LookupError(f"{name} is not installed")
    shutil.copytree(Path(found.origin).parent, tree / name, ignore=shutil.ignore_patterns("__pycache__"))


def _coverage(files: dict[Path, str]) -> tuple[int, int]:
    """Functions and classes with a docstring, and all of them: private and nested ones too."""
    nodes = [node for text in files.values() for node in ast.walk(ast.parse(text)) if isinstance(node, _DEFINITIONS)]
    return sum(bool(ast.get_docstring(node)) for node in nodes), len(nodes)


def _code(text: str) -> str:
    """The syntax tree without docstrings."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, (*_DEFINITIONS, ast.Module)) and node.body:
            first = node.body[0]
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                del node.body[0]
    return ast.dump(tree)


def _comments(text: str) -> list[str]:
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return [token.string for token in tokens if token.type == tokenize.COMMENT]
