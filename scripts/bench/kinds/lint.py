"""What linters say of docstrings."""

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

from scripts.bench.kinds import packages

_FINDING = re.compile(r"^ +\d+: (DOC\d+):", re.MULTILINE)
_OF_TYPES = frozenset(f"DOC{number}" for number in range(105, 112))  # where types stand is a matter of taste


class LinterFailed(Exception):
    """A linter that crashes looks like one that finds nothing."""


def ruff(tree: Path) -> Counter[str]:
    """Findings of all D rules in the Google convention, by rule."""
    options = ["--isolated", "--no-cache", "--select=D", "--config=lint.pydocstyle.convention='google'"]
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "ruff", "check", *options, "--output-format=json", str(tree)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in {0, 1}:
        raise LinterFailed(done.stderr[-2000:])
    return Counter(str(finding["code"]) for finding in json.loads(done.stdout))


def pydoclint(tree: Path, scratch: Path) -> Counter[str]:
    """Findings by rule; without those about types, which the signature tells, and about a class's attributes.

    In an environment of its own: a dependency of pydoclint overwrites docstring_parser. Raises NotMeasured,
    LinterFailed.
    """
    home = scratch / "pydoclint"
    programs = home / "bin" if home.exists() else packages.environment("pydoclint", home)
    off = ("check-return-types", "check-yield-types", "check-class-attributes")
    options = ["--style=google", "--allow-init-docstring=True", *(f"--{option}=False" for option in off)]
    done = subprocess.run(  # noqa: S603 - installed just now
        [str(programs / "pydoclint"), "-q", *options, str(tree)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in {0, 1} or "Traceback (most recent call last)" in done.stderr:
        raise LinterFailed(done.stderr[-2000:])
    return Counter(code for code in _FINDING.findall(done.stdout + done.stderr) if code not in _OF_TYPES)
