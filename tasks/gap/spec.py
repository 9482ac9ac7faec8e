"""What a gap sweep can be told."""

from pydantic import BaseModel, ConfigDict, Field


class GapSource(BaseModel):
    """``code``: files, directories or names of installed packages; ``design``: one Markdown or plain text document."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    code: tuple[str, ...] = Field(min_length=1)
    design: str = Field(min_length=1)


class GapOptions(BaseModel):
    """How much of the code a requirement is held against, and which code the design is asked about."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    candidate_tokens: int = Field(default=1_500, ge=100, le=100_000)  # of symbols a job
    private: bool = False  # names with an underscore too
    undocumented: bool = True  # ask, module by module, what the design does not speak of
