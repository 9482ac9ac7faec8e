"""Builds the index of a space of vectors once an embedding sweep has loaded it.

In a thread of the feeder's leader, beside its turns: building takes minutes for millions of vectors, and neither the
feeding nor a person's `sweep search` should wait for it. Without the index a search is slower, and finds the same.
"""

import logging
import threading

from core.errors import LlmsweepError
from db.engine import connect
from db.similarity import EXACT_BELOW
from db.vector_index import ensure_index, finished_loads, spaces

log = logging.getLogger(__name__)


class Indexer:
    """Run by the feeder's leader."""

    def __init__(self, database_url: str, *, least: int = EXACT_BELOW) -> None:
        """``least``: vectors that a space must have; fewer are measured one by one anyway."""
        self._least = least
        self._engine = connect(database_url, role="worker", pool=1)
        self._seen = 0
        self._thread: threading.Thread | None = None

    def turn(self) -> None:
        """Starts building when more sweeps are done than last time. Raises LedgerUnavailable."""
        if self._thread is not None and self._thread.is_alive():
            return
        loads = finished_loads(self._engine)
        if loads != self._seen:
            self._seen = loads
            self._thread = threading.Thread(target=self._build, name="indexer", daemon=True)
            self._thread.start()

    def _build(self) -> None:
        try:
            for space in spaces(self._engine):
                if space.vectors >= self._least:
                    state = ensure_index(self._engine, model=space.model, dimension=space.dimension)
                    log.info("vectors indexed", extra={"model": space.model, "state": state.value})
        except LlmsweepError as exc:
            self._seen = 0  # tried again at the next turn
            log.warning("vectors not indexed yet", extra={"error": str(exc)})
