"""Where fields come from: a database, JSON documents and schemas, CSV and Parquet files. One job a field."""

import fnmatch
from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from core.errors import InputError
from core.model import JobDraft
from tasks.dictionary import columnar, documents, relational, tabular
from tasks.dictionary.fields import FieldTable, Policy
from tasks.drafts import checked
from tasks.kind import Found, Problem

_SQLITE = b"SQLite format 3\0"
_DOCUMENTS = {".json", ".jsonl", ".ndjson", ".geojson"}
_TABLES = {".csv", ".tsv"}
_COLUMNAR = {".parquet"}
_DATABASES = {".db", ".sqlite", ".sqlite3"}


class DictionarySource(BaseModel):
    """A database by URL, or files. Patterns are those of fnmatch; one that begins with ``!`` leaves out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = ""
    paths: tuple[str, ...] = ()
    schemas: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()


class DictionaryOptions(BaseModel):
    """What is told of the data. ``allow_columns``: patterns of ``Table.Column`` whose values may leave the machine."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    statistics: bool = True
    samples: int = Field(default=5, ge=0, le=50)
    sample_rows: int = Field(default=10_000, ge=1, le=1_000_000)
    allow_columns: tuple[str, ...] = ()
    statement_timeout_s: float = Field(default=30, gt=0, le=3600)
    encoding: str = "utf-8"  # of files


def jobs(source: DictionarySource, options: DictionaryOptions) -> Iterator[Found]:
    """Streams the fields, table by table. Raises InputError when there is nothing that could be read."""
    policy = Policy(
        statistics=options.statistics,
        samples=options.samples,
        sample_rows=options.sample_rows,
        allowed=options.allow_columns,
    )
    if not source.url and not source.paths:
        raise InputError("a dictionary needs a source", hint="a database URL, or JSON, CSV, Parquet or SQLite files")
    yield from checked(
        _drafts(_tables(source, options, policy), policy),
        nothing=f"nothing to describe in {_shown(source)}",
        hint="see the schemas and tables filters",
    )


def _drafts(tables: Iterable[FieldTable | Problem], policy: Policy) -> Iterator[Found]:
    for found in tables:
        if isinstance(found, Problem):
            yield found
        else:
            yield from (JobDraft(key=facts.path, input=facts.dump()) for facts in found.facts(policy))


def _tables(source: DictionarySource, options: DictionaryOptions, policy: Policy) -> Iterator[FieldTable | Problem]:
    if source.url and "://" in source.url:
        yield from _database(source.url, source, options, policy)
        paths = source.paths
    else:
        paths = (*((source.url,) if source.url else ()), *source.paths)
    if paths:
        yield from _files(paths, source, options, policy)


def _database(
    url: str, source: DictionarySource, options: DictionaryOptions, policy: Policy
) -> Iterator[FieldTable | Problem]:
    return relational.tables(
        url,
        schema_filter=(lambda name: matches(source.schemas, [name])) if source.schemas else None,
        table_filter=lambda name: matches(source.tables, [name.name, str(name)]),
        timeout_s=options.statement_timeout_s,
        policy=policy,
    )


def _files(
    paths: Iterable[str], source: DictionarySource, options: DictionaryOptions, policy: Policy
) -> Iterator[FieldTable | Problem]:
    for name, path in _named(_expand(paths)):
        if _is_sqlite(path):
            yield from _sqlite(path, source, options, policy)
        elif matches(source.tables, [name]):
            yield _file(path, name, options, policy)


def _sqlite(
    path: Path, source: DictionarySource, options: DictionaryOptions, policy: Policy
) -> Iterator[FieldTable | Problem]:
    try:
        yield from _database(f"sqlite:///{path.absolute()}", source, options, policy)
    except InputError as exc:  # one file of several
        yield Problem(where=str(path), what=exc.message)


def _file(path: Path, name: str, options: DictionaryOptions, policy: Policy) -> FieldTable | Problem:
    suffix = path.suffix.lower()
    if suffix in _TABLES:
        return tabular.table(path, name, encoding=options.encoding, policy=policy)
    if suffix in _COLUMNAR:
        return columnar.table(path, name, policy=policy)
    if suffix in _DOCUMENTS:
        return documents.table(path, name, encoding=options.encoding, policy=policy)
    return Problem(where=str(path), what="not a JSON, JSON lines, CSV, TSV, Parquet or SQLite file")


def matches(patterns: Iterable[str], names: Iterable[str]) -> bool:
    """Whether one of the names is wanted: no positive pattern means all of them."""
    found = list(names)
    positive = [pattern for pattern in patterns if not pattern.startswith("!")]
    if any(fnmatch.fnmatchcase(name, pattern[1:]) for pattern in patterns if pattern.startswith("!") for name in found):
        return False
    return not positive or any(fnmatch.fnmatchcase(name, pattern) for pattern in positive for name in found)


def _expand(paths: Iterable[str]) -> Iterator[Path]:
    for given in paths:
        path = Path(given).expanduser()
        if path.is_dir():
            inside = [
                p
                for p in sorted(path.rglob("*"))
                if p.suffix.lower() in _DOCUMENTS | _TABLES | _COLUMNAR | _DATABASES and p.is_file()
            ]
            if not inside:
                raise InputError(f"no JSON, CSV, Parquet or SQLite file under {path}")
            yield from inside
        elif path.is_file():
            yield path
        else:
            raise InputError(f"no such file or directory: {path}")


def _named(paths: Iterator[Path]) -> list[tuple[str, Path]]:
    """Each file once, with a name that no other has: its stem, or as much of its path as tells it apart."""
    unique = list(dict.fromkeys(path.resolve() for path in paths))
    named: list[tuple[str, Path]] = []
    for path in unique:
        alike = [other for other in unique if other.stem == path.stem]
        name = path.stem if len(alike) == 1 else path.name
        if sum(other.name == path.name for other in alike) > 1:
            name = f"{path.parent.name}/{path.name}"
        taken = sum(other == name or other.startswith(f"{name} (") for other, _ in named)
        named.append((f"{name} ({taken + 1})" if taken else name, path))
    return named


def _is_sqlite(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_SQLITE)) == _SQLITE
    except OSError:
        return False


def _shown(source: DictionarySource) -> str:
    return "the database" if source.url else ", ".join(source.paths[:3])
