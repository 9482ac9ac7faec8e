"""The sweep's own jobs, or, of very many, every so-manieth: enough for the engine to run in, in the input's order."""

from collections.abc import Iterable
from dataclasses import dataclass

from core.model import JobDraft


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """``count`` inputs there are; ``drafts`` are spread evenly over them."""

    count: int
    drafts: tuple[JobDraft, ...]


def sample(drafts: Iterable[JobDraft], most: int) -> Sample:
    """At most ``most`` drafts of a stream whose length nobody knows before; holds no more than twice that."""
    kept: list[JobDraft] = []
    step, count = 1, 0
    for count, draft in enumerate(drafts, start=1):
        if (count - 1) % step:
            continue
        kept.append(draft)
        if len(kept) >= 2 * most:
            kept, step = kept[::2], 2 * step
    if len(kept) > most:
        kept = [kept[index * len(kept) // most] for index in range(most)]
    return Sample(count=count, drafts=tuple(kept))


def thinned(drafts: tuple[JobDraft, ...], count: int) -> tuple[JobDraft, ...]:
    """A thinner sample of ``count``, as evenly spread."""
    return tuple(drafts[index * len(drafts) // count] for index in range(min(count, len(drafts))))
