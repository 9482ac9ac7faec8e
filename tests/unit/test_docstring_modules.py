"""Modules and packages: which get a docstring of their own, where it goes, and what must stay as it is."""

import ast
import io
import tokenize
from pathlib import Path
from typing import Any

import pytest

from core.errors import InputError
from core.model import Accepted, Answer, Job, JobDraft, Variant
from tasks.docstring import KIND, textfile
from tasks.docstring.insert import Doc, Inserted, insert
from tasks.kind import Problem

TEXT = "Say what it is.\n\nAnd more."
DOC = '"""Say what it is.\n\nAnd more.\n"""\n'

PLACES = {
    "import": ("import os\n", f"{DOC}\nimport os\n"),
    "shebang": ("#!/usr/bin/env python\nimport os\n", f"#!/usr/bin/env python\n{DOC}\nimport os\n"),
    "encoding": ("# coding: latin-1\nx = 1\n", f"# coding: latin-1\n{DOC}\nx = 1\n"),
    "encoding behind an empty line": ("\n# coding: latin-1\nx = 1\n", f"\n# coding: latin-1\n{DOC}\nx = 1\n"),
    "license": ("# A\n# license\n\nimport os\n", f"# A\n# license\n\n{DOC}\nimport os\n"),
    "license and a remark": ("# License\n\n# why os\nimport os\n", f"# License\n\n{DOC}\n# why os\nimport os\n"),
    "future": ("from __future__ import annotations\n", f"{DOC}\nfrom __future__ import annotations\n"),
    "a decorated function": ("@d\ndef f(): ...\n", f"{DOC}\n@d\ndef f(): ...\n"),
    "no newline at the end": ("x = 1", f"{DOC}\nx = 1"),
    "nothing": ("", DOC),
    "comments alone": ("# only\n", f"# only\n{DOC}"),
    "comments alone, no newline": ("# only", f"# only\n{DOC}"),
    "an empty line at the top": ("\nx = 1\n", f"\n{DOC}\nx = 1\n"),
    "an empty docstring": ("''\nx = 1\n", f"{DOC}x = 1\n"),
    "semicolons": ("x = 1; y = 2\n", f"{DOC}\nx = 1; y = 2\n"),
    "a form feed": ("# a\n\x0c\nx = 1\n", f"# a\n\x0c\n{DOC}\nx = 1\n"),
    "fmt": ("# fmt: off\nx = [1,\n 2]\n", f"# fmt: off\n{DOC}\nx = [1,\n 2]\n"),
    "bytes": ("b'no docstring'\n", f"{DOC}\nb'no docstring'\n"),
}


def documented(data: bytes, text: str = TEXT) -> tuple[textfile.TextFile, Inserted]:
    file = textfile.decode(data)
    return file, insert(file, [Doc(qualname="", ordinal=1, text=text, line_length=88)])


@pytest.mark.parametrize(("before", "after"), PLACES.values(), ids=PLACES)
def test_it_goes_behind_the_comments_at_the_top_and_before_everything_else(before: str, after: str) -> None:
    file, inserted = documented(before.encode())
    assert not inserted.refused
    assert inserted.text == after
    again = documented(file.encode(inserted.text))[1]
    assert (again.text, again.done, again.present) == (inserted.text, (), ("",))


@pytest.mark.parametrize("before", [before for before, _ in PLACES.values()], ids=PLACES)
@pytest.mark.parametrize("newline", ["\r\n", "\r"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_line_ends_and_byte_order_mark_are_kept(before: str, newline: str, bom: bytes) -> None:
    if bom and "latin-1" in before:
        return
    data = bom + before.replace("\n", newline).encode()
    file, inserted = documented(data)
    assert not inserted.refused
    encoded = file.encode(inserted.text)
    assert encoded.startswith(bom)
    assert "\n" not in inserted.text.replace(newline if "\n" in before else "\n", "")
    assert ast.get_docstring(ast.parse(encoded)) == TEXT
    assert _comments(inserted.text) == _comments(file.text)


def _comments(text: str) -> list[str]:
    plain = text.replace("\r\n", "\n").replace("\r", "\n")
    return [t.string for t in tokenize.generate_tokens(io.StringIO(plain).readline) if t.type == tokenize.COMMENT]


def test_a_docstring_that_is_there_stays() -> None:
    _, inserted = documented(b'"""Here."""\nx = 1\n')
    assert [r.reason for r in inserted.refused] == ["has a docstring already"]


@pytest.mark.parametrize(
    "source",
    [
        "import argparse\nparser = argparse.ArgumentParser(description=__doc__)\n",
        "from docopt import docopt\ndef main(): docopt(__doc__)\n",
        "__doc__ = 'set'\n",
        "import fire\nfire.Fire()\n",
    ],
)
def test_a_module_that_lives_on_its_docstring_is_left_alone_and_told(tmp_path: Path, source: str) -> None:
    (tmp_path / "m.py").write_text(source + "def f(): return 1\n")
    items = list(KIND.jobs({"paths": [str(tmp_path)]}, {"modules": True}))
    assert [item.key for item in items if isinstance(item, JobDraft)] == ["m.py::f"] or "main" in source
    assert [(p.where, p.by_design) for p in items if isinstance(p, Problem)] == [("m.py:1", True)]
    assert [r.reason for r in documented(source.encode())[1].refused]


def found(root: Path, **options: Any) -> list[str]:
    items = KIND.jobs({"paths": [str(root)]}, {"modules": True, **options})
    return sorted(item.key for item in items if isinstance(item, JobDraft) and "::" not in item.key)


def package(root: Path) -> Path:
    files = {
        "pkg/__init__.py": "",
        "pkg/told.py": '"""Told."""\nx = 1\n',
        "pkg/plain.py": "def f(): return 1\n",
        "pkg/empty.py": "",
        "pkg/_own.py": "x = 1\n",
        "pkg/_inner/deep.py": "x = 1\n",
    }
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


def test_modules_are_documented_when_told_so_private_and_empty_ones_as_functions_are(tmp_path: Path) -> None:
    root = package(tmp_path)
    assert found(root, modules=False) == []
    assert found(root) == ["pkg/__init__.py", "pkg/plain.py"]
    assert found(root, private=True) == ["pkg/__init__.py", "pkg/_inner/deep.py", "pkg/_own.py", "pkg/plain.py"]
    with pytest.raises(InputError, match="nothing to improve"):
        found(root / "pkg" / "told.py", improve=True)


def test_a_package_is_told_its_modules_and_a_module_its_members(tmp_path: Path) -> None:
    drafts = {
        d.key: d for d in KIND.jobs({"paths": [str(package(tmp_path))]}, {"modules": True}) if isinstance(d, JobDraft)
    }
    whole, module = drafts["pkg/__init__.py"], drafts["pkg/plain.py"]
    assert module.input["needs"] == {"f": "pkg/plain.py::f"}
    assert whole.input["needs"] == {"plain": "pkg/plain.py"}
    assert whole.input["facts"]["callees"] == {"plain": "", "told": "Told."}
    assert drafts["pkg/plain.py::f"].wave < module.wave < whole.wave


@pytest.mark.parametrize("style", ["google", "numpy", "sphinx", "epytext", "pep257"])
def test_the_rule_based_writer_documents_a_module_in_every_style(tmp_path: Path, style: str) -> None:
    (tmp_path / "url_tools.py").write_text("def parse(): return 1\n\nclass Url: pass\n")
    options = {"modules": True, "style": style}
    for draft in KIND.jobs({"paths": [str(tmp_path)]}, options):
        assert isinstance(draft, JobDraft)
        job = Job(id=1, key=draft.key, input=draft.input)
        request = KIND.request(job, Variant(provider="p", model="m"), options)
        text = KIND.answer(request.messages)  # type: ignore[union-attr] # a chat request
        verdict = KIND.accept(job, Answer(call_id=1, text=text or ""), options)
        assert isinstance(verdict, Accepted)
        if draft.key == "url_tools.py":
            assert verdict.result["docstring"].startswith("URL tools.")
