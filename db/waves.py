"""Drafts in blocks that never span two waves, and what a job asks to see of earlier ones."""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from operator import attrgetter

from core.model import Job, JobDraft, JsonObject


def blocks(drafts: Iterable[JobDraft], size: int) -> Iterator[list[JobDraft]]:
    """Up to ``size`` consecutive drafts of one wave."""
    for _, wave in itertools.groupby(drafts, attrgetter("wave")):
        while block := list(itertools.islice(wave, size)):
            yield block


def needs(given: JsonObject) -> Mapping[str, str]:
    """What a job's input asks for: a name of its own -> the key of a job in an earlier wave, without its variant."""
    found = given.get("needs")
    return found if isinstance(found, Mapping) else {}


def with_earlier(job: Job, results: Mapping[str, JsonObject], label: str) -> Job:
    """The job with those of the results, by key, that it needs; ``label`` is what its variant adds to a key."""
    wanted = needs(job.input)
    return replace(job, earlier={name: results[key + label] for name, key in wanted.items() if key + label in results})
