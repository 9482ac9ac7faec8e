"""How the calls of the last hours went, by provider, model and kind: what the router goes by."""

import sqlalchemy

from core.routing import Rate, Rates
from db.engine import transaction

# Newest first along the index on created_at, and never more than so many rows, whatever became of them. A 429 says
# nothing of a model, nor does a call that nobody waited for.
_RATES = """
    SELECT provider, model, coalesce(metadata_json ->> 'kind', ''), count(*),
        count(*) FILTER (WHERE status = 'success' AND coalesce(metadata_json ->> 'accepted', 'true') = 'true')
    FROM (
        SELECT provider, model, status, metadata_json, error_json FROM raw_calls
        WHERE created_at >= now() - interval '6 hours' ORDER BY created_at DESC LIMIT 5000
    ) AS newest
    WHERE status <> 'unknown' AND coalesce(error_json ->> 'status', '') <> '429'
    GROUP BY 1, 2, 3
"""


def success_rates(engine: sqlalchemy.Engine) -> Rates:
    """Of the newest calls of the whole cluster, those whose answer was taken. Raises LedgerUnavailable."""
    with transaction(engine) as cursor:
        cursor.execute(_RATES)
        return {
            (provider, model, kind): Rate(calls=calls, good=good)
            for provider, model, kind, calls, good in cursor.fetchall()
        }
