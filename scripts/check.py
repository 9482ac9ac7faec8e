"""`make check`: every linter of the house, all of them, then one line of verdict."""

import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sysconfig.get_path("scripts"))

CHECKS: tuple[tuple[str, ...], ...] = (
    ("ruff", "check", "."),
    ("ruff", "format", "--check", "."),
    ("mypy", "core", "db", "tasks", "workers", "scripts", "tests"),
    ("lint-imports",),
    ("hadolint", "--config", ".hadolint.yaml", "Dockerfile"),
    ("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "docker-compose.yml"),
)


def main() -> int:
    """Runs all checks, whatever the first ones say; exit code 1 when one of them found something."""
    failed = [" ".join(command) for command in CHECKS if not _passes(command)]
    verdict = "failed: " + "; ".join(failed) if failed else f"all {len(CHECKS)} checks passed"
    print(f"make check: {verdict}")
    return 1 if failed else 0


def _passes(command: tuple[str, ...]) -> bool:
    print(f"-- {' '.join(command)}", flush=True)
    tool = BIN / command[0]
    if not tool.exists():
        print(f"{tool} is missing: run `make check`, which installs it", file=sys.stderr)
        return False
    return subprocess.run([str(tool), *command[1:]], cwd=ROOT, check=False).returncode == 0  # noqa: S603 - ours


if __name__ == "__main__":
    sys.exit(main())
