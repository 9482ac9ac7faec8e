"""What a check finds."""

from dataclasses import dataclass
from enum import StrEnum

from core.errors import InputError


class State(StrEnum):
    """``off``: not set up, and nothing is wrong with that."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    OFF = "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One line of the doctor's table."""

    name: str
    state: State
    detail: str
    fix: str = ""


def passed(name: str, detail: str) -> Check:
    """A check that found nothing wrong."""
    return Check(name=name, state=State.OK, detail=detail)


def failed(name: str, error: InputError) -> Check:
    """A check that ended in an error with its own advice."""
    return Check(name=name, state=State.FAILED, detail=error.message, fix=error.hint)
