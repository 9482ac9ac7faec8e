"""The options that `sweep submit` has for every kind, told once."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal, get_type_hints

import typer

Simulate = Annotated[
    bool, typer.Option("--simulate", help="forecast time and cost on virtual time; store and send nothing")
]
Workers = Annotated[
    int | None, typer.Option(min=1, max=10_000, help="with --simulate: processes; default: those that run")
]
Assume = Annotated[
    list[str] | None,
    typer.Option(help="with --simulate: latency_p50=0.8, error_rate=0.01 ... (repeatable)", metavar="K=V"),
]
Json = Annotated[bool, typer.Option("--json", help="with --simulate: for machines")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """How a forecast is wanted."""

    workers: int | None = None
    assume: tuple[str, ...] = ()
    json: bool = False

    @classmethod
    def of(cls, workers: int | None, assume: list[str] | None, *, simulate: bool, json: bool) -> "Wish | None":
        """None: no forecast is wanted."""
        if simulate:
            return cls(workers=workers, assume=tuple(assume or ()), json=json)
        if workers is not None or assume or json:
            raise typer.BadParameter("--workers, --assume and --json are for --simulate")
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Common:
    """Where, how often, for how much: what does not depend on the kind."""

    name: Annotated[str, typer.Option("--name", "-n", help="the sweep's name; default: kind and time")] = ""
    provider: Annotated[
        list[str] | None,
        typer.Option("--provider", "-p", help="whom to ask (repeatable), or auto: whoever fits best; default: openai"),
    ] = None
    model: Annotated[
        list[str] | None, typer.Option("--model", "-m", help="repeatable, or a,b; default: the provider's setting")
    ] = None
    param: Annotated[list[str] | None, typer.Option(help="k=v, or k=v1,v2 for a grid (repeatable)", metavar="K=V")] = (
        None
    )
    samples: Annotated[int, typer.Option(min=1, max=1000, help="answers to each request")] = 1
    budget: Annotated[float | None, typer.Option(min=0, help="USD; the sweep parks before it would cost more")] = None
    limit: Annotated[int | None, typer.Option(min=1, help="only the first N inputs")] = None
    no_cache: Annotated[bool, typer.Option("--no-cache", help="take no answers of earlier sweeps")] = False
    on_open: Annotated[
        Literal["fallback", "wait", "reroute"] | None,
        typer.Option(help="while the provider is down; default: fallback where the kind has rules, else wait"),
    ] = None
    fallback_provider: Annotated[
        list[str] | None,
        typer.Option(
            "--fallback-provider",
            "--reroute",
            help="for jobs that the provider fails, or while it is down: the best of these (repeatable)",
            metavar="PROVIDER[:MODEL]",
        ),
    ] = None
    parallel_attempts: Annotated[
        int, typer.Option(min=1, max=4, help="calls side by side for a job: the first valid answer wins")
    ] = 1
    hedge: Annotated[
        float, typer.Option(min=0, max=0.1, help="share of calls that get a second one when they are very late")
    ] = 0.0
    on_reject: Annotated[
        Literal["fail", "fallback"], typer.Option(help="when an answer is refused for good: fail, or answer by rule")
    ] = "fail"
    repair_turns: Annotated[int, typer.Option(min=0, max=3, help="times that a model may mend a refused answer")] = 1
    chunk_size: Annotated[
        int | None, typer.Option(min=1, max=2048, help="jobs a message; default: 64, embedding 2048")
    ] = None
    description: Annotated[str, typer.Option(help="a note that is kept with the sweep")] = ""
    simulate: Simulate = False
    workers: Workers = None
    assume: Assume = None
    json: Json = False
    dry_run: Annotated[bool, typer.Option("--dry-run", help="show what would be asked, store nothing")] = False
    watch: Annotated[bool, typer.Option("--watch", "-w", help="follow it to its end")] = False


def with_common(function: Callable[..., None]) -> Callable[..., None]:
    """Gives a command the common options; it receives them as one value, its parameter ``common``."""
    hints = get_type_hints(Common, include_extras=True)
    own = inspect.signature(function).parameters.values()
    shared = [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name]
        )
        for field in fields(Common)
    ]
    names = {parameter.name for parameter in shared}

    def command(**given: Any) -> None:
        common = Common(**{name: value for name, value in given.items() if name in names})
        function(**{name: value for name, value in given.items() if name not in names}, common=common)

    parameters = [parameter for parameter in own if parameter.name != "common"] + shared
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what Typer reads
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    command.__name__, command.__doc__ = function.__name__, function.__doc__
    return command
