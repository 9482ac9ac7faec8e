"""Answers of earlier successful calls, by fingerprint: no call is paid twice, however old the first one is."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy

from core.model import Answer, Modality
from db.documents import load_json
from db.engine import statement
from db.rows import read_vector

# The literal status lets the partial index serve the query.
_CHAT = """
    SELECT fingerprint, id, response_json::text, metadata_json::text FROM raw_calls
    WHERE fingerprint = ANY (%s) AND status = 'success' AND modality = 'chat' ORDER BY id
"""
_EMBEDDING = """
    SELECT fingerprint, call_id, position, vector_send(vector) FROM embedding_vectors WHERE fingerprint = ANY (%s)
"""


def find(engine: sqlalchemy.Engine, fingerprints: Sequence[str], modality: Modality) -> dict[str, Answer]:
    """The oldest answer to each fingerprint that has one. Raises LedgerUnavailable."""
    if not fingerprints:
        return {}
    with statement(engine) as cursor:
        if modality is Modality.EMBEDDING:
            cursor.execute(_EMBEDDING, (list(fingerprints),))
            return {
                fingerprint: Answer(call_id=call_id, position=position, vector=read_vector(wire))
                for fingerprint, call_id, position, wire in cursor.fetchall()
            }
        cursor.execute(_CHAT, (list(fingerprints),))
        found: dict[str, Answer] = {}
        for fingerprint, call_id, response, metadata in cursor.fetchall():
            if fingerprint not in found:
                text, finish_reason = answer_text(load_json(response), load_json(metadata))
                found[fingerprint] = Answer(call_id=call_id, text=text, finish_reason=finish_reason)
        return found


def answer_text(response: Any, metadata: Mapping[str, Any]) -> tuple[str, str]:
    """Text and finish reason of a stored chat call.

    Reads the OpenAI and the Anthropic body; a provider with another body keeps both in the call's metadata.
    """
    body = response if isinstance(response, dict) else {}
    if choices := body.get("choices"):
        content = (choices[0].get("message") or {}).get("content")
        return _joined(content), str(choices[0].get("finish_reason") or "")
    if "content" in body:
        return _joined(body["content"]), str(body.get("stop_reason") or "")
    plain = body if "text" in body else metadata
    return str(plain.get("text") or ""), str(plain.get("finish_reason") or "")


def _joined(content: Any) -> str:
    """A message's text, whether it came as a string or as parts."""
    if isinstance(content, list):
        return "".join(str(part.get("text") or "") for part in content if isinstance(part, dict))
    return "" if content is None else str(content)
