"""The docstring kind: documents functions, methods and classes, and puts the docstrings into the source."""

from tasks.docstring.kind import DocstringKind
from tasks.kind import SweepKind

KIND: SweepKind = DocstringKind()
