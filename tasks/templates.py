"""Prompt templates: Jinja files beside their kind. An undefined name is an error, never an empty string."""

import functools
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


@functools.cache
def _environment(package: str) -> Environment:
    # Prompts are plain text for a model, not HTML: escaping would corrupt code and quotes.
    return Environment(
        loader=PackageLoader(package, "templates"),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
    )


def render(package: str, name: str, **values: Any) -> str:
    """Renders ``templates/<name>.jinja`` of a kind's package (``render("tasks.docstring", "system")``)."""
    return _environment(package).get_template(f"{name}.jinja").render(**values).strip()
