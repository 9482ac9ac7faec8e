"""The descriptions that installed Python packages carry in their metadata, as documents."""

import email.message
import re
from collections.abc import Iterator, Sequence
from importlib.metadata import Distribution, distributions
from typing import Any, cast

from tasks.embedding.documents import Read, from_text
from tasks.embedding.markup import Markup
from tasks.kind import Problem

_MARKUPS = {"text/markdown": Markup.MARKDOWN, "text/plain": Markup.TEXT, "text/html": Markup.HTML}


def documents(wanted: bool | Sequence[str]) -> Iterator[Read]:  # noqa: FBT001  the spec's own value: true, or names
    """One document a distribution, by name: its summary and long description."""
    found = _installed()
    names = sorted(found) if isinstance(wanted, bool) else list(dict.fromkeys(map(_normalised, wanted)))
    for name in names:
        if name in found:
            yield _document(name, found[name])
        else:
            yield Problem(where=name, what="no such package is installed")


def _installed() -> dict[str, Distribution]:
    found: dict[str, Distribution] = {}
    for distribution in distributions():
        name = _metadata(distribution).get("Name")
        if name:  # leftovers of broken installations have none
            found.setdefault(_normalised(name), distribution)  # the first one on the path is what is imported
    return found


def _document(name: str, distribution: Distribution) -> Read:
    metadata = _metadata(distribution)
    title = metadata.get("Name", name)
    summary = (metadata.get("Summary") or "").strip()
    body = metadata.get_payload()
    if not isinstance(body, str) or not body.strip():
        body = metadata.get("Description") or ""
    kind = (metadata.get("Description-Content-Type") or "").partition(";")[0].strip().lower()
    # The core metadata specification: where no type is given, reStructuredText is assumed.
    markup = _MARKUPS.get(kind, Markup.RST)
    text = f"{title}: {summary}\n\n{body}" if summary else body
    if not text.strip():
        return Problem(where=name, what="its metadata has neither summary nor description", by_design=True)
    return from_text(text, key=name, title=title, markup=markup)


def _metadata(distribution: Distribution) -> email.message.Message:
    # importlib promises a narrower interface than the e-mail message that it returns.
    return cast("email.message.Message[Any, Any]", distribution.metadata)


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
