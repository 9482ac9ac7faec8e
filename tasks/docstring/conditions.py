"""Tests in code said in words: ``not isinstance(x, int)`` -> "`x` is not an instance of `int`"."""

import ast

from tasks.docstring.phrases import listed

_LIMIT = 60  # characters of code that a sentence still carries

_WORDS: dict[type[ast.cmpop], tuple[str, str]] = {
    ast.Eq: ("equals", "does not equal"),
    ast.NotEq: ("does not equal", "equals"),
    ast.Lt: ("is less than", "is not less than"),
    ast.LtE: ("is at most", "is greater than"),
    ast.Gt: ("is greater than", "is at most"),
    ast.GtE: ("is at least", "is less than"),
    ast.Is: ("is", "is not"),
    ast.IsNot: ("is not", "is"),
    ast.In: ("is in", "is not in"),
    ast.NotIn: ("is not in", "is in"),
}


def code(node: ast.expr, limit: int = _LIMIT) -> str:
    """The expression's source on one line; empty when it is too long or would break the markup around it."""
    if (node.end_lineno or 0) - node.lineno > 3:
        return ""
    text = ast.unparse(node)
    return "" if len(text) > limit or any(char in text for char in "`\\\n\t") else text


def words(test: ast.expr, *, holds: bool = True) -> str:
    """When the test holds (or does not), in words; empty when that would be too long to say."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return words(test.operand, holds=not holds)
    if isinstance(test, ast.BoolOp):
        return _joined(test, holds=holds)
    if isinstance(test, ast.Compare) and len(test.ops) == 1:
        return _compared(test, holds=holds)
    if isinstance(test, ast.Call) and isinstance(test.func, ast.Name) and not test.keywords:
        said = _called(test.func.id, test.args, holds=holds)
        if said:
            return said
    return _truth(test, holds=holds)


def _truth(test: ast.expr, *, holds: bool) -> str:
    text = code(test)
    if not text:
        return ""
    if isinstance(test, ast.Name | ast.Attribute):
        return f"`{text}` is {'set' if holds else 'not set'}"
    return f"`{text}` is {'true' if holds else 'false'}"


def _joined(test: ast.BoolOp, *, holds: bool) -> str:
    parts = [words(value, holds=holds) for value in test.values]
    if len(parts) > 3 or not all(parts):
        return ""
    both = isinstance(test.op, ast.And) == holds
    return listed(parts, "and" if both else "or")


def _compared(test: ast.Compare, *, holds: bool) -> str:
    left, right = code(test.left), code(test.comparators[0])
    verb = _WORDS[type(test.ops[0])][0 if holds else 1]
    if not left or not right:
        return ""
    bare = isinstance(test.comparators[0], ast.Constant) and right in {"None", "True", "False"}
    return f"`{left}` {verb} {right}" if bare else f"`{left}` {verb} `{right}`"


def _called(name: str, args: list[ast.expr], *, holds: bool) -> str:
    texts = [code(arg) for arg in args]
    if not texts or not all(texts):
        return ""
    verb = "is" if holds else "is not"
    if name == "callable" and len(texts) == 1:
        return f"`{texts[0]}` {verb} callable"
    if name == "isinstance" and len(texts) == 2:
        types = [code(t) for t in args[1].elts] if isinstance(args[1], ast.Tuple) else [texts[1]]
        return f"`{texts[0]}` {verb} an instance of {listed([f'`{t}`' for t in types], 'or')}"
    if name == "hasattr" and len(texts) == 2:
        attribute = texts[1] if texts[1].startswith("'") else f"`{texts[1]}`"
        return f"`{texts[0]}` {'has' if holds else 'does not have'} the attribute {attribute}"
    return ""
