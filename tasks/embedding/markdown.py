"""Markdown without links' addresses, images, inline HTML and comments. Code stays as it is."""

import re
from collections.abc import Iterator

from tasks.embedding.lines import Line

_FENCE = re.compile(r"\s{0,3}(`{3,}|~{3,})")
_ATX = re.compile(r"\s{0,3}#{1,6}\s+(.*?)\s*#*\s*$")
_SETEXT = re.compile(r"\s{0,3}(=+|-+)\s*$")
_RULER = re.compile(r"[\s|:*_-]*[-*_|]{2}[\s|:*_-]*$")  # a thematic break or the line under a table's head
_DEFINITION = re.compile(r"\s{0,3}\[[^\]]+\]:\s+\S")
_TITLE = re.compile(r"title:\s*['\"]?(.*?)['\"]?\s*$")

_CODE = r"(?P<code>(?P<ticks>`+)(?!`).*?(?<!`)(?P=ticks)(?!`))"
_IMAGES = re.compile(_CODE + r"|!\[(?P<text>[^\]]*)\](?:\([^)]*\)|\[[^\]]*\])")
_LINKS = re.compile(
    _CODE
    + r"|\[(?P<text>(?:[^\[\]`]|`[^`]*`)*)\](?:\([^()\s]*(?:\([^()]*\)[^()\s]*)*(?:\s+[\"'][^)]*)?\)|\[[^\]]*\])"
    + r"|<(?P<url>(?:https?|mailto):[^\s>]+)>"
    + r"|\*\*(?P<strong>[^*]+)\*\*"
)
_HTML_TAGS = (
    "a|abbr|b|blockquote|br|center|code|dd|del|details|div|dl|dt|em|font|h[1-6]|hr|i|img|ins|kbd|li|nobr|ol|p|picture|"
    "pre|s|samp|section|small|source|span|strong|sub|summary|sup|svg|table|tbody|td|tfoot|th|thead|tr|u|ul|video"
)
_TAGS = re.compile(_CODE + rf"|</?(?:{_HTML_TAGS})(?:\s[^<>]*)?/?>|<!--.*?-->", re.IGNORECASE)


def lines(pieces: Iterator[str]) -> Iterator[Line]:
    """Cleaned lines; headings of both styles are marked and keep no marks."""
    fence = ""
    held = ""  # the last line of text: it is a heading if a line of = or - follows
    for piece in _without_comments(_without_front_matter(pieces)):
        mark = _FENCE.match(piece)
        if fence or mark:
            yield from _flush(held)
            held = ""
            yield Line("\n" if mark else piece)
            fence = _fence_after(fence, mark, piece)
        elif held and _SETEXT.match(piece):
            yield Line(held, heading=True)
            held = ""
        else:
            yield from _flush(held)
            held = ""
            if heading := _ATX.match(piece):
                yield Line(f"{_inline(heading[1])}\n", heading=True)
            elif piece.strip():
                held = _block(piece)
            else:
                yield Line(piece)
    yield from _flush(held)


def _fence_after(fence: str, mark: re.Match[str] | None, piece: str) -> str:
    if not fence:
        return mark[1] if mark else ""
    closes = mark is not None and mark[1].startswith(fence) and not piece.strip().strip(fence[0])
    return "" if closes else fence


def _flush(held: str) -> Iterator[Line]:
    if held:
        yield Line(held)


def _block(piece: str) -> str:
    """A line of text, blank where it was markup alone."""
    if _RULER.match(piece) or _DEFINITION.match(piece):
        return "\n"
    return _inline(piece)


def _inline(text: str) -> str:
    if not any(mark in text for mark in "[<*!"):
        return text
    for pattern in (_IMAGES, _TAGS, _LINKS):
        text = pattern.sub(_kept, text)
    return text


def _kept(match: re.Match[str]) -> str:
    parts = match.groupdict()
    return next((part for name, part in parts.items() if part is not None and name != "ticks"), "")


def _without_front_matter(pieces: Iterator[str]) -> Iterator[str]:
    """YAML between --- lines at the very top goes, but for the title, which becomes a heading."""
    first = next(pieces, "")
    if first.rstrip() != "---":
        yield first
        yield from pieces
        return
    held = [first]
    for piece in pieces:
        if piece.rstrip() == "---":
            titles = (_TITLE.match(line) for line in held)
            yield from (f"# {title[1]}\n" for title in titles if title)
            break
        held.append(piece)
        if len(held) > 100 or not piece.strip():  # a thematic break, then: no front matter
            yield from held
            break
    else:
        yield from held
    yield from pieces


def _without_comments(pieces: Iterator[str]) -> Iterator[str]:
    inside = False
    for piece in pieces:
        if inside:
            _, end, rest = piece.partition("-->")
            inside = not end
            yield rest if end and rest.strip() else "\n"
        elif piece.lstrip().startswith("<!--") and "-->" not in piece:
            inside = True
        else:
            yield piece
