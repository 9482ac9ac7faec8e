"""What a docstring must not change about a file: its code and its comments."""

import ast
import hashlib
import io
import tokenize
from dataclasses import dataclass

from tasks.docstring import textfile
from tasks.docstring.definitions import Node, definitions, docstring_node


@dataclass(frozen=True, slots=True)
class Essence:
    """The syntax tree without docstrings, and the comments in order. Equal for two texts: the same program."""

    code: str
    comments: tuple[str, ...]

    @classmethod
    def of(cls, text: str, tree: ast.Module) -> "Essence":
        """Raises UnreadableSource when the text cannot be told apart into tokens."""
        try:
            return cls(_stripped(tree), _comments(text))
        except (tokenize.TokenError, SyntaxError, RecursionError) as exc:
            raise textfile.UnreadableSource(f"cannot be compared: {exc}") from exc

    def digest(self) -> str:
        """SHA-256 of both."""
        return hashlib.sha256("\0".join((self.code, *self.comments)).encode(errors="surrogatepass")).hexdigest()


def _stripped(tree: ast.Module) -> str:
    whole: list[tuple[Node | ast.Module, list[ast.stmt]]] = []
    for node in (tree, *(definition.node for definition in definitions(tree))):
        if docstring_node(node) is not None:
            whole.append((node, node.body))
            node.body = node.body[1:]
    try:
        return ast.dump(tree)
    finally:
        for node, body in whole:
            node.body = body


def _comments(text: str) -> tuple[str, ...]:
    plain = text.replace("\r\n", "\n").replace("\r", "\n")
    tokens = tokenize.generate_tokens(io.StringIO(plain).readline)
    return tuple(token.string for token in tokens if token.type == tokenize.COMMENT)
