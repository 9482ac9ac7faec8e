"""`sweep submit KIND ...`: from the command line to a spec, from the spec to jobs."""

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

SPEC_FILE = "spec"

Name = Annotated[str, typer.Option("--name", "-n", help="the sweep's name; default: kind and time")]
Provider = Annotated[list[str] | None, typer.Option("--provider", "-p", help="repeatable; default: openai")]
Model = Annotated[
    list[str] | None, typer.Option("--model", "-m", help="repeatable, or a,b; default: the provider's setting")
]
Param = Annotated[list[str] | None, typer.Option("--param", help="k=v or k=v1,v2: a value, or a grid of them")]
Samples = Annotated[int, typer.Option(min=1, help="answers a request")]
Budget = Annotated[float | None, typer.Option(min=0, help="USD; the sweep parks before it would cost more")]
Limit = Annotated[int | None, typer.Option(min=1, help="only the first N inputs")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="show what would be asked, store nothing")]
Watch = Annotated[bool, typer.Option("--watch", "-w", help="follow it to the end")]
NoCache = Annotated[bool, typer.Option("--no-cache", help="no answers of earlier sweeps")]
OnOpen = Annotated[str, typer.Option(help="while the provider's breaker is open: fallback, wait or reroute")]


class _SubmitGroup(TyperGroup):
    """`sweep submit run.toml` means `sweep submit spec run.toml`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0].endswith(".toml"):
            args = [SPEC_FILE, *args]
        return super().resolve_command(ctx, args)


group = typer.Typer(cls=_SubmitGroup, help="Make a sweep of an input and start it.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.add_typer(group, name="submit")


@group.command()
def docstring(
    paths: Annotated[list[str], typer.Argument(help="files, directories or names of installed packages")],
    *,
    style: Annotated[str, typer.Option(help="google, numpy, sphinx, epytext or pep257")] = "google",
    changed_since: Annotated[str | None, typer.Option(help="only what git says has changed since REV")] = None,
    private: Annotated[bool, typer.Option("--private", help="names with an underscore too")] = False,
    nested: Annotated[bool, typer.Option("--nested", help="functions inside functions too")] = False,
    improve: Annotated[bool, typer.Option("--improve", help="extend what is there, too")] = False,
    name: Name = "",
    provider: Provider = None,
    model: Model = None,
    param: Param = None,
    samples: Samples = 1,
    budget: Budget = None,
    limit: Limit = None,
    no_cache: NoCache = False,
    on_open: OnOpen = "fallback",
    dry_run: DryRun = False,
    watch: Watch = False,
) -> None:
    """Docstrings for Python code: `sweep export NAME -f patch`, or `sweep apply NAME`."""
    source = {"paths": paths, "changed_since": changed_since}
    options = {"style": style, "private": private, "nested": nested, "improve": improve}
    _submit("docstring", source, options, locals())


@group.command()
def dictionary(
    sources: Annotated[list[str], typer.Argument(help="a database URL, or JSON, JSON Schema and CSV files")],
    *,
    schema: Annotated[list[str] | None, typer.Option(help="only these schemas (patterns)")] = None,
    table: Annotated[list[str] | None, typer.Option(help="only these tables (patterns)")] = None,
    masked_samples: Annotated[int, typer.Option(min=0, help="masked sample values a column")] = 5,
    allow: Annotated[list[str] | None, typer.Option(help="columns whose values may leave the machine")] = None,
    statistics: Annotated[bool, typer.Option(help="count nulls, distinct values, lengths")] = True,
    name: Name = "",
    provider: Provider = None,
    model: Model = None,
    param: Param = None,
    samples: Samples = 1,
    budget: Budget = None,
    limit: Limit = None,
    no_cache: NoCache = False,
    on_open: OnOpen = "fallback",
    dry_run: DryRun = False,
    watch: Watch = False,
) -> None:
    """A data dictionary of a database or of documents: every column described."""
    urls = [source for source in sources if "://" in source]
    if urls and len(sources) > 1:
        raise typer.BadParameter("one database URL, or any number of files")
    where: dict[str, Any] = {"url": urls[0]} if urls else {"paths": sources}
    source = where | {"schemas": schema or [], "tables": table or []}
    options = {"statistics": statistics, "samples": masked_samples, "allow_columns": allow or []}
    _submit("dictionary", source, options, locals())


@group.command()
def embedding(
    paths: Annotated[list[str] | None, typer.Argument(help="files and directories: text, Markdown, reST, HTML")] = None,
    *,
    packages: Annotated[bool, typer.Option("--packages", help="the installed packages' descriptions")] = False,
    field: Annotated[str | None, typer.Option(help="of JSON lines")] = None,
    column: Annotated[str | None, typer.Option(help="of a CSV file")] = None,
    chunk_tokens: Annotated[int, typer.Option(min=1, help="tokens a piece")] = 400,
    overlap: Annotated[int, typer.Option(min=0, help="tokens that neighbours share")] = 40,
    dimensions: Annotated[int | None, typer.Option(min=1, help="default: the model's own")] = None,
    name: Name = "",
    provider: Provider = None,
    model: Model = None,
    budget: Budget = None,
    limit: Limit = None,
    no_cache: NoCache = False,
    dry_run: DryRun = False,
    watch: Watch = False,
) -> None:
    """Vectors for documents: then `sweep search TEXT`."""
    source = {"paths": paths or [], "packages": packages, "field": field, "column": column}
    options = {"chunk_tokens": chunk_tokens, "overlap": overlap, "dimensions": dimensions}
    _submit("embedding", source, options, locals())


@group.command()
def prompt(
    path: Annotated[str, typer.Argument(help="JSON lines or CSV; - for standard input")],
    *,
    template: Annotated[str | None, typer.Option(help="Jinja text, or a file of it; default: the field prompt")] = None,
    system: Annotated[str | None, typer.Option(help="the system message")] = None,
    key: Annotated[str | None, typer.Option(help="the field that names a line")] = None,
    schema: Annotated[str | None, typer.Option(help="a JSON schema that answers must satisfy (file)")] = None,
    name: Name = "",
    provider: Provider = None,
    model: Model = None,
    param: Param = None,
    samples: Samples = 1,
    budget: Budget = None,
    limit: Limit = None,
    no_cache: NoCache = False,
    on_open: OnOpen = "wait",
    dry_run: DryRun = False,
    watch: Watch = False,
) -> None:
    """Plain prompts, one a line, over a grid of models and parameters."""
    options = {"template": template, "system": system, "key": key, "schema": schema}
    options = {option: value for option, value in options.items() if value is not None}
    _submit("prompt", {"path": path}, options, locals())


@group.command(SPEC_FILE)
def spec_file(
    path: Annotated[Path, typer.Argument(help="a TOML file with the fields of a spec")],
    *,
    dry_run: DryRun = False,
    watch: Watch = False,
) -> None:
    """A sweep from a spec file, grids and all."""
    from scripts.cli.submitting import from_file, run

    run(from_file(path), dry_run=dry_run, watch=watch)


def _submit(kind: str, source: dict[str, Any], options: dict[str, Any], arguments: dict[str, Any]) -> None:
    from scripts.cli.submitting import Grid, run

    grid = Grid(
        providers=arguments["provider"] or [],
        models=arguments["model"] or [],
        params=arguments.get("param") or [],
        samples=arguments.get("samples", 1),
    )
    spec = grid.spec(
        kind,
        source=source,
        options=options,
        name=arguments["name"],
        budget_usd=arguments["budget"],
        limit=arguments["limit"],
        cache=not arguments["no_cache"],
        on_open=arguments.get("on_open", "wait"),
    )
    run(spec, dry_run=arguments["dry_run"], watch=arguments["watch"])
