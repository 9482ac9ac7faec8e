"""What a model answers: structured fields, no markup. Our own code makes the docstring of them."""

from pydantic import BaseModel, ConfigDict


class _Field(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ParamText(_Field):
    """What one parameter or field is for."""

    name: str
    description: str


class RaiseText(_Field):
    """When an exception is raised: ``condition`` begins with "If" or "When"."""

    type: str
    condition: str


class DocstringAnswer(_Field):
    """The docstring's content. ``returns`` and ``yields`` are null where nothing is returned or yielded."""

    summary: str
    description: str = ""
    params: list[ParamText] = []
    returns: str | None = None
    yields: str | None = None
    raises: list[RaiseText] = []
