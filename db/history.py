"""How a provider has answered lately for one model: what forecasts are made from. Reads a bounded number of rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy

from core.model import CallStatus, JsonObject, Modality
from db.documents import load_json
from db.engine import transaction

_LOOKED_AT = 50_000  # rows, the newest along an index, whoever's they are
_KEPT = 2_000
_WITH_REQUEST = 64

# A sub-select with OFFSET 0 is planned by itself: the newest calls first, then those of this model among them.
_LATELY = """
    SELECT id, status, latency_ms, tokens_json::text, error_json ->> 'status', metadata_json ->> 'accepted', created_at
    FROM (
        SELECT id, provider, model, modality, status, latency_ms, tokens_json, error_json, metadata_json, created_at
        FROM raw_calls ORDER BY created_at DESC LIMIT %(looked_at)s OFFSET 0
    ) newest
    WHERE provider = %(provider)s AND model = %(model)s AND modality = %(modality)s AND latency_ms IS NOT NULL
      AND (%(kind)s = '' OR metadata_json ->> 'kind' = %(kind)s)
    LIMIT %(kept)s
"""

_REQUESTS = "SELECT request_json::text, (tokens_json ->> 'prompt')::bigint FROM raw_calls WHERE id = ANY (%s)"

# The literal status lets the partial index serve the query.
_KNOWN = {
    Modality.CHAT: "SELECT DISTINCT fingerprint FROM raw_calls WHERE fingerprint = ANY (%s) AND status = 'success' "
    "AND modality = 'chat'",
    Modality.EMBEDDING: "SELECT fingerprint FROM embedding_vectors WHERE fingerprint = ANY (%s)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PastCall:
    """A call as it was. ``status``: of the HTTP answer that a failed one got, None where it got none."""

    id: int
    success: bool
    latency_ms: float
    prompt: int = 0
    completion: int = 0
    cached: int = 0
    status: int | None = None
    rejected: bool = False
    created_at: datetime


def lately(
    engine: sqlalchemy.Engine, provider: str, model: str, modality: Modality, *, kind: str = ""
) -> list[PastCall]:
    """Its last calls, the newest first; ``kind``: only calls of such sweeps. Raises LedgerUnavailable, InputError."""
    asked = {
        "provider": provider,
        "model": model,
        "modality": modality.value,
        "kind": kind,
        "looked_at": _LOOKED_AT,
        "kept": _KEPT,
    }
    with transaction(engine) as cursor:
        cursor.execute("SET TRANSACTION READ ONLY")
        cursor.execute(_LATELY, asked)
        return [
            PastCall(
                id=call_id,
                success=status == CallStatus.SUCCESS,
                latency_ms=latency_ms,
                status=None if code is None else int(code),
                rejected=accepted == "false",
                created_at=created_at,
                **_tokens(load_json(tokens) if tokens else {}),
            )
            for call_id, status, latency_ms, tokens, code, accepted, created_at in cursor.fetchall()
        ]


def requests(engine: sqlalchemy.Engine, calls: Sequence[PastCall]) -> list[tuple[JsonObject, int]]:
    """What some of the calls asked, each with the prompt tokens that the provider counted."""
    ids = [call.id for call in calls if call.success and call.prompt][:_WITH_REQUEST]
    with transaction(engine) as cursor:
        cursor.execute("SET TRANSACTION READ ONLY")
        cursor.execute(_REQUESTS, (ids,))
        return [(load_json(request), int(prompt)) for request, prompt in cursor.fetchall()]


def known(engine: sqlalchemy.Engine, fingerprints: Sequence[str], modality: Modality) -> frozenset[str]:
    """Those that an earlier call has answered, without the answers."""
    if not fingerprints:
        return frozenset()
    with transaction(engine) as cursor:
        cursor.execute("SET TRANSACTION READ ONLY")
        cursor.execute(_KNOWN[modality], (list(fingerprints),))
        return frozenset(fingerprint for (fingerprint,) in cursor.fetchall())


def _tokens(found: Mapping[str, int]) -> dict[str, int]:
    return {name: int(found.get(name) or 0) for name in ("prompt", "completion", "cached")}
