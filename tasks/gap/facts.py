"""What a job of this kind knows: a requirement and the code that may fulfil it, or a module and what was asked for."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

Task = Literal["requirement", "module"]


class _Facts(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Requirement(_Facts):
    """One thing that the design asks for. ``at`` is ``file:line``; ``section`` the headings above it."""

    at: str
    section: str
    text: str


class Symbol(_Facts):
    """One definition. ``at`` is ``file:line``; ``uses`` what its body calls and raises, or its members."""

    at: str
    kind: str
    name: str
    signature: str
    summary: str
    uses: str


class Payload(_Facts):
    """What the prompt tells. ``subject``: the requirement's ``file:line``, or the module's file."""

    task: Task
    subject: str
    requirements: tuple[Requirement, ...]
    symbols: tuple[Symbol, ...]


class JobInput(_Facts):
    """A job as it is stored. The roots, which the relative names start at, are no part of the prompt."""

    payload: Payload
    code_root: str
    design_root: str
