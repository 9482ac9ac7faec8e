"""The kinds by name, imported when first asked for: `sweep --help` must not pay for libcst."""

import functools
import importlib
from collections.abc import Sequence

from core.errors import InputError
from core.model import Message
from tasks.kind import SweepKind

NAMES = ("docstring", "dictionary", "embedding", "gap", "prompt")


@functools.cache
def kind(name: str) -> SweepKind:
    """A kind by its name. Raises InputError for an unknown one."""
    if name not in NAMES:
        raise InputError(f"unknown kind {name!r}", hint=f"known kinds: {', '.join(NAMES)}")
    found: SweepKind = importlib.import_module(f"tasks.{name}").KIND
    return found


def answer(messages: Sequence[Message]) -> str | None:
    """What the kind that wrote this prompt would answer by rule; None: no kind knows it."""
    answers = (kind(name).answer(messages) for name in NAMES)
    return next((text for text in answers if text is not None), None)
