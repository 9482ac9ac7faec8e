"""Documents in chunks of so many tokens, streaming: first into sections, at places that the text itself gives, then
by ``semchunk`` into chunks that end where a paragraph, a sentence or at least a word ends.

Because a section's ends depend on the lines around them and on nothing before, an edit moves the chunks of its own
section and leaves all later ones as they were: they are found by fingerprint, and not bought again.
"""

import functools
import re
import zlib
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import cast

from semchunk.semchunk import chunk

from core import tokens
from tasks.embedding.lines import Line

# Text embedding models of OpenAI count with cl100k_base; for others it is an estimate, well below their limits.
_MODEL = "text-embedding-3-small"

_CHARS_PER_TOKEN = 4
_LONGEST_SECTION = 16  # in chunks
_ONE_IN = 8  # of the paragraphs that follow a chunk's worth of text, one ends the section
_WORD_START = re.compile(r"(?<=\s)(?=\S)|(?=[\u2e80-\uffff])")  # scripts without spaces break at any character


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """In tokens: the most of a chunk, and how many of them, at its start, repeat the end of the chunk before."""

    chunk: int
    overlap: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of a document; ``heading`` is the first heading in it, or empty."""

    text: str
    heading: str


def sections(lines: Iterator[Line], size: Size) -> Iterator[Section]:
    """Cuts before headings and, by a checksum of the line, before some paragraphs; never holds more than 16 chunks."""
    unit = size.chunk * _CHARS_PER_TOKEN  # what a chunk is about long
    held: list[Line] = []
    length = 0
    after_blank = False
    for line in lines:
        begins = length >= unit // 2 if line.heading else length >= unit and after_blank and _is_chosen(line)
        if held and (begins or length >= unit * _LONGEST_SECTION):
            yield _section(held)
            held, length = [], 0
        held.append(line)
        length += len(line.text)
        after_blank = line.blank
    if held:
        yield _section(held)


def _is_chosen(line: Line) -> bool:
    return not line.blank and zlib.crc32(line.text.strip().encode()) % _ONE_IN == 0


def _section(lines: list[Line]) -> Section:
    heading = next((line.text.strip() for line in lines if line.heading), "")
    return Section(text="".join(line.text for line in lines), heading=heading)


def chunks(parts: Iterator[Section], size: Size) -> Iterator[tuple[str, Section]]:
    """Each chunk with the section that it comes from. No chunk has more than ``size.chunk`` tokens, none is blank."""
    own = size.chunk - size.overlap
    before = ""
    for part in parts:
        text = before + part.text
        spans = _spans(part.text, own)
        for start, end in spans:
            begin = len(before) + start
            lead = _lead(text[:begin], size.overlap)
            stop = len(before) + end
            whole = text[begin - lead : stop]
            # Tokens may fall differently at the seam; the limit goes before the overlap.
            yield (whole if _count(whole) <= size.chunk else text[begin:stop]), part
        before = text[-size.overlap * _CHARS_PER_TOKEN * 2 :] if size.overlap else ""


def _spans(text: str, size: int) -> list[tuple[int, int]]:
    # Not memoised: semchunk keeps its memo of a whole corpus for ever.
    chunked = chunk(text, size, _counter(size), memoize=False, offsets=True)
    spans = cast("tuple[list[str], list[tuple[int, int]]]", chunked)[1]
    trimmed = ((start, start + len(text[start:end].rstrip())) for start, end in spans)
    return [(start, end) for start, end in trimmed if start < end]


def _lead(before: str, overlap: int) -> int:
    """How many characters of what stands before make up ``overlap`` tokens, from the start of a word on."""
    if not overlap:
        return 0
    tail = before[-overlap * _CHARS_PER_TOKEN * 2 :]
    starts = [match.start() for match in _WORD_START.finditer(tail)]
    first = bisect_left(starts, -overlap, key=lambda start: -_count(tail[start:]))
    return len(tail) - starts[first] if first < len(starts) else 0


@functools.cache
def _counter(size: int) -> Callable[[str], int]:
    """Counts up to ``size`` exactly, and beyond that no further than needed: long texts are tried first."""
    enough = size * 6
    longest_token = 128

    def counted(text: str) -> int:
        if len(text) > enough and _count(text[: enough + longest_token]) > size:
            return size + 1
        return _count(text)

    return counted


def _count(text: str) -> int:
    return tokens.count(text, _MODEL)
