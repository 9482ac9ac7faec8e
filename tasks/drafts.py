"""What every source owes its sweep: unique keys, and one clear message when there is nothing to do."""

import hashlib
from collections.abc import Iterator

from core.errors import InputError
from core.model import JobDraft
from core.nesting import DEEPEST, is_deep
from tasks.kind import Found, Problem

_TOLD = 3

REMEMBERED = 250_000
"""Keys, as digests in 21 MB; what comes again later than that is found in the ledger."""


def again(key: str) -> Problem:
    """Of a key that was there before."""
    return Problem(where=key, what="this key was there before; only the first one becomes a job")


def checked(found: Iterator[Found], *, nothing: str, hint: str = "") -> Iterator[Found]:
    """Turns a key that comes again soon into a Problem, so that a preview and a forecast know of it too.

    Raises InputError, with the first problems, when no job came at all.
    """
    keys: set[bytes] = set()
    problems: list[Problem] = []
    for item in found:
        result = item if isinstance(item, Problem) else _once(item, keys)
        if isinstance(result, Problem) and len(problems) < _TOLD:
            problems.append(result)
        yield result
    if not keys:
        told = "; ".join(f"{problem.where}: {problem.what}" for problem in problems)
        raise InputError(f"{nothing}: {told}" if told else nothing, hint=hint)


def _once(draft: JobDraft, keys: set[bytes]) -> Found:
    # Digests, not keys: they take the same memory whatever the keys' length.
    # Encoded as the ledger stores it: a file's name may hold bytes that are no text.
    digest = hashlib.blake2b(draft.key.encode("utf-8", "replace"), digest_size=12).digest()
    if digest in keys:
        return again(draft.key)
    if is_deep(draft.input):
        return Problem(where=draft.key, what=f"nested more than {DEEPEST} levels deep")
    if len(keys) == REMEMBERED:
        keys.clear()
    keys.add(digest)
    return draft
