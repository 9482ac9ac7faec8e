"""Which worker processes are known to have ended, and which are only believed to."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from workers.owner import is_gone, owner_name


@pytest.fixture
def child() -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def of(pid: int, name: str = "") -> str:
    return (name or owner_name()).replace(f":{os.getpid()}:", f":{pid}:")


def test_a_process_that_runs_is_not_gone(child: "subprocess.Popen[bytes]") -> None:
    assert not is_gone(owner_name())
    assert not is_gone(of(child.pid))
    assert not is_gone(of(1))  # somebody else's


def test_a_killed_process_is_gone_before_and_after_its_parent_has_heard_of_it(child: "subprocess.Popen[bytes]") -> None:
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert is_gone(of(child.pid))

    child.wait()
    assert is_gone(of(child.pid))


def test_nobody_knows_about_other_machines_containers_and_names(child: "subprocess.Popen[bytes]") -> None:
    child.kill()
    child.wait()
    host, _, mark = owner_name().split(":")

    assert is_gone(f"{host}:{child.pid}:{mark}")
    for name in (f"elsewhere:{child.pid}:{mark}", f"{host}:{child.pid}:0{mark}", f"{host}:{child.pid}:-abc", "w", ""):
        assert not is_gone(name)
