"""A source file's bytes as text and back, to the byte: encoding, byte order mark and line ends are kept."""

import ast
import codecs
import hashlib
import io
import re
import tokenize
import warnings
from dataclasses import dataclass

_NEWLINE = re.compile(r"\r\n|\r|\n")


class UnreadableSource(Exception):
    """The bytes are no Python source; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextFile:
    """Decoded source. ``text`` has its line ends as they are and no byte order mark."""

    text: str
    encoding: str
    bom: bool
    sha256: str

    @property
    def newline(self) -> str:
        """The line end that the file uses first."""
        found = _NEWLINE.search(self.text)
        return found.group() if found else "\n"

    def encode(self, text: str) -> bytes:
        """Another text in this file's encoding. Raises UnicodeEncodeError."""
        return (codecs.BOM_UTF8 if self.bom else b"") + text.encode(self.encoding)


def decode(data: bytes) -> TextFile:
    """Reads source as Python does (PEP 263). Raises UnreadableSource."""
    if b"\0" in data:
        raise UnreadableSource("holds NUL bytes: not a text file")
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        bom = data.startswith(codecs.BOM_UTF8)
        plain = "utf-8" if encoding == "utf-8-sig" else encoding
        text = data[len(codecs.BOM_UTF8) if bom else 0 :].decode(plain)
    except (SyntaxError, UnicodeDecodeError, LookupError) as exc:
        raise UnreadableSource(f"cannot be decoded: {exc}") from exc
    file = TextFile(text=text, encoding=plain, bom=bom, sha256=hashlib.sha256(data).hexdigest())
    if file.encode(text) != data:
        raise UnreadableSource(f"does not survive decoding and encoding as {plain}")
    return file


def parse(text: str) -> ast.Module:
    """The syntax tree. Raises UnreadableSource, whatever is wrong with the text."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in somebody else's strings
            return ast.parse(text)
    except SyntaxError as exc:
        raise UnreadableSource(f"does not parse: {exc.msg} (line {exc.lineno})") from exc
    except (ValueError, RecursionError, MemoryError) as exc:
        raise UnreadableSource(f"does not parse: {exc}") from exc


class Lines:
    """Offsets of a text's lines, counted as Python counts them: only CR, LF and CRLF end a line."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._starts = [0, *(m.end() for m in _NEWLINE.finditer(text))]

    def offset(self, lineno: int, utf8_column: int) -> int:
        """The index in the text of an AST position (1-based line, column in UTF-8 bytes)."""
        start = self._starts[lineno - 1]
        if not utf8_column:
            return start
        stop = self._starts[lineno] if lineno < len(self._starts) else len(self.text)
        return start + len(self.text[start:stop].encode()[:utf8_column].decode())

    def start_of(self, lineno: int) -> int:
        """The index of a line's first character."""
        return self._starts[lineno - 1] if lineno <= len(self._starts) else len(self.text)

    def indentation(self, lineno: int, utf8_column: int) -> str:
        """The blank text before a statement. A form feed in it starts the count anew, as in Python's tokenizer."""
        blank = self.text[self.start_of(lineno) : self.offset(lineno, utf8_column)]
        return blank.rpartition("\f")[2]
