"""The examinations of `bench kinds`: each finds what it is for, so that a 0 in its table means something."""

from pathlib import Path

import pytest

from scripts.bench.kinds import docstrings, lint, page
from scripts.bench.report import Row

CODE = 'class A:\n    """Doc."""\n\n    def f(self, x):  # note\n        return x + 1\n'


@pytest.mark.parametrize(
    ("change", "code", "comments"),
    [
        (('"""Doc."""', '"""Another text."""'), False, False),
        (("# note\n", "# note\n        '''New.'''\n"), False, False),
        (("x + 1", "x + 2"), True, False),
        (("  # note", ""), False, True),
        (("# note", "# Note"), False, True),
    ],
)
def test_code_and_comments_are_told_from_docstrings(*, change: tuple[str, str], code: bool, comments: bool) -> None:
    changed = CODE.replace(*change)

    assert changed != CODE
    assert (docstrings._code(changed) != docstrings._code(CODE)) is code
    assert (docstrings._comments(changed) != docstrings._comments(CODE)) is comments


def test_coverage_counts_every_function_and_class() -> None:
    assert docstrings._coverage({Path("a.py"): CODE}) == (1, 2)


def test_ruffs_findings_are_counted_by_rule(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text('"""Module."""\n\n\ndef f():\n    pass\n\n\ndef g():\n    """No stop"""\n')

    assert lint.ruff(tmp_path) == {"D103": 1, "D415": 1}


def test_the_page_keeps_its_text_and_gets_a_table_between_its_marks(tmp_path: Path) -> None:
    path = tmp_path / "kinds.md"
    path.write_text("# Kinds\n<!-- measured: begin -->\nSTALE\n<!-- measured: end -->\nThe end.\n")

    for value in (1, 12_345):
        page.write({"gap": [Row(row="jobs", value=value, unit="jobs", goal="0", holds=False)]}, path)

    text = path.read_text()
    assert "| jobs | 12,345 | jobs | 0 | **no** |" in text
    assert "STALE" not in text
    assert "| 1 |" not in text
    assert text.startswith("# Kinds\n<!-- measured: begin -->\n")
    assert text.endswith("<!-- measured: end -->\nThe end.\n")
