"""`make bench`: what is played."""

from scripts.bench.programme import perform
from scripts.bench.scale import growth
from scripts.bench.throughput import chat, edges, forecasts, others, tail, vectors

_PLAYS = (
    chat.unique,
    chat.cached,
    chat.drained,
    others.litellm,
    others.cookbook,
    chat.in_flight,
    tail.stragglers,
    vectors.embeddings,
    forecasts.forecasts,
    edges.idle,
    edges.submit,
    edges.command,
    growth.asked,
)


def run() -> int:
    """Measures, prints and stores ``reports/bench.json``; 1 when a row does not hold."""
    return perform("bench", _PLAYS)
