"""The image without Docker: what the Dockerfile copies, installed as it installs it, run as it runs it."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UV = Path(sys.executable).with_name("uv")


def copied(target: Path) -> Path:
    """The files of the Dockerfile's COPY lines, and no others."""
    words = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    for name in " ".join(words).split():
        source = ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, target / name, ignore=ignored)
        else:
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target / name)
    return target


def wheel(source: Path, target: Path) -> Path:
    """Builds the wheel with what is installed here, asking no registry."""
    subprocess.run(
        [UV, "build", "--wheel", "--no-build-isolation", "--offline", "--python", sys.executable, "-o", target, source],
        check=True,
        capture_output=True,
    )
    (built,) = target.glob("*.whl")
    return built


def installed(built: Path, venv: Path, dependencies: str = sysconfig.get_path("purelib")) -> Path:
    """A fresh venv with the wheel in it, and this venv's packages (but not its editable install) behind it."""
    subprocess.run([UV, "venv", "--offline", "--python", sys.executable, venv], check=True, capture_output=True)
    subprocess.run(
        [UV, "pip", "install", "--offline", "--no-deps", "--python", venv / "bin" / "python", built],
        check=True,
        capture_output=True,
    )
    (packages,) = venv.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(f"{dependencies}\n")
    return venv


CONFINED_DEPENDENCIES = "/srv"
"""Where ``confined`` shows this venv's packages: a clone may lie under /tmp, which is another one in there."""


def confined(venv: Path, writable: Path) -> list[str]:
    """Words before a command that run it as the image does: a read-only root, a user id without an account,
    no capabilities, an environment of the image's own, and only ``writable`` to write to, which is its /tmp.
    """
    script = (
        'set -e; mount --make-rprivate /; mount --bind "$1" /mnt; mount --bind "$3" /srv; mount --bind "$2" /tmp;'
        " mount -o remount,ro,bind /; mount -o remount,ro,bind /mnt; mount -o remount,ro,bind /srv;"
        ' cd /var/lib; shift 3; exec unshare --user --map-user=10001 --map-group=10001 "$@"'
    )
    return [
        "unshare",
        "--mount",
        "sh",
        "-c",
        script,
        "confined",
        str(venv),
        str(writable),
        sysconfig.get_path("purelib"),
    ]


def can_be_confined() -> bool:
    """Whether this machine lets us make mount and user namespaces."""
    tried = subprocess.run(
        [
            "/usr/bin/env",
            "unshare",
            "--mount",
            "sh",
            "-c",
            "mount --make-rprivate / && unshare --user --map-user=10001 true",
        ],
        check=False,
        capture_output=True,
    )
    return os.geteuid() == 0 and tried.returncode == 0 and Path("/srv").is_dir()
