"""Code whose behaviour hangs on its docstring: command line help, grammars, API pages. Left alone, with the reason."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tasks.docstring.definitions import Definition, Function, definitions, dotted, last

_COMMANDS = frozenset({"command", "group", "callback"})
_BY_LIBRARY: Mapping[str, frozenset[str]] = {
    "fastapi": frozenset({"get", "post", "put", "patch", "delete", "head", "options", "websocket", "api_route"}),
    "flask_restx": frozenset({"route", "doc"}),
    "invoke": frozenset({"task"}),
    "fabric": frozenset({"task"}),
    "langchain": frozenset({"tool"}),
    "langchain_core": frozenset({"tool"}),
    "mcp": frozenset({"tool", "prompt", "resource"}),
    "fastmcp": frozenset({"tool", "prompt", "resource"}),
    "agents": frozenset({"function_tool"}),
}
_RUNNERS = frozenset({"typer.run", "fire.Fire", "Fire", "plac.call", "defopt.run", "cyclopts.run"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """What a module does with docstrings. ``reason`` answers for one definition."""

    read: frozenset[str] = frozenset()  # names whose __doc__ the module reads or sets
    readers: frozenset[str] = frozenset()  # functions that read the __doc__ of what they are given
    run: frozenset[str] = frozenset()  # functions handed to a command line library
    libraries: frozenset[str] = frozenset()
    own: bool = False  # the module reads or sets its own ``__doc__``: usage texts, argparse, docopt

    @property
    def module_reason(self) -> str:
        """Why the module itself must not get a docstring; empty when it may."""
        if "fire" in self.libraries:
            return "Fire shows its docstring as help"
        return "it uses its __doc__" if self.own else ""

    def reason(self, definition: Definition) -> str:
        """Why the definition must not get a docstring; empty when it may."""
        node = definition.node
        if node.name in self.read:
            return f"the module uses {node.name}.__doc__"
        if node.name in self.run:
            return "a command line library shows its docstring as help"
        for decorator in node.decorator_list:
            said = self._decorated(dotted(decorator))
            if said:
                return said
        if isinstance(node, ast.ClassDef):
            return _sets_doc(node)
        return self._grammar_or_shell(definition, node)

    def _decorated(self, name: str) -> str:
        tail = last(name)
        if tail in _COMMANDS and name != "callback":
            return f"@{name} shows the docstring as help"
        if name in self.readers:
            return f"@{name} reads the docstring"
        for library, decorators in _BY_LIBRARY.items():
            if library in self.libraries and tail in decorators:
                return f"@{name} publishes the docstring ({library})"
        return ""

    def _grammar_or_shell(self, definition: Definition, node: Function) -> str:
        if node.name.startswith(("p_", "t_")) and self.libraries & {"ply", "sly"}:
            return "the docstring is a grammar rule (ply)"
        owner = definition.owner
        if owner is not None and node.name.startswith("do_") and any(last(dotted(b)) == "Cmd" for b in owner.bases):
            return "cmd.Cmd shows the docstring as help"
        return ""


def guard_of(tree: ast.Module) -> Guard:
    """Reads a module once."""
    read: set[str] = set()
    readers: set[str] = set()
    for definition in definitions(tree):
        names = set(_doc_of(definition.node))
        if isinstance(definition.node, Function):
            given = {a.arg for a in ast.walk(definition.node.args) if isinstance(a, ast.arg)}
            if names & (given - {"self", "cls"}):
                # A decorator with arguments reads it in the function that it returns.
                readers.update(n.name for n in (definition.node, *definition.around) if isinstance(n, Function))
        if names & {"self", "cls"}:
            read.update(n.name for n in definition.around[-1:] if isinstance(n, ast.ClassDef))
    read.update(_doc_of(tree))
    return Guard(
        read=frozenset(read - {"self", "cls", ""}),
        readers=frozenset(readers),
        run=frozenset(_handed_over(tree)),
        libraries=frozenset(_imported(tree)),
        own=any(isinstance(node, ast.Name) and node.id == "__doc__" for node in ast.walk(tree)),
    )


def _doc_of(node: ast.AST) -> Iterator[str]:
    """Names X in ``X.__doc__``, ``getdoc(X)`` and ``getattr(X, "__doc__")``."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Attribute) and inner.attr == "__doc__":
            yield last(dotted(inner.value))
        elif isinstance(inner, ast.Call) and inner.args and _reads_doc(inner):
            yield last(dotted(inner.args[0]))


def _reads_doc(call: ast.Call) -> bool:
    name = last(dotted(call))
    if name == "getdoc":
        return True
    return name in {"getattr", "setattr"} and any(
        isinstance(arg, ast.Constant) and arg.value == "__doc__" for arg in call.args
    )


def _handed_over(tree: ast.Module) -> Iterator[str]:
    """Functions given to ``typer.run(f)``, ``cli.command()(f)`` and the like."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        applied = isinstance(node.func, ast.Call) and last(dotted(node.func)) in _COMMANDS
        if applied or dotted(node) in _RUNNERS:
            yield from (last(dotted(arg)) for arg in node.args if isinstance(arg, ast.Name | ast.Attribute))


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


def _sets_doc(node: ast.ClassDef) -> str:
    for statement in node.body:
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        names = {target.id for target in targets if isinstance(target, ast.Name)}
        if "__doc__" in names:
            return "the class sets __doc__ itself"
        if "__slots__" in names and isinstance(statement, ast.Assign) and "'__doc__'" in ast.unparse(statement.value):
            return "__doc__ is one of the class's slots"
    return ""
