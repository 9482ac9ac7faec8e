"""Success rates from the rows: what counts as good, what counts for nothing, and that few rows are read for it."""

import sqlalchemy

from core.routing import Rate
from db.engine import transaction
from db.rates import success_rates

_FILL = """
    INSERT INTO raw_calls (id, provider, model, modality, status, fingerprint, request_json, error_json, metadata_json,
                           created_at)
    SELECT 900000000 + n, 'rated', 'm', 'chat', status, 'rated-' || n, '{}', error::json, metadata::json,
           now() - age::interval
    FROM (VALUES (1, 'success', NULL, '{"kind": "gap", "accepted": true}', '1 minute'),
                 (2, 'success', NULL, '{"kind": "gap", "accepted": false}', '1 minute'),
                 (3, 'failed', '{"status": 500}', '{"kind": "gap"}', '1 minute'),
                 (4, 'failed', '{"status": 429}', '{"kind": "gap"}', '1 minute'),
                 (5, 'unknown', NULL, '{"kind": "gap"}', '1 minute'),
                 (6, 'success', NULL, '{"kind": "gap", "accepted": true}', '7 hours'))
        AS given (n, status, error, metadata, age)
"""


def test_only_taken_answers_are_good_and_throttled_or_abandoned_calls_count_for_nothing(
    engine: sqlalchemy.Engine,
) -> None:
    with transaction(engine) as cursor:
        cursor.execute(_FILL)
    assert success_rates(engine)["rated", "m", "gap"] == Rate(calls=3, good=1)
