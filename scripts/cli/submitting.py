"""What `sweep submit` does once its arguments are read."""

import json
import sys
import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer
from pydantic import ValidationError

from core.errors import InputError
from core.settings import RULES, default_model, settings
from core.sweep import SweepSpec, Target
from scripts.cli import render
from tasks import producer

_SHOWN = 5  # jobs of a dry run


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Providers x models x parameters, as they were typed."""

    providers: list[str]
    models: list[str]
    params: list[str]
    samples: int = 1

    def spec(self, kind: str, *, name: str = "", **fields: Any) -> SweepSpec:
        """The spec. Raises InputError for a value that fits nowhere."""
        try:
            return SweepSpec(
                name=name or f"{kind}-{datetime.now(UTC):%Y%m%d-%H%M%S}",
                kind=kind,
                targets=self._targets(kind),
                params=dict(_param(text) for text in self.params),
                samples=self.samples,
                chunk_size=2048 if kind == "embedding" else 64,
                **fields,
            )
        except ValidationError as exc:
            raise _bad_spec(exc) from exc

    def _targets(self, kind: str) -> tuple[Target, ...]:
        named = [name for text in self.models for name in text.split(",") if name]
        targets: list[Target] = []
        for provider in self.providers or ["openai"]:
            if provider != RULES:
                settings().provider(provider)
            models = named or [default_model(provider, embedding=kind == "embedding")]
            targets += [Target(provider=provider, model=model) for model in models]
        return tuple(targets)


def from_file(path: Path) -> SweepSpec:
    """A spec from a TOML file. Raises InputError."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise InputError(f"{path}: {exc.strerror}") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise InputError(f"{path} is not TOML: {exc}", hint="see docs/spec.md for an example") from exc
    try:
        return SweepSpec.model_validate({"name": path.stem, **content})
    except ValidationError as exc:
        raise _bad_spec(exc) from exc


def run(spec: SweepSpec, *, dry_run: bool, watch: bool) -> None:
    """Shows, or stores and perhaps follows, a sweep."""
    if dry_run:
        _preview(spec)
        return
    from scripts.cli.context import connected

    loaded = connected()
    submitted = producer.submit(loaded.database_url, spec)
    for problem in submitted.problems:
        render.talk(f"left out: {problem.where}: {problem.what}")
    verb = "submitted" if submitted.created else "goes on"
    render.talk(f"{submitted.name} {verb}: {submitted.jobs} jobs; `sweep watch {submitted.name}`")
    sys.stdout.write(submitted.name + "\n")
    if watch:
        from scripts.cli.sweeps import watch as follow

        sys.stdout.flush()
        follow(submitted.name)
    if submitted.problems:
        raise typer.Exit(1)


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


def _param(text: str) -> tuple[str, list[Any]]:
    name, sign, values = text.partition("=")
    if not sign or not name or not values:
        raise InputError(f"--param {text!r} is not k=v", hint="for example --param temperature=0,0.7")
    return name, [_value(value) for value in values.split(",")]


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _bad_spec(exc: ValidationError) -> InputError:
    first = exc.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return InputError(f"{where}: {first['msg']}", hint="see `sweep submit --help` and docs/spec.md")
