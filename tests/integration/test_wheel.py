"""The wheel that the image installs holds all that a run needs, and nothing else."""

import subprocess
import zipfile
from pathlib import Path

import pytest

from tests.image import ROOT, copied, installed, wheel

PACKAGES = ("core", "tasks", "db", "workers", "scripts")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    return wheel(copied(folder / "source"), folder / "dist")


def test_every_file_of_the_packages_is_in_the_wheel(built: Path) -> None:
    inside = {name for name in zipfile.ZipFile(built).namelist() if ".dist-info/" not in name}
    files = [path for name in PACKAGES for path in (ROOT / name).rglob("*") if path.is_file()]
    assert inside == {str(path.relative_to(ROOT)) for path in files if "__pycache__" not in path.parts}
    kinds = {Path(name).suffix for name in inside}
    assert {".py", ".lua", ".jinja", ".mako"} <= kinds
    assert {f"{name}/py.typed" for name in PACKAGES} <= inside


@pytest.mark.slow
def test_the_installed_command_finds_its_templates_scripts_and_migrations(built: Path, tmp_path: Path) -> None:
    venv = installed(built, tmp_path / "venv")
    check = (
        "import core, db.schema, core.gate.redis as gate, tasks.templates as templates, sys\n"
        "assert core.__file__.startswith(sys.prefix), core.__file__\n"
        "assert db.schema.head() and gate.script()\n"
        "assert templates.render('tasks.dictionary', 'system', vocabulary=['a'])\n"
    )
    subprocess.run([venv / "bin/python", "-I", "-c", check], cwd=tmp_path, check=True)
    source = tmp_path / "module.py"
    source.write_text("def add(first: int, second: int) -> int:\n    return first + second\n")
    words = ["submit", "docstring", str(source), "-p", "rules", "--dry-run"]
    told = subprocess.run(
        [venv / "bin/sweep", *words], cwd=tmp_path, capture_output=True, text=True, check=False, env={"HOME": "/none"}
    )
    assert told.returncode == 0, told.stderr
    assert "add" in told.stdout
