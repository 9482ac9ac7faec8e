"""Text to lines of a given width that no docstring parser takes for markup."""

import re
import textwrap

_GLUE = "\x00"  # stands for a blank that must not become a line break
_CODE = re.compile(r"``[^`\n]{1,60}``|`[^`\n]{1,60}`|C\{[^{}\n]{1,60}\}")
_MARKUP_START = re.compile(r" +(?=[:@.>*+#|=~-]|\d+[.)]|[A-Z][A-Za-z ]{0,20}:(?: |$))")
_ITEM = re.compile(r"^(\s*(?:[-*+]|\d+[.)]) +)(\S.*)$")
_MIN_WIDTH = 24


def glue(text: str) -> str:
    """The text with blanks that ``paragraph`` does not break at."""
    return text.replace(" ", _GLUE)


def paragraph(text: str, width: int, *, first: str = "", rest: str = "") -> list[str]:
    """One paragraph. ``first`` and ``rest`` go before the first and the following lines."""
    words = " ".join(text.split())  # the glue is no blank for split
    words = _CODE.sub(lambda found: glue(found.group()), words)
    words = _MARKUP_START.sub(_GLUE, words)
    lines = textwrap.wrap(
        words,
        max(width, len(rest) + _MIN_WIDTH),
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace(_GLUE, " ") for line in lines] or [first.rstrip()]


def prose(text: str, width: int) -> list[str]:
    """Paragraphs apart by a blank line; list items keep a line of their own."""
    lines: list[str] = []
    for block in re.split(r"\n\s*\n", text.strip()):
        if lines:
            lines.append("")
        for marker, item in _items(block):
            lines.extend(paragraph(item, width, first=marker, rest=" " * len(marker)))
    return lines


def _items(block: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for line in block.splitlines():
        match = _ITEM.match(line)
        if match:
            found.append((match[1].strip() + " ", match[2]))
        elif found:
            found[-1] = (found[-1][0], f"{found[-1][1]} {line.strip()}")
        else:
            found.append(("", line.strip()))
    return found
