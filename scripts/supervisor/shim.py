"""Between the supervisor and a server: ``python -I -S shim.py PARENT SIGNAL OWNED -- COMMAND..``, which it becomes.

Binds the command's life to its parent's (the kernel sends SIGNAL when the parent is gone, however it went), and lets
PostgreSQL, which refuses root and users without an account, run for them. OWNED is the directory that the server must
own, or ``-`` for a command that may run as whoever starts it. Imports nothing of the project: it runs before every
server.
"""

import ctypes
import os
import pwd
import signal
import sys
from pathlib import Path

_NOBODY = 65534
_CLONE_NEWUSER = 0x10000000
_PR_SET_PDEATHSIG = 1
_PR_SET_KEEPCAPS = 8
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_CAP_DAC_OVERRIDE = 1
_CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    parent, signum, owned, _, *command = sys.argv[1:]
    if owned != "-" and (os.geteuid() == 0 or not _has_account(os.geteuid())):
        _become_somebody(Path(owned), command[0])
    _libc.prctl(_PR_SET_PDEATHSIG, int(signum), 0, 0, 0)
    if os.getppid() != int(parent):  # it died before the line above
        sys.exit(1)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)  # Python ignores SIGPIPE, and an ignored signal survives exec
    os.execvp(command[0], command)  # noqa: S606 - the supervisor's own command, no shell wanted


def _become_somebody(owned: Path, binary: str) -> None:
    """Becomes `nobody`: inside a user namespace where that works, else for real, which only root can.

    In the namespace our files stay ours. Containers often forbid it, and root has no power there to enter another
    user's private directory; the real change keeps that power, and the data directory changes hands.
    """
    user = _account()
    if _works_in_a_child(user, owned, binary):
        _hand_over(owned, os.geteuid())
        _enter_namespace(user)
    elif os.geteuid() == 0:
        _hand_over(owned, user)
        _libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0)
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
        _keep_file_access()


def _account() -> int:
    """`nobody`, or in an image that has none the first account that is not root: initdb looks it up."""
    if _has_account(_NOBODY):
        return _NOBODY
    return next((entry.pw_uid for entry in pwd.getpwall() if entry.pw_uid != 0), _NOBODY)


def _has_account(user: int) -> bool:
    try:
        pwd.getpwuid(user)
    except KeyError:
        return False
    return True


def _works_in_a_child(user: int, owned: Path, binary: str) -> bool:
    child = os.fork()
    if child == 0:
        try:
            _enter_namespace(user)
            good = os.access(binary, os.R_OK | os.X_OK) and os.access(owned.parent, os.X_OK)
        except OSError:
            good = False
        os._exit(0 if good else 1)
    return os.waitpid(child, 0)[1] == 0


def _enter_namespace(user: int) -> None:
    outer = os.geteuid(), os.getegid()  # read before: inside they are nobody's until they are mapped
    if _libc.unshare(_CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    for name, line in (("setgroups", "deny"), ("uid_map", f"{user} {outer[0]} 1"), ("gid_map", f"{user} {outer[1]} 1")):
        Path("/proc/self", name).write_text(line, encoding="ascii")


def _hand_over(owned: Path, user: int) -> None:
    if owned.stat().st_uid == user:
        return
    for folder, _, files in os.walk(owned, topdown=False):
        for name in files:
            os.lchown(Path(folder, name), user, user)
        os.lchown(folder, user, user)  # the top comes last: until then an interrupted walk starts again


def _keep_file_access() -> None:
    """Keeps CAP_DAC_OVERRIDE over the exec, to reach a data directory below a private one. Best effort."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    bit = 1 << _CAP_DAC_OVERRIDE
    data = (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0)  # effective, permitted, inheritable; then the upper halves
    if _libc.capset(header, data) == 0:
        _libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE, 0, 0)


if __name__ == "__main__":
    main()
