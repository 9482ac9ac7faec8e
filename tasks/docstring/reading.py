"""One file on its way to jobs: what it defines for others, and a draft for each definition that lacks a docstring."""

import ast
import functools
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tasks.docstring import textfile
from tasks.docstring.calls import Reference, attributes, references
from tasks.docstring.definitions import Definition, Function, Node, definitions, dotted, has_docstring, last
from tasks.docstring.essence import Essence
from tasks.docstring.extract import facts_of, first_line
from tasks.docstring.facts import Facts, JobInput, Target
from tasks.docstring.guard import Guard, guard_of
from tasks.docstring.improve import lacks
from tasks.docstring.library import Module, Scope, Symbol, names_of
from tasks.docstring.modules import is_telling, module_facts, module_name
from tasks.docstring.options import Options
from tasks.kind import Problem

_MAX_SOURCE = 12_000  # characters, some 3,000 tokens: a longer body says little more about what it is for
_MAX_NAMES = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A job without what only the other files can tell: the definitions that ``references`` name."""

    key: str
    input: JobInput
    scope: Scope
    references: tuple[Reference, ...]


class Reading:
    """One parsed file. ``ranges``: only definitions that touch these lines get a job."""

    def __init__(
        self, file: textfile.TextFile, tree: ast.Module, path: Path, root: Path, options: Options, ranges: list[range]
    ) -> None:
        self._file, self._tree, self._root, self._ranges = file, tree, root, ranges
        self._where = path.relative_to(root).as_posix()
        self._options = options
        self._lines = textfile.Lines(file.text)
        self._all = list(definitions(tree))
        self._docs = {
            d.qualname: first_line(d.docstring) for d in self._all if has_docstring(d.node) and first_line(d.docstring)
        }
        self._names = _defined(tree.body)
        self.module = Module(path=path, names=names_of(path, root))
        self.module.read_imports(tree)

    def drafts(self, line_length: int) -> Iterator[Draft | Problem]:
        """Also completes ``module``: when the last draft has been asked for, it knows all its symbols."""
        guard: Guard | None = None
        for definition in self._all:
            key = ""
            if is_wanted(definition, self._options) and self._is_touched(definition.node):
                guard = guard or guard_of(self._tree)
                found = self._draft(definition, guard, line_length)
                if found is not None:
                    yield found
                key = found.key if isinstance(found, Draft) and not found.input.facts.existing else ""
            self.module.add(self._symbol(definition, key))
        whole = self._whole(line_length)
        if whole is not None:
            yield whole
        key = whole.key if isinstance(whole, Draft) else ""
        self.module.add(Symbol(qualname="", key=key, doc=first_line(ast.get_docstring(self._tree))))

    def _symbol(self, definition: Definition, key: str) -> Symbol:
        node = definition.node
        doc = self._docs.get(definition.qualname, "") if has_docstring(node) else ""
        if not isinstance(node, ast.ClassDef):
            return Symbol(qualname=definition.qualname, key=key, doc=doc)
        bases = tuple(reference.name for reference in references(definition))
        return Symbol(qualname=definition.qualname, key=key, doc=doc, bases=bases, attributes=attributes(node))

    def _is_touched(self, node: Node) -> bool:
        return any(r.start <= (node.end_lineno or node.lineno) and node.lineno < r.stop for r in self._ranges)

    def _draft(self, definition: Definition, guard: Guard, line_length: int) -> Draft | Problem | None:
        where = f"{self._where}:{definition.node.lineno}"
        reason = guard.reason(definition)
        if reason:
            return Problem(where=where, what=f"{definition.qualname} left alone: {reason}", by_design=True)
        try:
            facts = facts_of(definition, self._tree, self._docs, init_in_class=self._options.init == "class")
            if facts.existing and not lacks(facts):
                return None
            owner = definition.owner
            around = [".".join(n.name for n in definition.around[: i + 1]) for i in range(len(definition.around))]
            functions = [q for q, n in zip(around, definition.around, strict=True) if isinstance(n, Function)]
            itself = [definition.qualname] if isinstance(definition.node, Function) else []
            suffix = f"#{definition.ordinal}" if definition.ordinal > 1 else ""
            return Draft(
                key=f"{self._where}::{definition.qualname}{suffix}",
                input=JobInput(
                    target=self._target(definition, line_length),
                    facts=facts,
                    source=self._segment(definition),
                    names=[*(_defined(owner.body) if owner else ()), *self._names][:_MAX_NAMES],
                ),
                scope=Scope(
                    functions=(*itself, *reversed(functions)),
                    owner=definition.qualname.rpartition(".")[0] if owner else "",
                ),
                references=tuple(references(definition)),
            )
        except (RecursionError, textfile.UnreadableSource):
            return Problem(where=where, what=f"{definition.qualname}: nested too deeply to be read")

    def _target(self, definition: Definition, line_length: int) -> Target:
        node = definition.node
        first = node.body[0]
        own_line = first.lineno > node.lineno and not self._lines.indentation(first.lineno, first.col_offset).strip()
        return self._place(
            qualname=definition.qualname,
            ordinal=definition.ordinal,
            lineno=node.lineno,
            end_lineno=node.end_lineno or node.lineno,
            indent=first.col_offset if own_line else node.col_offset + 4,
            line_length=line_length,
        )

    def _place(self, **where: int | str) -> Target:
        known = {"root": str(self._root), "path": self._where, "sha256": self._file.sha256, "essence": self._essence}
        return Target.model_validate({**known, **where})

    @functools.cached_property
    def _essence(self) -> str:
        return Essence.of(self._file.text, self._tree).digest()

    def _segment(self, definition: Definition) -> str:
        node = definition.node
        start = min([node.lineno, *(d.lineno for d in node.decorator_list)])
        stop = self._lines.start_of((node.end_lineno or node.lineno) + 1)
        return _shown(self._file.text[self._lines.start_of(start) : stop])

    def _whole(self, line_length: int) -> Draft | Problem | None:
        """The module's own docstring."""
        if not self._options.modules or has_docstring(self._tree) or not self._ranges:
            return None
        if any(_is_private(part.removesuffix(".py")) for part in self._where.split("/")) and not self._options.private:
            return None
        if not is_telling(self._tree, self.module.path):
            return None
        reason = guard_of(self._tree).module_reason
        if reason:
            return Problem(where=f"{self._where}:1", what=f"the module left alone: {reason}", by_design=True)
        facts: Facts = module_facts(self._tree, module_name(self.module.path))
        stop = self._tree.body[-1].end_lineno if self._tree.body else 1
        try:
            target = self._place(qualname="", lineno=1, end_lineno=stop or 1, indent=0, line_length=line_length)
        except (RecursionError, textfile.UnreadableSource):
            return Problem(where=f"{self._where}:1", what="the module: nested too deeply to be read")
        return Draft(
            key=self._where,
            input=JobInput(target=target, facts=facts, source=_shown(self._file.text), names=self._names[:_MAX_NAMES]),
            scope=Scope(),
            references=tuple(Reference(shown=name, name=name) for name in facts.methods),
        )


def _shown(text: str) -> str:
    plain = text.replace("\r\n", "\n").replace("\r", "\n").replace("\f", "")
    return _bounded(textwrap.dedent(plain).rstrip("\n"))


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
