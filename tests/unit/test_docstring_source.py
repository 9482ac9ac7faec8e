"""The source: which definitions become jobs, what is told of them, and what bad input gives."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kombu
import pytest

from core.errors import InputError
from core.model import JobDraft
from tasks.docstring import KIND
from tasks.kind import Problem

GIT = shutil.which("git") or "git"


def tree(root: Path, **files: str | bytes) -> Path:
    """Files by name; ``__`` in a name is a directory."""
    for name, content in files.items():
        path = root / (name.replace("__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def found(root: Path, since: str | None = None, **options: Any) -> tuple[dict[str, JobDraft], list[Problem]]:
    items = list(KIND.jobs({"paths": [str(root)], "changed_since": since}, options))
    drafts = [item for item in items if isinstance(item, JobDraft)]
    assert len({draft.key for draft in drafts}) == len(drafts)
    return {draft.key: draft for draft in drafts}, [item for item in items if isinstance(item, Problem)]


MODULE = '''
import typing
from functools import cached_property

def documented():
    """Here."""

def plain(a, b=1): return a

def _private(): return 1

def outer():
    def inner(): return 1
    return inner

@typing.overload
def plain(a: int) -> int: ...

def stub(): ...

class Box:
    """A box."""

    def __init__(self, size): self.size = size

    @property
    def size(self): return 1

    @size.setter
    def size(self, value): pass

    class Lid:
        def close(self): pass

if typing.TYPE_CHECKING:
    def branch(): return 1
else:
    def branch(): return 2
'''


def test_public_definitions_without_a_docstring_become_jobs_under_unique_keys(tmp_path: Path) -> None:
    drafts, problems = found(tree(tmp_path, pkg__mod=MODULE))
    assert list(drafts) == [
        "pkg/mod.py::plain",
        "pkg/mod.py::outer",
        "pkg/mod.py::Box.__init__",
        "pkg/mod.py::Box.size",
        "pkg/mod.py::Box.Lid",
        "pkg/mod.py::Box.Lid.close",
        "pkg/mod.py::branch",
        "pkg/mod.py::branch#2",
    ]
    assert not problems


@pytest.mark.parametrize(
    ("options", "more"),
    [
        ({"private": True}, {"pkg/mod.py::_private"}),
        ({"nested": True}, {"pkg/mod.py::outer.inner"}),
    ],
)
def test_options_add_definitions(tmp_path: Path, options: dict[str, Any], more: set[str]) -> None:
    root = tree(tmp_path, pkg__mod=MODULE)
    assert set(found(root, **options)[0]) - set(found(root)[0]) == more


def test_init_is_documented_in_its_class_when_told_so(tmp_path: Path) -> None:
    root = tree(tmp_path, m="class Box:\n    def __init__(self, size): self.size = size\n")
    assert set(found(root)[0]) == {"m.py::Box", "m.py::Box.__init__"}
    drafts, _ = found(root, init="class")
    assert [param["name"] for param in drafts["m.py::Box"].input["facts"]["params"]] == ["size"]
    assert set(found(root, init="skip")[0]) == {"m.py::Box"}


def test_a_data_class_tells_its_fields(tmp_path: Path) -> None:
    source = "@dataclass(frozen=True)\nclass Point:\n    x: int\n    y: int = 0\n    kind: ClassVar[str] = 'p'\n"
    drafts, _ = found(tree(tmp_path, m=source))
    params = drafts["m.py::Point"].input["facts"]["params"]
    assert [(p["name"], p["kind"], p.get("default")) for p in params] == [("x", "field", None), ("y", "field", "0")]


def test_facts_hold_the_signature_as_written(tmp_path: Path) -> None:
    source = "async def f(a, /, b: int = 1, *c, d: 'X' = None, **e) -> list[int]:\n    return [a]\n"
    facts = found(tree(tmp_path, m=source))[0]["m.py::f"].input["facts"]
    kinds = [(p["name"], p["kind"], p.get("annotation"), p.get("default")) for p in facts["params"]]
    assert kinds == [
        ("a", "positional_only", None, None),
        ("b", "positional", "int", "1"),
        ("c", "var_positional", None, None),
        ("d", "keyword", "'X'", "None"),
        ("e", "var_keyword", None, None),
    ]
    assert facts["is_async"] is True
    assert facts["returns"] == "list[int]"
    assert facts["values"] == ["[a]"]


@pytest.mark.parametrize(
    ("body", "raises"),
    [
        ("if not a: raise ValueError('x')", [("ValueError", "`a` is not set")]),
        ("if a < 0 or a is None: raise web.HTTPError(1)", [("web.HTTPError", "`a` is less than `0` or `a` is None")]),
        ("try: g()\n    except KeyError as e: raise Own() from e", [("Own", "`KeyError` occurs inside")]),
        ("try: g()\n    except (KeyError, OSError): raise", [("KeyError", None), ("OSError", None)]),
        ("try: raise KeyError\n    except LookupError: pass", []),
        ("try: raise KeyError\n    except ValueError: pass", [("KeyError", "")]),
        ("error = Own('x')\n    raise error", []),
        ("error = OwnError('x')\n    raise error", [("OwnError", "")]),
        ("raise make_error()", []),
        ("with suppress(OSError): raise OSError", []),
        ("def g(): raise ValueError\n    return g", []),
        ("raise A() if a else B()", [("A", ""), ("B", "")]),
    ],
)
def test_raises_are_those_that_leave_the_function(tmp_path: Path, body: str, raises: list[tuple[str, Any]]) -> None:
    drafts, _ = found(tree(tmp_path, m=f"def f(a):\n    {body}\n"))
    told = [(r["type"], r.get("when", "")) for r in drafts["m.py::f"].input["facts"].get("raises", [])]
    assert [type_ for type_, _ in told] == [type_ for type_, _ in raises]
    assert all(expected is None or when == expected for (_, when), (_, expected) in zip(told, raises, strict=True))


def test_what_cannot_be_read_is_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    good = "def f(): return 1\n"
    root = tree(
        tmp_path,
        bad="def f(:",
        binary=b"\0\x01",
        encoded=b"x = '\xff'\n",
        good=good,
        huge=b"#" * 1_100_000,
        chained="def g(a):\n    return a" + ".b()" * 900 + "\n",
        deep="x = " + "+".join(["1"] * 30_000),
        venv__lib=good,
        __pycache__x=good,
        build__x=good,
    )
    (root / "venv" / "pyvenv.cfg").touch()
    (root / "loop").symlink_to(root, target_is_directory=True)
    (root / "link.py").symlink_to(root / "good.py")
    os.mkfifo(root / "pipe.py")
    drafts, problems = found(root)
    assert set(drafts) == {"good.py::f"}
    assert {p.where.partition(":")[0] for p in problems} == {
        "bad.py",
        "binary.py",
        "chained.py",
        "deep.py",
        "encoded.py",
        "huge.py",
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"def f(:", "does not parse"),
        (b"\0", "NUL"),
        (b"x = '\xff'", "decoded"),
        (b"", "nothing to document"),
        (b"#" * 1_100_000, "larger"),
    ],
)
def test_a_named_file_that_cannot_be_used_is_an_input_error(tmp_path: Path, content: bytes, message: str) -> None:
    tree(tmp_path, m=content)
    with pytest.raises(InputError, match=message):
        found(tmp_path / "m.py")


def test_an_empty_directory_a_missing_path_and_a_wrong_option_are_input_errors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no Python files"):
        found(tmp_path)
    with pytest.raises(InputError, match="no such file"):
        found(tmp_path / "gone")
    with pytest.raises(InputError, match="style"):
        found(tmp_path, style="fancy")


def test_commands_are_left_alone_and_told(tmp_path: Path) -> None:
    root = tree(tmp_path, m="@cli.command()\ndef run(): pass\n\ndef other(): pass\n")
    drafts, problems = found(root)
    assert set(drafts) == {"m.py::other"}
    assert [(p.where, p.by_design) for p in problems] == [("m.py:2", True)]


def test_an_installed_package_is_found_by_its_name() -> None:
    drafts = [item for item in KIND.jobs({"paths": ["flower.views"]}, {}) if isinstance(item, JobDraft)]
    assert {draft.key.partition("/")[0] for draft in drafts} == {"views"}


def test_a_package_that_took_its_own_place_on_import_is_found_as_well() -> None:
    assert getattr(kombu, "__spec__", None) is None
    assert any(isinstance(item, JobDraft) for item in KIND.jobs({"paths": ["kombu"]}, {}))


def test_the_line_length_is_what_the_project_told_its_formatter(tmp_path: Path) -> None:
    root = tree(tmp_path, m="def f(): return 1\n")
    assert found(root)[0]["m.py::f"].input["target"]["line_length"] == 88
    (root / "pyproject.toml").write_text("[tool.ruff]\nline-length = 100\n")
    assert found(root)[0]["m.py::f"].input["target"]["line_length"] == 100
    assert found(root, line_length=60)[0]["m.py::f"].input["target"]["line_length"] == 60


def test_only_functions_that_git_saw_change_are_taken(tmp_path: Path) -> None:
    root = tree(tmp_path, m="def f():\n    return 1\n\ndef g():\n    return 2\n", n="def h(): return 1\n")

    def git(*args: str) -> None:
        identity = ("-c", "user.name=a", "-c", "user.email=a@b")
        subprocess.run([GIT, *identity, *args], cwd=root, check=True, capture_output=True)

    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "one")
    tree(root, m="def f():\n    return 1\n\ndef g():\n    return 3\n", fresh="def new(): return 1\n")
    assert set(found(root, since="HEAD")[0]) == {"m.py::g", "fresh.py::new"}
    with pytest.raises(InputError, match="no such revision"):
        found(root, since="--output=x")


def test_improving_takes_documented_functions_that_leave_something_untold(tmp_path: Path) -> None:
    source = 'def f(path):\n    """Use it."""\n\ndef g(path):\n    """Use the path."""\n'
    assert set(found(tree(tmp_path, m=source), improve=True)[0]) == {"m.py::f"}


def test_a_decorator_with_arguments_that_reads_docstrings_guards_what_it_decorates(tmp_path: Path) -> None:
    source = (
        "def register(name):\n    def inner(f):\n        add(name, f.__doc__)\n        return f\n    return inner\n\n"
        "@register('x')\ndef run(): return 1\n\ndef other(): return 1\n"
    )
    drafts, problems = found(tree(tmp_path, m=source))
    assert set(drafts) == {"m.py::register", "m.py::other"}
    assert [p.what for p in problems] == ["run left alone: @register reads the docstring"]
