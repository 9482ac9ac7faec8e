"""The records of a JSON file one at a time: lines, the elements of an array, or one document."""

import json
from collections.abc import Iterator
from typing import Any, TextIO

_READ = 1024 * 1024
_LARGEST = 256 * 1024 * 1024  # characters of one record


def elements(file: TextIO, *, lines: bool) -> Iterator[Any]:
    """Streams the records. Raises json.JSONDecodeError, or ValueError for what is empty or too large."""
    return _lines(file) if lines else _values(_Reader(file))


def _lines(file: TextIO) -> Iterator[Any]:
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        try:
            yield json.loads(line)
        except json.JSONDecodeError as exc:
            raise ValueError(f"line {number} is not JSON: {exc.msg}") from exc


def _values(reader: "_Reader") -> Iterator[Any]:
    if not reader.peek():
        raise ValueError("empty")
    if reader.peek() != "[":
        yield reader.value()
        if reader.peek():  # several documents in a row, as some tools write them
            yield from _values(reader)
        return
    reader.skip()
    while reader.peek() != "]":
        yield reader.value()
        if reader.peek() == ",":
            reader.skip()
        elif reader.peek() != "]":
            raise reader.error("expected , or ]")
    reader.skip()


class _Reader:
    """A window over the file that grows only to the size of one value."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._window = ""
        self._at = 0
        self._line = 1
        self._ended = False
        self._decoder = json.JSONDecoder()

    def peek(self) -> str:
        """The next character that is no space; empty at the end."""
        while True:
            while self._at < len(self._window) and self._window[self._at] in " \t\r\n":
                self._at += 1
            if self._at < len(self._window):
                return self._window[self._at]
            if not self._more():
                return ""

    def skip(self) -> None:
        self._at += 1

    def value(self) -> Any:
        self.peek()
        while True:
            try:
                found, end = self._decoder.raw_decode(self._window, self._at)
            except json.JSONDecodeError as exc:
                if not self._more():
                    raise self.error(exc.msg, exc.pos) from exc
                continue
            if end == len(self._window) and self._more():  # a number may go on
                continue
            self._at = end
            return found

    def error(self, message: str, position: int | None = None) -> json.JSONDecodeError:
        at = self._at if position is None else position
        line = self._line + self._window.count("\n", 0, at)
        # The document itself stays out of the error: it is data.
        return json.JSONDecodeError(message, "\n" * (line - 1), line - 1)

    def _more(self) -> bool:
        if self._ended:
            return False
        # A value that did not fit is read again from its start: doubling keeps that linear.
        chunk = self._file.read(max(_READ, len(self._window) - self._at))
        self._ended = not chunk
        self._line += self._window.count("\n", 0, self._at)
        self._window = self._window[self._at :] + chunk
        self._at = 0
        if len(self._window) > _LARGEST:
            raise ValueError("a record of more than 256 MB")
        return bool(chunk)
