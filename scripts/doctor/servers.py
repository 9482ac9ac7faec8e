"""The servers: do they answer, are they what we need, is the database up to date."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from core.errors import InputError, Unavailable
from core.settings import Settings
from db import schema
from db.engine import OLDEST_SERVER
from db.probe import ProbeFailed, ask_server
from scripts import embedded
from scripts.doctor.check import Check, State, failed, passed
from scripts.doctor.data import cache_use, check_vectors
from scripts.external import OLDEST, ValkeyFacts, ask_valkey, require_valkey

_SERVES = {"REDIS_URL": "broker", "CACHE_URL": "cache"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reach:
    """Where the servers are. ``note`` says whose; ``trial``: they are thrown away after the check."""

    urls: dict[str, str]
    note: str
    trial: bool = False


def check_reachable(loaded: Settings, *, migrate: bool) -> Iterator[Check]:
    """Whether the servers answer and the tables are those of this program: cheap enough for a health check."""
    try:
        urls = embedded.resolve(loaded)
        server = ask_server(urls["DATABASE_URL"])
        yield passed("database", f"PostgreSQL {server.version[0]}.{server.version[1]}")
        yield _migrations(urls["DATABASE_URL"], migrate=migrate)
        for name in ("REDIS_URL", "CACHE_URL"):
            require_valkey(name, urls[name])
            yield passed(_SERVES[name], "answers")
    except ProbeFailed as exc:
        yield Check(name="database", state=State.FAILED, detail=str(exc), fix="start it, or correct DATABASE_URL")
    except InputError as exc:
        yield failed("servers", exc)


def check_servers(loaded: Settings, *, migrate: bool) -> Iterator[Check]:
    """Database, migrations, broker, cache and programs. Embedded servers that are down are started for the check."""
    try:
        with _reached(loaded) as reach:
            given = "from its URL"
            yield from _database(reach, given if loaded.database_url else reach.note, migrate=migrate)
            yield _broker(reach.urls["REDIS_URL"], given if loaded.redis_url else reach.note)
            yield _cache(reach.urls["CACHE_URL"], given if loaded.cache() else reach.note)
            yield from _programs()
    except InputError as exc:
        yield failed("servers", exc)


@contextmanager
def _reached(loaded: Settings) -> Iterator[_Reach]:
    roles = embedded.embedded_roles(loaded)
    directory = embedded.data_dir()
    servers = embedded.running(directory) if roles else embedded.Servers()
    if servers is not None:
        yield _Reach(urls=embedded.addresses(loaded, servers), note="embedded, running")
        return
    with tempfile.TemporaryDirectory(prefix="sweep-doctor-") as scratch:
        # No data yet: a look must not leave a database behind.
        trial = not directory.exists()
        place = Path(scratch, "servers") if trial else directory
        servers = embedded.up(place, roles=roles, owner=os.getpid())
        try:
            note = "embedded, tried out in a scratch directory" if trial else "embedded, started for this check"
            yield _Reach(urls=embedded.addresses(loaded, servers), note=note, trial=trial)
        finally:
            embedded.leave(place, os.getpid())


def _database(reach: _Reach, whose: str, *, migrate: bool) -> Iterator[Check]:
    url = reach.urls["DATABASE_URL"]
    try:
        server = ask_server(url)
    except ProbeFailed as exc:
        yield Check(name="database", state=State.FAILED, detail=str(exc), fix="start it, or correct DATABASE_URL")
        return
    detail = f"PostgreSQL {server.version[0]}.{server.version[1]}, pgvector {server.vector or 'missing'} ({whose})"
    fix = ""
    if server.version[0] < OLDEST_SERVER:
        fix = f"PostgreSQL >= {OLDEST_SERVER} is needed; or unset DATABASE_URL to use the embedded one"
    elif server.vector is None:
        fix = "install pgvector on the server; or unset DATABASE_URL to use the embedded one"
    elif not server.writable:
        fix = "this is a read-only standby: name its primary in DATABASE_URL"
    yield Check(name="database", state=State.FAILED if fix else State.OK, detail=detail, fix=fix)
    if fix:
        return
    if reach.trial:
        yield passed("migrations", "the first command makes the tables")
        return
    found = _migrations(url, migrate=migrate)
    yield found
    if found.state is State.OK:
        yield from check_vectors(url)


def _migrations(url: str, *, migrate: bool) -> Check:
    try:
        if migrate:
            schema.migrate(url)
        found, needed = schema.revision(url), schema.head()
        if found is not None:
            schema.check(url)
    except InputError as exc:
        return failed("migrations", exc)
    except Unavailable as exc:
        return Check(name="migrations", state=State.FAILED, detail=str(exc), fix="is the database overloaded?")
    if found is None:
        return Check(
            name="migrations", state=State.WARNING, detail=f"none yet, {needed} is needed", fix="sweep doctor --migrate"
        )
    return passed("migrations", f"at {found}")


def _broker(url: str, whose: str) -> Check:
    try:
        facts = ask_valkey("REDIS_URL", url)
    except InputError as exc:
        return failed("broker", exc)
    problems = _too_old(facts)
    state = State.FAILED if problems else State.OK
    if facts.policy not in {"", "noeviction"}:
        state = State.FAILED
        problems.append(f"CONFIG SET maxmemory-policy noeviction ({facts.policy} drops whole queues)")
    if facts.appendonly == "0":
        state = max(state, State.WARNING, key=_GRAVITY.index)
        problems.append("CONFIG SET appendonly yes (a restart forgets what was queued; it is sent again, later)")
    return Check(name="broker", state=state, detail=f"{_describe(facts)} ({whose})", fix="; ".join(problems))


def _cache(url: str, whose: str) -> Check:
    try:
        facts = ask_valkey("CACHE_URL", url)
    except InputError as exc:
        return failed("cache", exc)
    problems = _too_old(facts)
    state = State.FAILED if problems else State.OK
    if facts.policy == "noeviction":
        state = max(state, State.WARNING, key=_GRAVITY.index)
        problems.append("set CACHE_URL to a server of its own with maxmemory and maxmemory-policy allkeys-lfu")
    use = "" if problems else f", {cache_use(url)}"
    return Check(name="cache", state=state, detail=f"{_describe(facts)}{use} ({whose})", fix="; ".join(problems))


_GRAVITY = [State.OK, State.WARNING, State.FAILED]


def _too_old(facts: ValkeyFacts) -> list[str]:
    return [] if facts.version >= OLDEST else ["update it: Redis >= 6.2 or Valkey >= 7.2 is needed"]


def _describe(facts: ValkeyFacts) -> str:
    version = ".".join(map(str, facts.version))
    memory = f", {facts.maxmemory / 1e6:.0f} MB" if facts.maxmemory else ""
    aof = ", AOF" if facts.appendonly == "1" else ""
    return f"{version}, {facts.policy or 'policy unknown'}{memory}{aof}"


def _programs() -> Iterator[Check]:
    for program in embedded.programs(embedded.data_dir()):
        detail = f"{program.state}, started again {program.restarts} times" if program.restarts else program.state
        steady = program.state == "running" or program.exit_code == 0
        yield Check(
            name=program.name,
            state=State.OK if steady else State.WARNING,
            detail=detail,
            fix="" if steady else f"see {program.log}",
        )
