"""What a model answers: findings with evidence that code can check."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class Status(StrEnum):
    """What became of a requirement, or of a symbol (``undocumented``)."""

    COVERED = "covered"
    PARTIAL = "partial"
    MISSING = "missing"
    UNDOCUMENTED = "undocumented"
    CONTRADICTED = "contradicted"


class Finding(BaseModel):
    """``design`` and ``code`` are lists of ``file:line`` as the data gives them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    status: Status
    design: list[str]
    code: list[str]
    explanation: str


class GapAnswer(BaseModel):
    """One finding for a requirement; for a module one a symbol that the design does not speak of, perhaps none."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    findings: list[Finding]
