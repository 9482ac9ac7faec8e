"""A stream of drafts becomes rows of ``jobs`` and ``chunks``, a few megabytes at a time."""

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from psycopg2.errors import UniqueViolation

from core.errors import InputError
from core.model import JobDraft
from core.sweep import SweepSpec
from db.documents import dump_json
from db.engine import Cursor
from db.rows import clean, copy, json_field, line, text_field
from db.waves import blocks

LONGEST_KEY = 1000
"""In bytes; PostgreSQL's index could hold little more than twice that."""

_BATCH = 4 << 20  # bytes of COPY lines that are held at once
_JOB_COLUMNS = "sweep_id, chunk_no, key, input_json"
_CHUNK_COLUMNS = "sweep_id, no, provider, kind, jobs"

# One look into the index of keys for each, whatever statistics say, which know nothing of what this transaction has
# written: of a sweep that they are not told, they expect as many rows as the others have, not none.
_BY_INDEX = "SET LOCAL enable_seqscan = off"
_STORED = """
    SELECT found.key FROM json_array_elements_text(%s) AS asked (key) CROSS JOIN LATERAL (
        SELECT j.key FROM jobs j WHERE j.sweep_id = (SELECT %s::bigint) AND j.key = asked.key LIMIT 1) found
"""


@dataclass(slots=True)
class _Block:
    """Drafts that share their chunks: of each its key, and its lines, one a variant. ``first``: its first chunk."""

    first: int
    keys: list[str] = field(default_factory=list)
    lines: list[bytes] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Inflow:
    """Writes a sweep's jobs in one transaction. ``on_repeat``: as ``db.submission.submit`` has it.

    The table alone remembers keys, and tells when one comes again: memory does not grow with the sweep.
    """

    cursor: Cursor
    sweep_id: int
    spec: SweepSpec
    on_repeat: Callable[[str], None] | None = None
    jobs: int = 0
    waves: list[int] = field(default_factory=list)
    _blocks: list[_Block] = field(default_factory=list)
    _held: int = 0
    _repeats: bool = False

    def write(self, drafts: Iterable[JobDraft]) -> None:
        """All drafts, up to the spec's limit. Raises InputError for a key that cannot be stored."""
        labels = list(self.spec.labels())
        limited = itertools.islice(drafts, self.spec.limit)
        wave: int | None = None
        for number, drawn in enumerate(blocks(limited, self.spec.chunk_size)):
            if wave is not None and drawn[0].wave != wave:
                self.waves.append(number * len(labels))
            wave = drawn[0].wave
            self._blocks.append(self._block(number * len(labels), drawn, labels))
            if self._held > _BATCH:
                self._flush(labels)
        self._flush(labels)

    def _block(self, first: int, drafts: Sequence[JobDraft], labels: Sequence[str]) -> _Block:
        # Ids ascend in the order of the rows: within a block all variants of an input stand together.
        heads = [b"%d\t%d\t" % (self.sweep_id, first + index) for index in range(len(labels))]
        block = _Block(first)
        for draft in drafts:
            body = b"\t" + json_field(draft.input) + b"\n"
            lines = [head + _key_field(draft.key + label) + body for head, label in zip(heads, labels, strict=True)]
            joined = lines[0] if len(lines) == 1 else b"".join(lines)
            block.keys.append(draft.key)
            block.lines.append(joined)
            self._held += len(joined)
        return block

    def _flush(self, labels: Sequence[str]) -> None:
        if self.on_repeat is None:
            self._copy()
        else:
            self._copy_once(labels[0], self.on_repeat)
        self.jobs += sum(len(block.keys) for block in self._blocks) * len(labels)
        self._blocks, self._held = [], 0

    def _copy(self) -> None:
        copy(self.cursor, "jobs", _JOB_COLUMNS, (each for block in self._blocks for each in block.lines))
        copy(self.cursor, "chunks", _CHUNK_COLUMNS, self._chunks())

    def _copy_once(self, label: str, on_repeat: Callable[[str], None]) -> None:
        if not self._repeats:
            self.cursor.execute("SAVEPOINT batch")
            try:
                self._copy()
            except UniqueViolation:
                # Where one key comes again others do: from now on they are looked for before, not after.
                self._repeats = True
                self.cursor.execute(f"ROLLBACK TO batch; {_BY_INDEX}")
            else:
                self.cursor.execute("RELEASE batch")
                return
        self._drop_repeated(label, on_repeat)
        self._copy()

    def _chunks(self) -> Iterable[bytes]:
        kind = text_field(self.spec.kind)
        providers = [text_field(variant.provider) for variant in self.spec.variants()]
        for block in self._blocks:
            if block.keys:
                count = b"%d" % len(block.keys)
                for number, provider in enumerate(providers, start=block.first):
                    yield line(b"%d" % self.sweep_id, b"%d" % number, provider, kind, count)

    def _drop_repeated(self, label: str, on_repeat: Callable[[str], None]) -> None:
        keys = _as_stored([key + label for block in self._blocks for key in block.keys])
        self.cursor.execute(_STORED, (dump_json(keys).decode(), self.sweep_id))
        seen = {key for (key,) in self.cursor.fetchall()}
        stored = iter(keys)
        for block in self._blocks:
            drafts = list(zip(block.keys, block.lines, itertools.islice(stored, len(block.keys)), strict=True))
            block.keys, block.lines = [], []
            for key, lines, as_stored in drafts:
                if as_stored in seen:
                    on_repeat(key)
                else:
                    seen.add(as_stored)
                    block.keys.append(key)
                    block.lines.append(lines)


def _as_stored(keys: Sequence[str]) -> Sequence[str]:
    return keys if "".join(keys).isascii() else [clean(key) for key in keys]


def _key_field(key: str) -> bytes:
    if not key or "\0" in key or len(key.encode("utf-8", "replace")) > LONGEST_KEY:
        shown = repr(key[:60])
        raise InputError(f"the job key {shown} is empty, too long or not text", hint=f"at most {LONGEST_KEY} bytes")
    return text_field(key)
