"""The words of the design as frozen values. No behaviour beyond what a value can tell about itself."""

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from core.values import value

JsonObject: TypeAlias = Mapping[str, Any]
Vector: TypeAlias = npt.NDArray[np.float32]


class Modality(StrEnum):
    """What a call brings: text or vectors."""

    CHAT = "chat"
    EMBEDDING = "embedding"


class CallStatus(StrEnum):
    """What became of a call. ``unknown``: a worker died while it was in flight, it may have been billed."""

    SUCCESS = "success"
    FAILED = "failed"
    UNKNOWN = "unknown"


class JobState(StrEnum):
    """``pending`` until exactly one of the others, for good (``sweep retry`` opens a new round)."""

    PENDING = "pending"
    DONE = "done"
    FALLBACK = "fallback"
    FAILED = "failed"
    CANCELLED = "cancelled"


class ChunkState(StrEnum):
    """``waiting``: not published; ``queued``: a message is out; ``leased``: a worker has it; ``finished``."""

    WAITING = "waiting"
    QUEUED = "queued"
    LEASED = "leased"
    FINISHED = "finished"


class SweepState(StrEnum):
    """``paused`` with a reason that names a provider means parked: credentials or quota need a person."""

    RUNNING = "running"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    DONE = "done"
    BUDGET_EXHAUSTED = "budget_exhausted"


# ---- requests: what can change the output, and nothing else


@value
class Message:
    """One chat message; ``role`` is ``system``, ``user`` or ``assistant``."""

    role: str
    content: str


@value
class ResponseSchema:
    """The JSON schema that the answer must satisfy (strict mode of the OpenAI API)."""

    name: str
    json: JsonObject


@value
class ChatRequest:
    """One chat completion. ``params`` are the provider's own (temperature, max_tokens, seed ...)."""

    provider: str
    model: str
    messages: tuple[Message, ...]
    params: JsonObject = field(default_factory=dict)
    schema: ResponseSchema | None = None
    version: str = ""  # kind and template version, part of the fingerprint
    sample: int = 0  # which of several samples of the same request
    salt: str = ""  # a retry round after a rejected answer, or a sweep whose cache is off

    @property
    def modality(self) -> Modality:
        return Modality.CHAT


@value
class EmbeddingRequest:
    """One text to embed. The pipeline packs many of them into one call."""

    provider: str
    model: str
    text: str
    dimensions: int | None = None  # None: the model's own
    version: str = ""
    salt: str = ""

    @property
    def modality(self) -> Modality:
        return Modality.EMBEDDING


Request: TypeAlias = ChatRequest | EmbeddingRequest


# ---- replies


@value
class Usage:
    """Tokens as the provider counted them. ``cached`` is part of ``prompt``, ``reasoning`` part of ``completion``."""

    prompt: int = 0
    completion: int = 0
    cached: int = 0
    reasoning: int = 0
    cache_write: int = 0  # part of prompt: written to the provider's prompt cache, which has its own price
    tier: str = ""  # the service tier that was billed (``flex``, ``priority`` ...); empty: the standard one

    @property
    def total(self) -> int:
        return self.prompt + self.completion


@value
class LimitHint:
    """A limit that the provider's headers told.

    ``dimension``: ``requests``, ``tokens``, ``input_tokens`` or ``output_tokens``, a minute; ``requests_day`` or
    ``tokens_day``.
    """

    dimension: str
    limit: int
    remaining: int | None = None
    reset_s: float | None = None


@value
class ChatReply:
    """A whole and well-formed chat completion. ``response`` is the provider's JSON body as it came."""

    text: str
    model: str
    usage: Usage
    finish_reason: str
    response: JsonObject
    latency_ms: float
    request_id: str = ""
    limits: tuple[LimitHint, ...] = ()


@value
class EmbeddingReply:
    """``vectors``: float32, shape (inputs, dimension), in the order of the inputs. ``response`` leaves them out.

    ``flaws``: input -> why its row is no usable vector; the other rows are. Never all of them.
    """

    vectors: Vector
    model: str
    usage: Usage
    response: JsonObject
    latency_ms: float
    request_id: str = ""
    limits: tuple[LimitHint, ...] = ()
    flaws: Mapping[int, str] = field(default_factory=dict)


Reply: TypeAlias = ChatReply | EmbeddingReply


@value
class Answer:
    """What a request got, from a call or from the cache: ``text`` for chat, ``vector`` (float32, 1-D) for embedding.

    ``call_id`` names the RawCall that paid for it, ``position`` the input within that call. ``flaw``: there is no
    vector, and why; such an answer serves its own job only, and is never kept for others.
    """

    call_id: int
    text: str = ""
    finish_reason: str = ""
    vector: Vector | None = None
    position: int = 0
    flaw: str = ""


# ---- jobs and chunks


@value
class JobDraft:
    """What a source yields: a natural key, unique in its sweep, and the kind's own JSON input.

    ``wave``: never falls within a source. A wave begins when the one before has ended, and an input of it may name keys
    of earlier ones (``needs``, any name -> key): its job sees their results.
    """

    key: str
    input: JsonObject
    wave: int = 0


@value
class Variant:
    """One point of the sweep's grid: where and how a job's request is sent."""

    provider: str
    model: str
    params: JsonObject = field(default_factory=dict)
    sample: int = 0


@value
class Job:
    """A pending job as its chunk's worker sees it."""

    id: int
    key: str
    input: JsonObject
    round: int = 0  # how often `sweep retry` has reopened it
    attempts: int = 0  # provider calls made for it so far
    deaths: int = 0  # how often a worker began to run it alone and did not live to tell
    earlier: Mapping[str, JsonObject] = field(default_factory=dict)  # by name in its ``needs``: results that are there


@value
class ChunkRef:
    """All that a broker message holds."""

    sweep_id: int
    no: int


@value
class Lease:
    """The right to work on a chunk. ``fence`` grows with every take; an older one's job updates are void."""

    ref: ChunkRef
    owner: str
    fence: int
    kind: str
    sweep_name: str
    group_id: int
    variant: Variant
    options: JsonObject = field(default_factory=dict)  # the spec's options for the kind (style, ...)
    policy: JsonObject = field(default_factory=dict)  # while a breaker is open, caching, repair turns
    budget_usd: float | None = None
    jobs_total: int = 0
    reroute: tuple[Variant, ...] = ()  # whom to ask while the variant's own provider is down
    stalled: int = 0  # takes in a row, this one included, since one of its jobs ended or a worker gave it back
    wave_start: int = 0  # jobs of its variant in chunks of lower numbers have ended: its own may see their results
    label: str = ""  # what the keys of its variant end with


@value
class Accepted:
    """The kind takes the answer; ``result`` is what the job keeps."""

    result: JsonObject


@value
class Rejected:
    """The kind does not take the answer; ``reason`` is shown to the model in the repair turn."""

    reason: str


Verdict: TypeAlias = Accepted | Rejected


# ---- what is written


@value
class CallRecord:
    """One RawCall row. ``cost_usd`` None: the price is unknown (never 0)."""

    id: int
    provider: str
    model: str
    modality: Modality
    status: CallStatus
    fingerprint: str
    request: JsonObject
    response: JsonObject | None = None
    error: JsonObject | None = None
    latency_ms: float | None = None
    usage: Usage | None = None
    cost_usd: float | None = None
    cost_max_usd: float | None = None  # the worst case that was reserved
    metadata: JsonObject = field(default_factory=dict)


@value
class VectorRecord:
    """One EmbeddingVector row. ``vector``: float32, 1-D."""

    call_id: int
    position: int
    fingerprint: str
    model: str
    vector: Vector
    metadata: JsonObject = field(default_factory=dict)


@value
class JobResult:
    """The final state of a job. ``cached``: it finished without a call of its own."""

    job_id: int
    state: JobState
    fingerprint: str = ""
    call_id: int | None = None
    result: JsonObject | None = None
    error: JsonObject | None = None
    attempts: int = 0
    cached: bool = False


@value
class Outcome:
    """What one job, or one call for several jobs, adds to the ledger, in one transaction.

    ``lease`` owns the job results; calls and vectors are written whoever owns the chunk by now.
    """

    lease: Lease
    calls: tuple[CallRecord, ...] = ()
    jobs: tuple[JobResult, ...] = ()
    vectors: tuple[VectorRecord, ...] = ()
    adopted: tuple[CallRecord, ...] = ()  # found in the cache, perhaps not yet a row (its worker died)
    earlier: tuple[CallRecord, ...] = ()  # rows already: calls whose refused answers these jobs have paid for


# ---- what is read back


@value
class ResultRow:
    """One job with all that is known of it, in input order. ``vector`` only where an export asks for vectors.

    ``cost_usd`` None: unknown price. ``tokens`` and ``cost_usd`` are what this job's own calls cost: 0 when cached.
    """

    job_id: int
    key: str
    input: JsonObject
    state: JobState
    result: JsonObject | None
    error: JsonObject | None
    provider: str
    model: str
    params: JsonObject
    sample: int
    cached: bool
    attempts: int
    tokens: Usage
    cost_usd: float | None
    call_id: int | None
    vector: Vector | None = None
