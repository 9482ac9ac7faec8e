"""What `sweep submit` does once its arguments are read."""

import json
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer
from pydantic import ValidationError

from core.errors import InputError
from core.model import SweepState
from core.settings import RULES, default_model, settings
from core.sweep import SweepSpec, Target
from scripts.cli import render
from scripts.cli.common import Common, Wish
from tasks import producer

AUTO = "auto"
"""The provider's name that means: whoever fits best."""

_SHOWN = 5  # jobs of a dry run
_AGAIN = {SweepState.DONE: "is done already"}
_HAS_RULES = {"docstring", "dictionary", "gap"}  # kinds that can answer while their provider is down


def spec_of(kind: str, source: dict[str, Any], options: dict[str, Any], common: Common) -> SweepSpec:
    """The spec that the options mean. Raises InputError for a value that fits nowhere."""
    embedding = kind == "embedding"
    try:
        return SweepSpec(
            name=common.name or f"{kind}-{datetime.now(UTC):%Y%m%d-%H%M%S}",
            kind=kind,
            source=source,
            options=options,
            targets=tuple(_targets(common, kind, options)),
            params=_grid(common.param or ()),
            samples=common.samples,
            budget_usd=common.budget,
            limit=common.limit,
            chunk_size=common.chunk_size or (2048 if embedding else 64),
            cache=not common.no_cache,
            on_open=_on_open(kind, common),
            reroute=tuple(_target(text, embedding=embedding) for text in common.fallback_provider or ()),
            parallel_attempts=common.parallel_attempts,
            hedge=common.hedge,
            on_reject=common.on_reject,
            repair_turns=common.repair_turns,
            description=common.description,
        )
    except ValidationError as exc:
        raise _bad_spec(exc) from exc


def from_file(path: Path) -> SweepSpec:
    """A spec from a TOML file. Raises InputError."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as exc:
        raise InputError(f"{path}: {exc.strerror}") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise InputError(f"{path} is not TOML: {exc}", hint="see docs/spec.md for an example") from exc
    try:
        return SweepSpec.model_validate({"name": path.stem, **content})
    except ValidationError as exc:
        raise _bad_spec(exc, f"{path}: ") from exc


def run(spec: SweepSpec, *, dry_run: bool, watch: bool, probe: bool = True, wish: Wish | None = None) -> None:
    """Shows, forecasts, or stores and perhaps follows, a sweep."""
    for target in (*spec.targets, *spec.reroute):
        if target.provider != RULES:
            settings().provider(target.provider)
    if dry_run:
        _preview(spec)
        return
    if wish is not None:
        from scripts.cli.forecasting import show

        show(spec, wish)
        return
    _store(spec, watch=watch, probe=probe)


def _store(spec: SweepSpec, *, watch: bool, probe: bool) -> None:
    from scripts.cli.context import connected

    loaded = connected()
    if probe and spec.kind == "embedding":
        from scripts.cli.probing import probed

        spec = probed(loaded, spec)
    submitted = producer.submit(loaded.database_url, spec)
    for problem in submitted.problems:
        render.talk(f"left out: {problem.where}: {problem.what}")
    verb = "submitted" if submitted.created else _AGAIN.get(submitted.state, "goes on")
    render.talk(f"{submitted.name} {verb}: {submitted.jobs} jobs; `sweep watch {submitted.name}`")
    sys.stdout.write(submitted.name + "\n")
    if watch:
        _follow(submitted.name)
    if spec.skip or any(not problem.by_design for problem in submitted.problems):
        raise typer.Exit(1)


def _follow(name: str) -> None:
    from scripts.cli.sweeps import watch as follow

    sys.stdout.flush()
    try:
        follow(name)
    except typer.Exit as end:  # its way to end; what was left out is still to be told by the exit code
        if end.exit_code:
            raise


def _preview(spec: SweepSpec) -> None:
    drafts, problems = producer.preview(spec, _SHOWN)
    for problem in problems:
        render.talk(f"left out: {problem.where}: {problem.what}")
    if not drafts:
        raise InputError("nothing to do: the input gives no job")
    for variant in spec.variants():
        render.talk(f"would ask {variant.provider}/{variant.model} {dict(variant.params) or ''}".rstrip())
    for request in producer.requests(spec, drafts):
        render.data(request)


def _targets(common: Common, kind: str, options: dict[str, Any]) -> Iterator[Target]:
    named = [name for text in common.model or () for name in text.split(",") if name]
    for provider in common.provider or ["openai"]:
        if provider == AUTO:
            yield _chosen(common.name, kind, named, str(options.get("style", "")))
            continue
        for model in named or [default_model(provider, embedding=kind == "embedding")]:
            yield Target(provider=provider, model=model)


def _chosen(name: str, kind: str, models: list[str], style: str) -> Target:
    from scripts.routes import choose

    target, why = choose(name, kind, models=models, style=style)
    render.talk(f"provider auto: {target.provider}/{target.model} ({why})")
    return target


def _target(text: str, *, embedding: bool) -> Target:
    # Models have colons and slashes in their names, providers have neither.
    provider, model, *_ = [*re.split(r"[:/]", text, maxsplit=1), ""]
    return Target(provider=provider, model=model or default_model(provider, embedding=embedding))


def _on_open(kind: str, common: Common) -> str:
    if common.fallback_provider and common.on_open in {None, "reroute"}:
        return "reroute"
    return common.on_open or ("fallback" if kind in _HAS_RULES else "wait")


def _grid(params: Iterable[str]) -> dict[str, list[Any]]:
    grid: dict[str, list[Any]] = {}
    for text in params:
        name, sign, values = text.partition("=")
        if not sign or not name or not values:
            raise InputError(f"--param {text!r} is not k=v", hint="for example --param temperature=0,0.7")
        if name in grid:
            raise InputError(
                f"--param {name} is given twice", hint=f"give all its values at once: --param {name}=v1,v2"
            )
        grid[name] = _values(values)
    return grid


def _values(text: str) -> list[Any]:
    """One JSON value, which may hold commas itself, or words between commas."""
    try:
        whole = json.loads(f"[{text}]", parse_constant=_not_json)
    except ValueError:
        return [_value(word) for word in text.split(",")]
    return list(whole)


def _value(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_not_json)
    except ValueError:
        return text


def _not_json(constant: str) -> None:
    raise ValueError(f"{constant} is Python's, not JSON's")


def _bad_spec(exc: ValidationError, where: str = "") -> InputError:
    first = exc.errors(include_url=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    return InputError(f"{where}{field}: {first['msg']}", hint="see `sweep submit --help` and docs/spec.md")
