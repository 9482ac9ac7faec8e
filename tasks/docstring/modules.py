"""What is told of a module as a whole."""

import ast
from pathlib import Path

from tasks.docstring.definitions import Node
from tasks.docstring.facts import Facts

_SHOWN = 30


def is_telling(tree: ast.Module, path: Path) -> bool:
    """Whether there is something to say: an empty file says nothing, unless it makes a directory a package."""
    return bool(tree.body) or path.name == "__init__.py"


def module_name(path: Path) -> str:
    """The last part of the dotted name; a package's is its directory's."""
    return path.parent.name if path.name == "__init__.py" else path.stem


def module_facts(tree: ast.Module, name: str) -> Facts:
    """Its name and the public definitions of its top level."""
    exported = _exported(tree)
    defined = [node.name for node in tree.body if isinstance(node, Node)]
    public = [one for one in dict.fromkeys(defined) if not one.startswith("_")]
    return Facts(qualname=name, thing="module", methods=[*dict.fromkeys([*exported, *public])][:_SHOWN])


def _exported(tree: ast.Module) -> list[str]:
    """The names in ``__all__``, where it is a plain list."""
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id="__all__")], value=ast.List(elts=elts) | ast.Tuple(elts=elts)):
                return [e.value for e in elts if isinstance(e, ast.Constant) and isinstance(e.value, str)]
            case _:
                pass
    return []
