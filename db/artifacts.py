"""Blobs that belong to calls: the bytes in a directory, what they are in ``call_artifacts``."""

import hashlib
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import sqlalchemy

from core.errors import InputError
from core.model import JsonObject
from db.documents import dump_json
from db.engine import transaction
from db.rows import clean

_LONGEST, _LONGEST_PART = 1024, 255  # bytes, what file systems take

_INSERT = """
    INSERT INTO call_artifacts (call_id, uri, content_type, byte_size, sha256, metadata_json)
    VALUES (%s, %s, %s, %s, %s, %s)
"""
_OF_CALL = """
    SELECT uri, content_type, byte_size, sha256, metadata_json FROM call_artifacts WHERE call_id = %s ORDER BY id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A stored blob. ``uri`` is relative to its store's root, with ``/`` on every system."""

    uri: str
    content_type: str
    byte_size: int
    sha256: str
    metadata: JsonObject = field(default_factory=dict)


class ArtifactStore:
    """Blobs below one directory. No name leads out of it, and a file is there whole or not at all."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()

    def put(self, uri: str, data: bytes, *, content_type: str, metadata: JsonObject | None = None) -> Artifact:
        """Stores a blob, over an earlier one of the same name. Raises InputError for a name that leads outside."""
        path = self._path(uri)
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, part = tempfile.mkstemp(dir=path.parent, prefix=".part-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(part).replace(path)
        finally:
            Path(part).unlink(missing_ok=True)
        return Artifact(
            uri=uri,
            content_type=content_type,
            byte_size=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            metadata=metadata or {},
        )

    def read(self, artifact: Artifact) -> bytes:
        """A blob's bytes. Raises InputError when they are gone, or not those that were stored."""
        try:
            data = self._path(artifact.uri).read_bytes()
        except OSError as exc:
            raise InputError(f"the artifact {artifact.uri!r} cannot be read: {exc.strerror}") from exc
        if hashlib.sha256(data).hexdigest() != artifact.sha256:
            raise InputError(f"the artifact {artifact.uri!r} is not what was stored: its SHA-256 differs")
        return data

    def _path(self, uri: str) -> Path:
        parts = PurePosixPath(uri).parts
        bad = not parts or uri.startswith("/") or "\0" in uri or "\\" in uri or ".." in parts
        try:
            # A link inside the root could still lead out of it.
            path = self._root if bad else self._root.joinpath(*parts).resolve()
            if len(uri.encode()) > _LONGEST or any(len(part.encode()) > _LONGEST_PART for part in parts):
                raise InputError(f"the artifact name {uri[:80]!r}... is too long")
        except (OSError, RuntimeError, UnicodeEncodeError) as exc:  # a ring of links, bytes that are no text
            raise InputError(f"the artifact name {uri!r} is none that a file can have") from exc
        if path == self._root or not path.is_relative_to(self._root):
            raise InputError(f"the artifact name {uri!r} leads out of its directory")
        return path


def attach(engine: sqlalchemy.Engine, call_id: int, artifact: Artifact) -> None:
    """Notes that a stored blob belongs to a call. Raises LedgerRefused for an unknown call."""
    with transaction(engine) as cursor:
        cursor.execute(
            _INSERT,
            (
                call_id,
                artifact.uri,
                clean(artifact.content_type),
                artifact.byte_size,
                artifact.sha256,
                dump_json(artifact.metadata).decode(),
            ),
        )


def of_call(engine: sqlalchemy.Engine, call_id: int) -> list[Artifact]:
    """A call's artifacts, in the order in which they were attached."""
    with transaction(engine) as cursor:
        cursor.execute(_OF_CALL, (call_id,))
        return [
            Artifact(uri=uri, content_type=content_type, byte_size=size, sha256=digest, metadata=metadata)
            for uri, content_type, size, digest, metadata in cursor.fetchall()
        ]
