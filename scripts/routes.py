"""Which providers are set up, what each can do, and how it has done: for `sweep providers` and `--provider auto`."""

from collections.abc import Iterator
from dataclasses import dataclass

from core.errors import InputError, LlmsweepError
from core.model import Modality
from core.pricing import Meter
from core.routing import Capabilities, Needs, Place, Rate, Rates, capabilities, misfit, order, rate
from core.settings import PREFIXES, Settings, default_model, settings
from core.sweep import Target
from db.engine import connect
from db.rates import success_rates
from db.specs import targets_of
from scripts import embedded


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One place of the matrix. ``why_not``: by kind of work, empty where it can do it."""

    able: Capabilities
    why_not: dict[Modality, str]
    rate: Rate


def matrix() -> list[Entry]:
    """All models that the settings name, of providers that are set up, with their rates of the last hours."""
    loaded = settings()
    rates = _rates()
    found: list[Entry] = []
    for able in (*_able(loaded, embedding=False), *_able(loaded, embedding=True)):
        why_not = {modality: misfit(able, Needs(modality=modality)) for modality in Modality}
        found.append(Entry(able=able, why_not=why_not, rate=rate(rates, able.place)))
    return found


def choose(name: str, kind: str, *, models: list[str], style: str) -> tuple[Target, str]:
    """The best provider that is set up for a sweep, and why. A sweep that exists keeps the one it has.

    Raises InputError when no provider fits.
    """
    known = _known(name)
    if known is not None:
        return known, f"the sweep {name} has it already"
    embedding = kind == "embedding"
    needs = Needs(
        modality=Modality.EMBEDDING if embedding else Modality.CHAT, schema=kind != "prompt", kind=kind, style=style
    )
    rates = _rates()
    able = list(_able(settings(), embedding=embedding, models=models))
    routing = order(able, needs, rates)
    if not routing.ways:
        reasons = "; ".join(f"{place}: {why}" for place, why in routing.unfit.items())
        raise InputError(
            f"no provider fits{': ' + reasons if reasons else ''}",
            hint="set one up, `sweep doctor` tells what is there",
        )
    best = routing.ways[0]
    told = "; ".join(f"{place} {_said(rate(rates, place, kind))}" for place in routing.ways)
    left_out = "".join(f"; {place} left out: {why}" for place, why in routing.unfit.items())
    return Target(provider=best.provider, model=best.model), told + left_out


def _said(found: Rate) -> str:
    return f"{found.good / found.calls:.0%} of {found.calls:,} calls good" if found.calls else "not measured yet"


def _able(loaded: Settings, *, embedding: bool, models: list[str] | None = None) -> Iterator[Capabilities]:
    meter = Meter(loaded)
    for provider in PREFIXES:
        try:
            loaded.provider(provider)
            names = models or [default_model(provider, embedding=embedding)]
        except InputError:
            continue  # not set up, or nobody can guess its model
        for model in names:
            place = Place(provider=provider, model=model)
            yield capabilities(place, meter.context_tokens(provider, model))


def _rates() -> Rates:
    """Empty where no database answers: then nothing is measured, and that is no reason to stop."""
    try:
        engine = connect(_database(), role="reader", pool=1)
        try:
            return success_rates(engine)
        finally:
            engine.dispose()
    except LlmsweepError:
        return {}


def _known(name: str) -> Target | None:
    try:
        engine = connect(_database(), role="reader", pool=1)
        try:
            targets = targets_of(engine, name)
        finally:
            engine.dispose()
    except LlmsweepError:
        return None
    return targets[0] if targets else None


def _database() -> str:
    return embedded.resolve(settings())["DATABASE_URL"]
