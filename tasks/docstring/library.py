"""All files of a source as Python would import them: who defines a name, and what its docstring says."""

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

_DEPTH = 8  # modules that hand a name on, classes above a class
_STARS = 3  # modules that hand all their names on: packages full of these would multiply

_LAYOUTS = frozenset({"src", "lib"})  # directories that packages lie in and that no import names


@dataclass(frozen=True, slots=True, kw_only=True)
class Symbol:
    """A definition. ``key``: its job's, empty when it gets none; ``doc``: the first line of the docstring it has."""

    qualname: str
    key: str = ""
    doc: str = ""
    bases: tuple[str, ...] = ()  # as the code writes them
    attributes: Mapping[str, str] = field(default_factory=dict)  # attribute -> class


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Where a name is used: the functions around and the class that owns the place, by qualified names."""

    functions: tuple[str, ...] = ()  # from the inside
    owner: str = ""


@dataclass(slots=True, kw_only=True)
class Module:
    """What a file defines and imports."""

    path: Path
    names: tuple[str, ...]  # by which others may import it, the surest first
    symbols: dict[str, Symbol] = field(default_factory=dict)  # by qualified name; "" is the module itself
    imports: dict[str, str] = field(default_factory=dict)  # name -> what it stands for, absolute
    stars: list[str] = field(default_factory=list)

    def add(self, symbol: Symbol) -> None:
        """Of redefinitions the documented one counts, else the first that gets a docstring."""
        known = self.symbols.get(symbol.qualname)
        if known is None or (not known.doc and (symbol.doc or (symbol.key and not known.key))):
            self.symbols[symbol.qualname] = symbol

    def read_imports(self, tree: ast.Module) -> None:
        """Those of functions too."""
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    whole = alias.name if alias.asname else alias.name.partition(".")[0]
                    self.imports.setdefault(alias.asname or whole, whole)
            elif isinstance(node, ast.ImportFrom):
                origin = self._origin(node)
                for alias in node.names:
                    if alias.name == "*":
                        self.stars.append(origin)
                    else:
                        self.imports.setdefault(alias.asname or alias.name, f"{origin}.{alias.name}".lstrip("."))

    def _origin(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        parts = self.names[0].split(".")
        keep = len(parts) - node.level + (self.path.name == "__init__.py")
        return ".".join([*parts[: max(keep, 0)], *([node.module] if node.module else [])])


class _Place(NamedTuple):
    module: Module
    symbol: Symbol


def names_of(path: Path, root: Path) -> tuple[str, ...]:
    """A file's dotted names: by the packages around it, and as seen from the root (namespace packages)."""
    stem = [] if path.name == "__init__.py" else [path.stem]
    parts = list(stem)
    directory = path.parent
    while (directory / "__init__.py").is_file() and directory != directory.parent:
        parts.insert(0, directory.name)
        directory = directory.parent
    seen = [*path.parent.relative_to(root).parts, *stem]
    if seen and seen[0] in _LAYOUTS:
        seen = seen[1:]
    return tuple(dict.fromkeys(name for name in (".".join(parts), ".".join(seen)) if name))


class Library:
    """Looks names up across files. Nothing is imported or run."""

    def __init__(self) -> None:
        self._modules: dict[str, list[Module]] = {}

    def add(self, module: Module) -> None:
        """A file, under all its names."""
        for name in module.names:
            self._modules.setdefault(name, []).append(module)

    def resolve(self, module: Module, scope: Scope, name: str) -> Symbol | None:
        """What a dotted name stands for at a place; None: something that the source does not define."""
        found = self._resolved(module, scope, name.split("."))
        return None if found is None else found[1]

    def inside(self, package: Module) -> list[tuple[str, Symbol]]:
        """A package's own modules by name; none where the module is no package."""
        if package.path.name != "__init__.py":
            return []
        start = f"{package.names[0]}."
        found = {
            name.removeprefix(start): modules[0].symbols[""]
            for name, modules in self._modules.items()
            if name.startswith(start) and name == modules[0].names[0] and "" in modules[0].symbols
        }
        return [(name, found[name]) for name in sorted(found) if "." not in name]

    def _resolved(self, module: Module, scope: Scope, parts: list[str]) -> _Place | None:
        owner = module.symbols.get(scope.owner) if scope.owner else None
        if parts[0] in {"self", "cls", "super"}:
            return None if owner is None else self._of_self(_Place(module, owner), parts)
        for function in scope.functions:
            if f"{function}.{parts[0]}" in module.symbols:
                return self._member(module, [*function.split("."), *parts])
        return self._member(module, parts)

    def _of_self(self, owner: _Place, parts: list[str]) -> _Place | None:
        match parts:
            case ["super", name]:
                return self._inherited(owner, name)
            case [_, name]:
                return self._attribute(owner, name)
            case [_, attribute, name] if attribute in owner.symbol.attributes:
                kind = self._member(owner.module, owner.symbol.attributes[attribute].split("."))
                return None if kind is None else self._attribute(kind, name)
            case _:
                return None

    def _attribute(self, owner: _Place, name: str, depth: int = 0) -> _Place | None:
        """A class's own member, or that of the nearest class above."""
        own = owner.module.symbols.get(f"{owner.symbol.qualname}.{name}")
        return _Place(owner.module, own) if own is not None else self._inherited(owner, name, depth)

    def _inherited(self, owner: _Place, name: str, depth: int = 0) -> _Place | None:
        for base in owner.symbol.bases if depth < _DEPTH else ():
            above = self._member(owner.module, base.split("."), depth)
            found = None if above is None else self._attribute(above, name, depth + 1)
            if found is not None:
                return found
        return None

    def _member(self, module: Module, parts: list[str], depth: int = 0) -> _Place | None:
        """A name as a module's top level sees it: defined there, imported, or a member of one of these."""
        own = module.symbols.get(".".join(parts))
        if own is not None:
            return _Place(module, own)
        owner = module.symbols.get(".".join(parts[:-1]))
        if owner is not None and parts[1:]:
            return self._inherited(_Place(module, owner), parts[-1], depth)
        if depth >= _DEPTH or parts[0] in module.symbols:
            return None
        if parts[0] in module.imports:
            return self._found([*module.imports[parts[0]].split("."), *parts[1:]], module, depth + 1)
        stars = module.stars if depth < _STARS else ()
        handed_on = (self._found([*star.split("."), *parts], module, depth + 1) for star in stars)
        return next((found for found in handed_on if found is not None), None)

    def _found(self, parts: list[str], near: Module, depth: int) -> _Place | None:
        """An absolute name: the longest part of it that is a module, and the member that the rest names."""
        for length in range(len(parts) - 1, 0, -1):
            module = self._module(".".join(parts[:length]), near)
            found = None if module is None else self._member(module, parts[length:], depth)
            if found is not None:
                return found
        return None

    def _module(self, name: str, near: Module) -> Module | None:
        """Of several files of one name (scripts), the one beside the file that asks."""
        candidates = self._modules.get(name, [])
        if len(candidates) > 1:
            candidates = [module for module in candidates if module.path.parent == near.path.parent]
        return candidates[0] if len(candidates) == 1 else None
