"""``python -m scripts.bench.faults.flood SWEEP``: publishes two more messages for each of its chunks."""

import sys
from itertools import groupby

from core.model import ChunkRef
from core.settings import settings
from db.engine import connect, transaction
from db.feed import Published
from tasks.app import app
from tasks.feeder import publish

_CHUNKS = """
    SELECT c.provider, c.sweep_id, c.no, c.kind, c.jobs FROM chunks c
    JOIN sweeps s ON s.id = c.sweep_id JOIN groups g ON g.id = s.group_id
    WHERE g.group_type = 'sweep' AND g.name = %s ORDER BY c.provider, c.no
"""


def flood(name: str) -> None:
    """Whatever state the chunks are in."""
    engine = connect(settings().database_url, role="reader", pool=1)
    try:
        with transaction(engine) as cursor:
            cursor.execute(_CHUNKS, (name,))
            rows = cursor.fetchall()
    finally:
        engine.dispose()
    for provider, group in groupby(rows, key=lambda row: row[0]):
        chunks = [
            Published(ref=ChunkRef(sweep_id=sweep_id, no=no), kind=kind, sweep_name=name, jobs=jobs)
            for _, sweep_id, no, kind, jobs in group
        ]
        for _ in range(2):
            publish(app, provider, chunks)


if __name__ == "__main__":
    flood(sys.argv[1])
