"""The source of a docstring sweep: one job for each definition that lacks a docstring."""

import ast
import functools
import textwrap
from collections.abc import Iterator
from pathlib import Path

from core.errors import InputError
from core.model import JobDraft
from tasks.docstring import changed, discover, textfile
from tasks.docstring.definitions import Definition, Function, definitions, dotted, has_docstring, last
from tasks.docstring.essence import Essence
from tasks.docstring.extract import facts_of
from tasks.docstring.facts import JobInput, Target
from tasks.docstring.guard import Guard, guard_of
from tasks.docstring.improve import lacks
from tasks.docstring.options import Options, Source
from tasks.kind import Found, Problem

_MAX_SOURCE = 12_000  # characters, some 3,000 tokens: a longer body says little more about what it is for
_MAX_NAMES = 200
_EVERYTHING = [range(1, 1 << 30)]


def jobs(source: Source, options: Options) -> Iterator[Found]:
    """Streams files in sorted order. Raises InputError when there is nothing to document, or a named file is bad."""
    places = discover.resolve(source.paths)
    root = discover.root_of(places)
    touched = None if source.changed_since is None else changed.lines(root, source.changed_since)
    length = options.line_length or discover.line_length(root)
    count = files = unreadable = 0
    for item in discover.files(places):
        files += 1
        if isinstance(item, Problem):
            unreadable += 1
            yield item
            continue
        ranges = _EVERYTHING if touched is None else touched.get(item.path, [])
        for one in _read(item, root, options, length) if ranges else ():
            if isinstance(one, Problem):
                unreadable += not one.by_design
            elif not _touches(one, ranges):
                continue
            else:
                count += 1
            yield one
    if not count:
        raise _nothing(source, options, files, unreadable)


def _nothing(source: Source, options: Options, files: int, unreadable: int) -> InputError:
    where = ", ".join(source.paths)
    if not files:
        return InputError(f"no Python files in {where}")
    what = "improve" if options.improve else "document"
    since = f" changed since {source.changed_since}" if source.changed_since else ""
    bad = f", {unreadable} of them unreadable" if unreadable else ""
    hint = "" if options.improve else "improve extends docstrings that are there, private and nested look further"
    return InputError(f"nothing to {what} in {where}: {files} Python files{since}{bad}", hint=hint)


def _touches(draft: JobDraft, ranges: list[range]) -> bool:
    start = draft.input["target"]["lineno"]
    stop = draft.input["target"]["end_lineno"]
    return any(r.start <= stop and start < r.stop for r in ranges)


def _read(item: discover.SourceFile, root: Path, options: Options, length: int) -> Iterator[Found]:
    where = item.path.relative_to(root).as_posix()
    try:
        where.encode()
        data = _bytes(item.path)
        file = textfile.decode(data)
        tree = textfile.parse(file.text)
    except UnicodeEncodeError:
        yield Problem(where=ascii(where), what="its name is not valid UTF-8")
        return
    except textfile.UnreadableSource as exc:
        if item.named:
            raise InputError(f"{item.path}: {exc}") from exc
        yield Problem(where=where, what=str(exc))
        return
    yield from _Module(file, tree, root, where, options, length).jobs()


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > discover.MAX_BYTES:
            raise textfile.UnreadableSource(f"larger than {discover.MAX_BYTES:,} bytes")
        return path.read_bytes()
    except OSError as exc:
        raise textfile.UnreadableSource(f"cannot be read: {exc.strerror}") from exc


class _Module:
    """One parsed file on its way to jobs."""

    def __init__(
        self, file: textfile.TextFile, tree: ast.Module, root: Path, where: str, options: Options, length: int
    ) -> None:
        self._file, self._tree, self._root, self._where = file, tree, root, where
        self._options, self._length = options, length
        self._lines = textfile.Lines(file.text)
        self._all = list(definitions(tree))
        self._docs = {
            d.qualname: d.docstring.strip().splitlines()[0][:200]
            for d in self._all
            if has_docstring(d.node) and d.docstring
        }
        self._names = _defined(tree.body)

    def jobs(self) -> Iterator[Found]:
        guard: Guard | None = None
        for definition in self._all:
            if not is_wanted(definition, self._options):
                continue
            guard = guard or guard_of(self._tree)
            where = f"{self._where}:{definition.node.lineno}"
            reason = guard.reason(definition)
            if reason:
                yield Problem(where=where, what=f"{definition.qualname} left alone: {reason}", by_design=True)
                continue
            try:
                draft = self._draft(definition)
                if draft is not None:
                    yield draft
            except (RecursionError, textfile.UnreadableSource):
                yield Problem(where=where, what=f"{definition.qualname}: nested too deeply to be read")

    def _draft(self, definition: Definition) -> JobDraft | None:
        node = definition.node
        facts = facts_of(definition, self._tree, self._docs, init_in_class=self._options.init == "class")
        if facts.existing and not lacks(facts):
            return None
        first = node.body[0]
        own_line = first.lineno > node.lineno and not self._lines.indentation(first.lineno, first.col_offset).strip()
        indent = first.col_offset if own_line else node.col_offset + 4
        target = Target(
            root=str(self._root),
            path=self._where,
            sha256=self._file.sha256,
            essence=self._essence,
            qualname=definition.qualname,
            ordinal=definition.ordinal,
            lineno=node.lineno,
            end_lineno=node.end_lineno or node.lineno,
            indent=indent,
            line_length=self._length,
        )
        names = self._names if definition.owner is None else [*_defined(definition.owner.body), *self._names]
        job = JobInput(target=target, facts=facts, source=self._segment(definition), names=names[:_MAX_NAMES])
        suffix = f"#{definition.ordinal}" if definition.ordinal > 1 else ""
        return JobDraft(
            key=f"{self._where}::{definition.qualname}{suffix}",
            input=job.model_dump(mode="json", exclude_defaults=True),
        )

    @functools.cached_property
    def _essence(self) -> str:
        return Essence.of(self._file.text, self._tree).digest()

    def _segment(self, definition: Definition) -> str:
        node = definition.node
        start = min([node.lineno, *(d.lineno for d in node.decorator_list)])
        stop = self._lines.start_of((node.end_lineno or node.lineno) + 1)
        text = self._file.text[self._lines.start_of(start) : stop].replace("\r\n", "\n").replace("\r", "\n")
        return _bounded(textwrap.dedent(text.replace("\f", "")).rstrip("\n"))


def is_wanted(definition: Definition, options: Options) -> bool:
    """Whether the definition gets a job, going by its name, its decorators and the docstring it has."""
    if has_docstring(definition.node) and not _improvable(definition, options):
        return False
    if definition.is_local and not options.nested:
        return False
    names = [*(a.name for a in definition.around), definition.node.name]
    if not options.private and any(_is_private(name) for name in names):
        return False
    return not isinstance(definition.node, Function) or _is_own_code(definition.node, options)


def _improvable(definition: Definition, options: Options) -> bool:
    return options.improve and options.style != "pep257" and ">>>" not in (definition.docstring or "")


def _is_own_code(node: Function, options: Options) -> bool:
    """Neither a stub, an overload, nor one half of a property: their docstrings are nobody's to read."""
    if node.name == "__init__" and options.init != "method":
        return False
    marks = {last(dotted(d)) for d in node.decorator_list}
    if marks & {"overload", "setter", "deleter"}:
        return False
    only = node.body[-1]
    is_stub = isinstance(only, ast.Expr) and isinstance(only.value, ast.Constant) and only.value.value is ...
    return not (is_stub and len(node.body) == 1)


def _is_private(name: str) -> bool:
    return name.startswith("_") and not (name.startswith("__") and name.endswith("__"))


def _bounded(text: str) -> str:
    """The head and the tail of a long body; what is left out is told."""
    if len(text) <= _MAX_SOURCE:
        return text
    head = text[: _MAX_SOURCE * 3 // 4].rpartition("\n")[0]
    tail = text[-_MAX_SOURCE // 4 :].partition("\n")[2]
    left_out = text.count("\n") - head.count("\n") - tail.count("\n") - 1
    return f"{head}\n# ... {left_out} lines left out ...\n{tail}"


def _defined(body: list[ast.stmt]) -> list[str]:
    """The names that a module or class body binds at its top level."""
    found: dict[str, None] = {}
    for statement in body:
        match statement:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                found[name] = None
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                found.update(dict.fromkeys((a.asname or a.name).partition(".")[0] for a in aliases))
            case ast.Assign(targets=targets):
                found.update(dict.fromkeys(t.id for t in targets if isinstance(t, ast.Name)))
            case ast.AnnAssign(target=ast.Name(id=name)):
                found[name] = None
            case _:
                pass
    return list(found)
