"""``python -m scripts.bench faults|quota|throughput|scale|kinds|forecast``; ``faults NAME..`` runs only those."""

import importlib
import importlib.util
import signal
import sys
from collections.abc import Sequence

from scripts.bench import faults

_BAD_INPUT = 2
_OTHERS = ("quota", "throughput", "scale", "kinds", "forecast")


def main(argv: Sequence[str]) -> int:
    """0: every row holds, 1: one does not, 2: no such measurement."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # its processes end with it
    target, *names = argv or [""]
    if target == "faults":
        return faults.run(names)
    if target in _OTHERS and not names and importlib.util.find_spec(f"scripts.bench.{target}"):
        return int(importlib.import_module(f"scripts.bench.{target}").run())
    sys.stderr.write(f"bench: no measurement {' '.join(argv)!r}; there are faults [NAME..], {', '.join(_OTHERS)}\n")
    return _BAD_INPUT


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
