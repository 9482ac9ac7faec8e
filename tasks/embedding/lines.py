"""A line of a document as a reader sees it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """A line, or a piece of an overlong one, with its line end where it has one."""

    text: str
    heading: bool = False

    @property
    def blank(self) -> bool:
        return not self.text.strip()
