"""What is stored: do vectors and jobs fit together, and is the cache of use."""

import asyncio
from collections.abc import Iterator

from core.errors import InputError, Unavailable
from core.settings import Settings
from db.engine import connect
from db.vector_audit import orphans
from scripts.doctor.check import Check, State, passed
from workers.runtime import cache_of


def check_vectors(database_url: str) -> Iterator[Check]:
    """Nothing where there are no vectors to speak of."""
    try:
        engine = connect(database_url, role="reader", pool=1)
        try:
            found = orphans(engine)
        finally:
            engine.dispose()
    except (InputError, Unavailable) as exc:
        yield Check(name="vectors", state=State.WARNING, detail=f"not looked at: {exc}")
        return
    wrong = {
        "without their call": found.without_call,
        "not usable": found.unusable,
        "lost, though their jobs are done": found.without_vector,
    }
    if not found.sound:
        detail = ", ".join(f"{count:,} {what}" for what, count in wrong.items() if count)
        yield Check(
            name="vectors", state=State.WARNING, detail=detail, fix="submit their sweep anew under another name"
        )
    elif found.unused:
        fix = "nothing is wrong; `sweep prune` makes room"
        yield Check(name="vectors", state=State.OK, detail=f"sound; {found.unused:,} that no job needs", fix=fix)
    else:
        yield passed("vectors", "sound, all of them in use")


def cache_use(cache_url: str) -> str:
    """``1,204 keys, 83 % of look-ups hit``. Raises CacheUnavailable."""

    async def ask() -> str:
        async with cache_of(Settings.model_construct(cache_url=cache_url)) as cache:
            stats = await cache.stats()
        asked = stats.hits + stats.misses
        hits = f", {stats.hits / asked:.0%} of look-ups hit" if asked else ""
        evicted = f", {stats.evictions:,} evicted" if stats.evictions else ""
        return f"{stats.entries:,} keys{hits}{evicted}"

    return asyncio.run(ask())
