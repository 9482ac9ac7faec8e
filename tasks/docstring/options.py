"""What a docstring sweep can be told."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Style = Literal["google", "numpy", "sphinx", "epytext", "pep257"]


class Source(BaseModel):
    """Where the code is: files, directories or names of installed packages; only what changed since a git revision."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    paths: list[str] = Field(min_length=1)
    changed_since: str | None = None


class Options(BaseModel):
    """Which definitions, and how their docstrings look.

    ``modules``: modules and packages themselves, too.
    ``init``: ``method`` documents ``__init__`` itself, ``class`` tells its parameters in the class's docstring,
    ``skip`` does neither. ``line_length`` None: what the project has told ruff or black, else 88.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    style: Style = "google"
    private: bool = False
    nested: bool = False
    modules: bool = False
    init: Literal["method", "class", "skip"] = "method"
    improve: bool = False
    line_length: int | None = Field(default=None, ge=40, le=320)
