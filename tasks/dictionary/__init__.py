"""The kind `dictionary`: what every column of a database, and every field of a file, means."""

from tasks.dictionary.kind import DictionaryKind
from tasks.kind import SweepKind

KIND: SweepKind = DictionaryKind()
