"""From result rows to new file contents: what `sweep apply` writes and what the patch shows."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from core.model import JobState, ResultRow
from tasks.docstring import textfile
from tasks.docstring.essence import Essence
from tasks.docstring.facts import Target
from tasks.docstring.insert import Doc, Inserted, insert

_USABLE = frozenset({JobState.DONE, JobState.FALLBACK})


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """A file or definition that stays as it is, and why."""

    where: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    """One file before and after. ``old == new``: nothing to write."""

    path: Path
    root: Path
    old: bytes
    new: bytes
    done: tuple[str, ...] = ()
    present: tuple[str, ...] = ()
    skipped: tuple[Skipped, ...] = ()


def changes(rows: Iterable[ResultRow]) -> Iterator[FileChange | Skipped]:
    """File by file, by path. The first usable row of a definition counts (a grid brings several)."""
    by_file: dict[Path, dict[tuple[str, int], tuple[Target, Doc]]] = {}
    for row in rows:
        if row.state not in _USABLE or not row.result or not row.result.get("docstring"):
            continue
        target = Target.model_validate(row.input["target"])
        doc = Doc(
            qualname=target.qualname,
            ordinal=target.ordinal,
            text=row.result["docstring"],
            line_length=target.line_length,
            replace=bool(row.input["facts"].get("existing")),
        )
        path = Path(target.root, target.path)
        by_file.setdefault(path, {}).setdefault((doc.qualname, doc.ordinal), (target, doc))
    for path, found in sorted(by_file.items()):  # rows come callees first, from all over
        targets, docs = zip(*found.values(), strict=True)
        yield _change(path, targets[0], list(docs))


def _change(path: Path, target: Target, docs: list[Doc]) -> FileChange | Skipped:
    try:
        old = path.read_bytes()
        file = textfile.decode(old)
        inserted = insert(file, docs)
    except OSError as exc:
        return Skipped(where=str(path), reason=f"cannot be read: {exc.strerror}")
    except textfile.UnreadableSource as exc:
        return Skipped(where=str(path), reason=str(exc))
    if file.sha256 != target.sha256 and not _is_own_work(file, target, inserted):
        return Skipped(where=str(path), reason="changed since the sweep read it")
    return FileChange(
        path=path,
        root=Path(target.root),
        old=old,
        new=file.encode(inserted.text),
        done=inserted.done,
        present=inserted.present,
        skipped=tuple(Skipped(where=f"{path}::{r.qualname}".rstrip(":"), reason=r.reason) for r in inserted.refused),
    )


def _is_own_work(file: textfile.TextFile, target: Target, inserted: Inserted) -> bool:
    """Whether the file differs by docstrings of this very sweep alone: an earlier apply, before a retry."""
    return bool(inserted.present) and Essence.of(file.text, textfile.parse(file.text)).digest() == target.essence
