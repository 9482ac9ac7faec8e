"""Faults on demand: which request gets which, reproducibly.

A spec reads ``NAME[:SHARE or :N][@FROM-TO]``. ``500:0.2`` (or ``20%``) hits a fifth of the requests, ``500:3`` the
first three, ``500`` all; ``@10-30`` only between those seconds since the start or the last reset or change of faults.
``flapping:UP,DOWN`` is well for UP seconds, then answers 503 for DOWN, and so on. ``poison:WORD`` hits what mentions
WORD.

A share is drawn from the seed, the request's fingerprint and its attempt: the same sweep meets the same faults in any
order, and a retry draws anew. The shares of several faults add up: a request gets at most one.
"""

import hashlib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from core.errors import InputError
from scripts.simulator.jobs import Job
from scripts.simulator.statuses import STATUSES

FLAPPING = "flapping"
POISON = "poison"

WIRE = frozenset({"hang", "slow-loris", "reset", "truncated", "huge", "redirect"})
"""Faults of the connection; see ``damage.py``."""

BODIES = {
    "malformed": (b'{"id": "chatcmpl-malformed", "object": "chat.completion", "choices": [{"index": 0, ', "json"),
    "html": (b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>Please sign in.</body></html>", "html"),
    "null": (b"null", "json"),
    "wrong-shape": (b'{"result": "ok", "data": {"text": "This is no completion."}}', "json"),
}
"""Whole answers with status 200 that are none."""

UNBILLED = frozenset({"empty-choices"})
CONTENTS = frozenset({
    "wrong-schema", "bad-json", "prose", "wrong-params", "invented-raises", "content-filter-200",
    "nan-vector", "short-vector", "zero-vector",
}) | UNBILLED  # fmt: skip
"""Well-formed answers with wrong content; billed, but for those that hold no answer at all."""

NAMES = tuple(sorted({*STATUSES, *WIRE, *BODIES, *CONTENTS, FLAPPING, POISON}))

_SPEC = re.compile(r"(?P<name>[a-z0-9-]+)(?::(?P<arg>[^@]+))?(?:@(?P<start>[\d.]+)-(?P<end>[\d.]*))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One ``--fail``. Seconds count from the start, the last reset or the last change of faults."""

    name: str
    share: float = 1.0
    count: int | None = None  # the first so many requests, in place of a share
    cycle: tuple[float, float] = (0.0, 0.0)  # flapping: seconds up, seconds down
    word: str = ""  # poison
    start: float = 0.0
    end: float = math.inf

    def active(self, age: float) -> bool:
        if not self.start <= age < self.end:
            return False
        up, down = self.cycle
        return self.name != FLAPPING or (age - self.start) % (up + down) >= up


def parse_fault(text: str) -> Fault:
    """Reads a spec. Raises InputError."""
    match = _SPEC.fullmatch(text)
    if match is None:
        raise _bad(text, "it reads NAME[:SHARE or :N][@FROM-TO]")
    name, arg = match["name"], match["arg"] or ""
    if name not in NAMES:
        raise InputError(f"unknown fault {name!r}", hint=f"known faults: {', '.join(NAMES)}")
    try:
        start = float(match["start"] or 0)
        end = float(match["end"] or "inf")
        fault = _with_argument(name, arg, start, end)
    except ValueError as exc:
        raise _bad(text, "a share is 0.2 or 20%, a number of requests is 3, seconds are 5 or 0.5") from exc
    if end <= start:
        raise _bad(text, "it ends before it starts")
    return fault


def _with_argument(name: str, arg: str, start: float, end: float) -> Fault:
    if name == FLAPPING:
        up, down = (float(part) for part in arg.split(","))
        if not (up >= 0 and down > 0):
            raise ValueError(arg)
        return Fault(name=name, cycle=(up, down), start=start, end=end)
    if name == POISON:
        return Fault(name=name, word=arg or "POISON", start=start, end=end)
    if arg.isdigit():
        return Fault(name=name, count=int(arg), start=start, end=end)
    share = (float(arg[:-1]) / 100 if arg.endswith("%") else float(arg)) if arg else 1.0
    if not 0 <= share <= 1:
        raise ValueError(arg)
    return Fault(name=name, share=share, start=start, end=end)


def _bad(text: str, hint: str) -> InputError:
    return InputError(f"fault {text!r} cannot be read", hint=hint)


class Faults:
    """The faults in force, and how far they are used up."""

    def __init__(self, faults: Sequence[Fault], seed: int, now: float) -> None:
        self._seed = str(seed).encode()
        self.change(faults, now)

    def change(self, faults: Sequence[Fault], now: float) -> None:
        """These and no others, from now."""
        self._faults = tuple(faults)
        self.restart(now)

    def restart(self, now: float) -> None:
        """Counts and seconds start anew."""
        self._since = now
        self._left = [fault.count for fault in self._faults]
        self._attempts: dict[bytes, int] = {}

    def pick(self, job: Job, now: float) -> Fault | None:
        """The fault that this request gets, if any; to be asked once a request."""
        if not self._faults:
            return None
        age = now - self._since
        point = self._draw(b"".join(job.fingerprints))
        for index, fault in enumerate(self._faults):
            if not fault.active(age) or not _applies(fault, job):
                continue
            left = self._left[index]
            if left is not None:
                if left > 0:
                    self._left[index] = left - 1
                    return fault
            elif point < fault.share:
                return fault
            else:
                point -= fault.share
        return None

    def _draw(self, key: bytes) -> float:
        attempt = self._attempts.get(key, 0)
        self._attempts[key] = attempt + 1
        digest = hashlib.blake2b(key + attempt.to_bytes(4, "little"), digest_size=8, key=self._seed).digest()
        return int.from_bytes(digest, "little") / 2**64


def _applies(fault: Fault, job: Job) -> bool:
    if fault.name == POISON:
        return job.mentions(fault.word)
    return fault.name not in CONTENTS or job.spoiled(fault.name, "") is not None
