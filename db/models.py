"""The tables as SQLAlchemy models, for queries that need no bare cursor. The migrations create them.

Hot tables carry no foreign keys (docs/tables.md says what that costs and who keeps them true instead).
"""

from datetime import datetime
from decimal import Decimal
from typing import Any

from pgvector.sqlalchemy import Vector
from sqlalchemy import (
    ARRAY,
    JSON,
    REAL,
    BigInteger,
    CheckConstraint,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Numeric,
    Sequence,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

_USD = Numeric(18, 9)
_HEX = Text(collation="C")
_EMPTY_OBJECT = text("'{}'")
_EMPTY_TEXT = text("''")
_ZERO = text("0")


class Base(DeclarativeBase):
    """All tables of llmsweep."""

    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads this mapping from the class itself
        int: BigInteger,
        str: Text,
        datetime: DateTime(timezone=True),
        dict[str, Any]: JSON,
        list[Any]: JSON,
    }


class RawCall(Base):
    """One HTTP request to a provider, success or failure. Append-only: the database refuses anything else."""

    __tablename__ = "raw_calls"
    __table_args__ = (
        CheckConstraint("status IN ('success', 'failed', 'unknown')", name="raw_calls_status_check"),
        Index("raw_calls_answers", "fingerprint", postgresql_where=text("status = 'success'")),
        Index("raw_calls_created_at", "created_at"),
    )

    id: Mapped[int] = mapped_column(Sequence("raw_call_ids", increment=1000), primary_key=True)
    provider: Mapped[str]
    model: Mapped[str]
    modality: Mapped[str]
    status: Mapped[str]
    fingerprint: Mapped[str] = mapped_column(_HEX)
    request_json: Mapped[dict[str, Any]]
    response_json: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    error_json: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    latency_ms: Mapped[float | None] = mapped_column(Double)
    tokens_json: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    cost_usd: Mapped[Decimal | None] = mapped_column(_USD)  # null: unknown price
    cost_max_usd: Mapped[Decimal | None] = mapped_column(_USD)  # the worst case that was reserved
    metadata_json: Mapped[dict[str, Any]] = mapped_column(server_default=_EMPTY_OBJECT)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class CallArtifact(Base):
    """A blob that belongs to a call; the bytes lie in an artifact store."""

    __tablename__ = "call_artifacts"
    __table_args__ = (Index("call_artifacts_call_id", "call_id"),)

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    call_id: Mapped[int] = mapped_column(ForeignKey("raw_calls.id"))
    uri: Mapped[str]
    content_type: Mapped[str]
    byte_size: Mapped[int]
    sha256: Mapped[str]
    metadata_json: Mapped[dict[str, Any]] = mapped_column(server_default=_EMPTY_OBJECT)


class EmbeddingVector(Base):
    """One embedded text. ``position``: the input within its call."""

    __tablename__ = "embedding_vectors"
    __table_args__ = (
        UniqueConstraint("fingerprint", name="embedding_vectors_fingerprint_key"),
        # Up to 2,000 dimensions stay within their row, which makes writing and exact search several times faster.
        {"postgresql_with": {"toast_tuple_target": 8160}},
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    call_id: Mapped[int]
    position: Mapped[int] = mapped_column(Integer, server_default=_ZERO)
    fingerprint: Mapped[str] = mapped_column(_HEX)
    model: Mapped[str]
    vector: Mapped[Any] = mapped_column(Vector())
    dimension: Mapped[int] = mapped_column(Integer)
    norm: Mapped[float] = mapped_column(REAL)
    metadata_json: Mapped[dict[str, Any]] = mapped_column(server_default=_EMPTY_OBJECT)


class Group(Base):
    """A named set of calls: a sweep, a batch of the legacy database, a label, an experiment."""

    __tablename__ = "groups"
    __table_args__ = (
        CheckConstraint("group_type IN ('sweep', 'batch', 'label', 'experiment')", name="groups_group_type_check"),
        Index("groups_sweep_name", "name", unique=True, postgresql_where=text("group_type = 'sweep'")),
        Index("groups_type_name", "group_type", "name"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    group_type: Mapped[str]
    name: Mapped[str]
    description: Mapped[str] = mapped_column(server_default=_EMPTY_TEXT)
    metadata_json: Mapped[dict[str, Any]] = mapped_column(server_default=_EMPTY_OBJECT)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class GroupMember(Base):
    """A call's part in a group. ``role``: ``made`` by it, ``cached`` for it, or a person's own word."""

    __tablename__ = "group_members"

    group_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    call_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    role: Mapped[str] = mapped_column(primary_key=True, server_default=text("'made'"))
    position: Mapped[int | None] = mapped_column(Integer)
    added_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Sweep(Base):
    """One submitted run. Its name is its group's."""

    __tablename__ = "sweeps"
    __table_args__ = (
        UniqueConstraint("group_id", name="sweeps_group_id_key"),
        CheckConstraint(
            "state IN ('running', 'paused', 'cancelled', 'done', 'budget_exhausted')", name="sweeps_state_check"
        ),
        Index("sweeps_open", "id", postgresql_where=text("state <> 'done'")),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    group_id: Mapped[int] = mapped_column(ForeignKey("groups.id"))
    kind: Mapped[str]
    spec_json: Mapped[dict[str, Any]]
    digest: Mapped[str]
    state: Mapped[str] = mapped_column(server_default=text("'running'"))
    reason: Mapped[str] = mapped_column(server_default=_EMPTY_TEXT)
    budget_usd: Mapped[Decimal | None] = mapped_column(_USD)
    jobs_total: Mapped[int] = mapped_column(server_default=_ZERO)
    problems_json: Mapped[list[Any]] = mapped_column(server_default=text("'[]'"))
    waves: Mapped[list[int]] = mapped_column(ARRAY(BigInteger), server_default=text("'{}'"))  # where later ones begin
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    finished_at: Mapped[datetime | None]


class Chunk(Base):
    """Up to ``chunk_size`` jobs of one variant: what a broker message names and a worker leases."""

    __tablename__ = "chunks"
    __table_args__ = (
        CheckConstraint("state IN ('waiting', 'queued', 'leased', 'finished')", name="chunks_state_check"),
        Index("chunks_open", "state", "provider", "sweep_id", "no", postgresql_where=text("state <> 'finished'")),
        Index("chunks_unfinished", "sweep_id", "no", postgresql_where=text("state <> 'finished'")),
        {"postgresql_with": {"fillfactor": 80}},
    )

    sweep_id: Mapped[int] = mapped_column(ForeignKey("sweeps.id"), primary_key=True)
    no: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    provider: Mapped[str]
    kind: Mapped[str]
    jobs: Mapped[int] = mapped_column(Integer)
    state: Mapped[str] = mapped_column(server_default=text("'waiting'"))
    lease_owner: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    takes: Mapped[int] = mapped_column(Integer, server_default=_ZERO)
    queued_at: Mapped[datetime | None]
    stalled: Mapped[int] = mapped_column(Integer, server_default=_ZERO)  # takes in a row without progress
    pending: Mapped[int | None] = mapped_column(Integer)  # jobs, at the last take


class Job(Base):
    """One item of a sweep. Tokens and cost are its share of the calls that were made for it."""

    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint("state IN ('pending', 'done', 'fallback', 'failed', 'cancelled')", name="jobs_state_check"),
        UniqueConstraint("sweep_id", "key", name="jobs_sweep_id_key_key"),
        Index("jobs_chunk", "sweep_id", "chunk_no"),
        {"postgresql_with": {"fillfactor": 35}},
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    sweep_id: Mapped[int]
    chunk_no: Mapped[int]
    key: Mapped[str] = mapped_column(_HEX)
    input_json: Mapped[dict[str, Any]]
    fingerprint: Mapped[str | None] = mapped_column(_HEX)
    state: Mapped[str] = mapped_column(server_default=text("'pending'"))
    call_id: Mapped[int | None]
    result_json: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    error_json: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    attempts: Mapped[int] = mapped_column(Integer, server_default=_ZERO)
    round: Mapped[int] = mapped_column(Integer, server_default=_ZERO)  # how often `sweep retry` has reopened it
    cached: Mapped[bool] = mapped_column(server_default=text("false"))
    prompt_tokens: Mapped[int] = mapped_column(Integer, server_default=_ZERO)
    completion_tokens: Mapped[int] = mapped_column(Integer, server_default=_ZERO)
    cached_tokens: Mapped[int] = mapped_column(Integer, server_default=_ZERO)
    reasoning_tokens: Mapped[int] = mapped_column(Integer, server_default=_ZERO)
    cost_nano: Mapped[int | None] = mapped_column(server_default=_ZERO)  # null: unknown price
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
    deaths: Mapped[int] = mapped_column(Integer, server_default=_ZERO)  # of workers that ran it alone


class SweepTally(Base):
    """Counts kept, not counted: each worker adds to its own row, in the transaction that changes the jobs.

    ``span``, ``span_jobs`` and ``span_before`` are the jobs of this and the previous time span, for the rate.
    """

    __tablename__ = "sweep_tallies"
    __table_args__ = ({"postgresql_with": {"fillfactor": 50}},)

    sweep_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    owner: Mapped[str] = mapped_column(primary_key=True)
    provider: Mapped[str] = mapped_column(primary_key=True)
    model: Mapped[str] = mapped_column(primary_key=True)
    done: Mapped[int] = mapped_column(server_default=_ZERO)
    cached: Mapped[int] = mapped_column(server_default=_ZERO)
    fallback: Mapped[int] = mapped_column(server_default=_ZERO)
    failed: Mapped[int] = mapped_column(server_default=_ZERO)
    cancelled: Mapped[int] = mapped_column(server_default=_ZERO)
    calls: Mapped[int] = mapped_column(server_default=_ZERO)
    calls_failed: Mapped[int] = mapped_column(server_default=_ZERO)
    calls_unknown: Mapped[int] = mapped_column(server_default=_ZERO)
    prompt_tokens: Mapped[int] = mapped_column(server_default=_ZERO)
    completion_tokens: Mapped[int] = mapped_column(server_default=_ZERO)
    cached_tokens: Mapped[int] = mapped_column(server_default=_ZERO)
    reasoning_tokens: Mapped[int] = mapped_column(server_default=_ZERO)
    cost_nano: Mapped[int] = mapped_column(server_default=_ZERO)
    cost_max_nano: Mapped[int] = mapped_column(server_default=_ZERO)
    cost_unknown: Mapped[int] = mapped_column(server_default=_ZERO)
    span: Mapped[int] = mapped_column(server_default=_ZERO)
    span_jobs: Mapped[int] = mapped_column(server_default=_ZERO)
    span_before: Mapped[int] = mapped_column(server_default=_ZERO)
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
