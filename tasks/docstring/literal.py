"""A docstring's text as a Python string literal, quoted and indented."""

_QUOTES = '"""'


def literal(text: str, indent: str, line_length: int, newline: str) -> str:
    """The literal without the first line's indentation. On one line when it fits, else the quotes get their own."""
    prefix, body = _escaped(text)
    lines = body.split("\n")
    columns = len(indent.expandtabs(4)) + len(prefix) + 2 * len(_QUOTES)
    if len(lines) == 1 and columns + len(body) <= line_length:
        return f"{prefix}{_QUOTES}{_closed(body, prefix)}{_QUOTES}"
    if len(lines) == 1:
        lines = ["", *lines]  # text and closing quotes alone would leave the indentation in the docstring
    indented = [lines[0], *(indent + line if line else "" for line in lines[1:]), indent]
    return prefix + _QUOTES + newline.join(indented) + _QUOTES


def _escaped(text: str) -> tuple[str, str]:
    """A raw string where there are backslashes, as linters ask for; escapes where raw cannot say it."""
    if "\\" in text and _QUOTES not in text and not text.endswith(("\\", '"')):
        return "r", text
    return "", text.replace("\\", "\\\\").replace(_QUOTES, '\\"\\"\\"')


def _closed(body: str, prefix: str) -> str:
    return body[:-1] + '\\"' if body.endswith('"') and not prefix else body
