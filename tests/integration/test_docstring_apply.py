"""From rows to files: the patch that git takes, and `sweep apply`, on code that nobody here wrote."""

import ast
import importlib.util
import io
import json
import shutil
import stat
import subprocess
import tokenize
from pathlib import Path
from typing import Any

import pytest

from core.errors import InputError
from core.model import Accepted, Answer, Job, JobDraft, ResultRow, Variant
from tasks.docstring import KIND
from tasks.docstring.apply import apply, patch
from tasks.docstring.definitions import definitions, docstring_node
from tests.records import row

GIT = shutil.which("git") or "git"


def rows(root: Path, **options: Any) -> list[ResultRow]:
    """A whole sweep on the rule-based writer, through prompt and acceptance."""
    drafts = [item for item in KIND.jobs({"paths": [str(root)]}, options) if isinstance(item, JobDraft)]
    return [_row(i, draft, options) for i, draft in enumerate(drafts)]


def _row(i: int, draft: JobDraft, options: dict[str, Any]) -> ResultRow:
    job = Job(id=i, key=draft.key, input=draft.input)
    request = KIND.request(job, Variant(provider="p", model="m"), options)
    text = KIND.answer(getattr(request, "messages", ()))
    verdict = KIND.accept(job, Answer(call_id=1, text=text or ""), options)
    assert isinstance(verdict, Accepted), (draft.key, verdict)
    return row(i, key=draft.key, input=draft.input, result=verdict.result)


def package(name: str, to: Path) -> Path:
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    shutil.copytree(Path(spec.origin).parent, to, ignore=shutil.ignore_patterns("__pycache__"))
    return to


def essence(path: Path) -> tuple[str, list[str]]:
    data = path.read_bytes()
    tree = ast.parse(data)
    for definition in definitions(tree):
        if docstring_node(definition.node) is not None:
            definition.node.body = definition.node.body[1:]
    tokens = tokenize.tokenize(io.BytesIO(data).readline)
    return ast.dump(tree), [t.string for t in tokens if t.type == tokenize.COMMENT]


def git_apply(root: Path, data: bytes) -> None:
    subprocess.run([GIT, "apply", "-"], cwd=root, input=data, check=True, capture_output=True)


STRANGE = {
    "crlf.py": b"def f():\r\n    return 1",
    "bom.py": b"\xef\xbb\xbfdef f(): return 1",
    "latin.py": b'# coding: latin-1\nx = "\xe9"\ndef f(): pass\n',
    "a b.py": b"def f(): pass\n",
    'quo"te.py': b"def f(): pass\n",
    "\u00fcml\u00e4ut.py": b"def f():\n\treturn 1\n",
    "feed.py": b"\x0c\ndef f():\n    return '\x0b\x1c'\n\x0c\n",
}


def strange(root: Path) -> Path:
    root.mkdir()
    for name, data in STRANGE.items():
        (root / name).write_bytes(data)
    return root


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("flower", {"style": "google", "private": True, "nested": True}),
        ("flower", {"style": "numpy", "init": "class"}),
        ("click", {"style": "sphinx", "improve": True}),
        ("click", {"style": "epytext"}),
    ],
)
def test_a_real_package_changes_in_docstrings_only_and_the_patch_does_the_same(
    tmp_path: Path, name: str, options: dict[str, Any]
) -> None:
    ours, theirs = package(name, tmp_path / "ours"), package(name, tmp_path / "theirs")
    before = {path.name: essence(path) for path in sorted(ours.glob("*.py"))}
    found = rows(ours, **options)
    data, told = patch(iter(found))
    git_apply(theirs, data)
    report = apply(iter(found))
    assert report.inserted == told.inserted == len(found) > 100
    assert not report.skipped
    assert {path.name: essence(path) for path in sorted(ours.glob("*.py"))} == before
    for path in ours.rglob("*.py"):
        assert path.read_bytes() == (theirs / path.relative_to(ours)).read_bytes()
    again = apply(iter(found))
    assert (again.inserted, again.present, again.files) == (0, len(found), ())


def test_strange_files_and_names_pass_through_git(tmp_path: Path) -> None:
    ours, theirs = strange(tmp_path / "ours"), strange(tmp_path / "theirs")
    found = rows(ours)
    git_apply(theirs, patch(iter(found))[0])
    assert apply(iter(found)).inserted == len(STRANGE)
    assert {p.name: p.read_bytes() for p in ours.iterdir()} == {p.name: p.read_bytes() for p in theirs.iterdir()}


def test_the_patch_applies_inside_a_larger_repository(tmp_path: Path) -> None:
    subprocess.run([GIT, "init", "-q"], cwd=tmp_path, check=True)
    root = strange(tmp_path / "sub")
    git_apply(root, patch(iter(rows(root)))[0])
    assert b'"""' in (root / "crlf.py").read_bytes()


def test_a_file_that_changed_since_is_named_and_left_alone(tmp_path: Path) -> None:
    root = strange(tmp_path / "src")
    found = rows(root)
    changed = root / "a b.py"
    changed.write_bytes(b"def f(): return 2\n")
    (root / "bom.py").unlink()
    report = apply(iter(found))
    assert report.inserted == len(STRANGE) - 2
    assert {(Path(s.where).name, s.reason) for s in report.skipped} == {
        ("a b.py", "changed since the sweep read it"),
        ("bom.py", "cannot be read: No such file or directory"),
    }
    assert changed.read_bytes() == b"def f(): return 2\n"


def test_docstrings_that_a_retry_brought_go_into_files_of_an_earlier_apply(tmp_path: Path) -> None:
    root = tmp_path / "src"
    root.mkdir()
    (root / "m.py").write_text("def f(): return 1\n\ndef g():\n    return 2\n")
    found = rows(root)
    assert apply(iter(found[:1])).inserted == 1
    report = apply(iter(found))
    assert (report.inserted, report.present, report.skipped) == (1, 1, ())
    with (root / "m.py").open("a") as file:
        file.write("x = 1\n")
    assert apply(iter(found)).skipped[0].reason == "changed since the sweep read it"


def test_writing_keeps_the_mode_and_leaves_nothing_beside(tmp_path: Path) -> None:
    root = tmp_path / "src"
    root.mkdir()
    script = root / "tool.py"
    script.write_text("def f(): pass\n")
    script.chmod(0o755)
    apply(iter(rows(root)))
    assert stat.S_IMODE(script.stat().st_mode) == 0o755
    assert [path.name for path in root.iterdir()] == ["tool.py"]


def test_exports_are_a_patch_and_json(tmp_path: Path) -> None:
    root = strange(tmp_path / "src")
    found = rows(root)
    said = KIND.export(iter(found), "patch", tmp_path / "out.patch")
    assert f"{len(STRANGE)} docstrings" in said
    git_apply(root, (tmp_path / "out.patch").read_bytes())
    KIND.export(iter(found), "json", tmp_path / "out.json")
    items = json.loads((tmp_path / "out.json").read_text())
    assert {item["key"] for item in items} == {row.key for row in found}
    with pytest.raises(InputError, match="no format"):
        KIND.export(iter(found), "pdf", tmp_path / "out.pdf")
    with pytest.raises(InputError, match="cannot write"):
        KIND.export(iter(found), "json", tmp_path / "gone" / "out.json")
