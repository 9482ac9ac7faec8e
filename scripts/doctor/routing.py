"""Who can be asked, and how well they have answered lately."""

from collections.abc import Iterator

from core.errors import InputError
from scripts.doctor.check import Check, State, failed, passed
from scripts.routes import Entry, matrix

_TELLING = 20  # calls; fewer say nothing
_POOR = 0.5


def check_routing() -> Iterator[Check]:
    """One line on all models that the settings name; a warning where most calls of one were in vain."""
    try:
        found = matrix()
    except InputError as exc:
        yield failed("routing", exc)
        return
    if not found:
        yield Check(name="routing", state=State.OFF, detail="no provider is set up")
        return
    poor = [entry for entry in found if entry.rate.calls >= _TELLING and entry.rate.good < _POOR * entry.rate.calls]
    detail = "; ".join(_told(entry) for entry in found)
    if poor:
        fix = "see `sweep study recent`; give sweeps a --fallback-provider"
        yield Check(name="routing", state=State.WARNING, detail=detail, fix=fix)
    else:
        yield passed("routing", detail)


def _told(entry: Entry) -> str:
    able, rate = entry.able, entry.rate
    what = "/".join(sorted(modality.value for modality in able.modalities))
    how = f"{rate.good / rate.calls:.0%} of {rate.calls:,} calls good" if rate.calls else "no calls lately"
    return f"{able.place} ({what}): {how}"
