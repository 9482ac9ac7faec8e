"""`sweep submit KIND ...`: from the command line to a spec, from the spec to jobs."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from scripts.cli.common import Assume, Common, Json, Simulate, Wish, Workers, with_common

SPEC_FILE = "spec"

_NO_PROBE = typer.Option("--no-probe", help="don't ask each embedding deployment first whether it gives vectors")


class _SubmitGroup(TyperGroup):
    """`sweep submit run.toml` means `sweep submit spec run.toml`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0].endswith(".toml"):
            args = [SPEC_FILE, *args]
        return super().resolve_command(ctx, args)


group = typer.Typer(
    cls=_SubmitGroup,
    help="Make a sweep of an input and start it. A sweep of the same name and spec goes on where it was.",
    epilog="Example: sweep submit run.toml --watch   (a spec file: docs/spec.md)",
    no_args_is_help=True,
)


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.add_typer(group, name="submit")


@group.command(epilog="Example: sweep submit docstring src/ -n docs --style numpy --budget 5 --watch")
@with_common
def docstring(
    paths: Annotated[list[str], typer.Argument(help="files, directories or names of installed packages")],
    *,
    style: Annotated[
        Literal["google", "numpy", "sphinx", "epytext", "pep257"], typer.Option(help="how they look")
    ] = "google",
    changed_since: Annotated[
        str | None, typer.Option(help="only what git says has changed since REV", metavar="REV")
    ] = None,
    private: Annotated[bool, typer.Option("--private", help="names with an underscore too")] = False,
    nested: Annotated[bool, typer.Option("--nested", help="functions inside functions too")] = False,
    modules: Annotated[bool, typer.Option("--modules", help="modules and packages themselves too")] = False,
    init: Annotated[
        Literal["method", "class", "skip"],
        typer.Option(help="where __init__'s parameters are told: in it, in its class, nowhere"),
    ] = "method",
    improve: Annotated[bool, typer.Option("--improve", help="extend what is there, too")] = False,
    line_length: Annotated[
        int | None, typer.Option(min=40, max=320, help="default: what the project tells ruff or black, else 88")
    ] = None,
    common: Common,
) -> None:
    """Docstrings for Python code: then `sweep apply NAME`, or `sweep export NAME -f patch`."""
    source = {"paths": paths, "changed_since": changed_since}
    options = {
        "style": style,
        "private": private,
        "nested": nested,
        "modules": modules,
        "init": init,
        "improve": improve,
        "line_length": line_length,
    }
    _submit("docstring", source, options, common)


@group.command(epilog="Example: sweep submit dictionary postgresql://me@host/shop -n shop --table 'order*' --watch")
@with_common
def dictionary(
    sources: Annotated[list[str], typer.Argument(help="a database URL, or JSON, CSV and SQLite files or directories")],
    *,
    schema: Annotated[
        list[str] | None, typer.Option(help="only these schemas; !PATTERN leaves out (repeatable)", metavar="PATTERN")
    ] = None,
    table: Annotated[
        list[str] | None, typer.Option(help="only these tables; !PATTERN leaves out (repeatable)", metavar="PATTERN")
    ] = None,
    masked_samples: Annotated[int, typer.Option(min=0, max=50, help="masked sample values a column")] = 5,
    sample_rows: Annotated[int, typer.Option(min=1, max=1_000_000, help="rows of a table that are looked at")] = 10_000,
    allow: Annotated[
        list[str] | None,
        typer.Option(help="Table.Column whose values may leave the machine (repeatable)", metavar="PATTERN"),
    ] = None,
    statistics: Annotated[bool, typer.Option(help="count nulls, distinct values, lengths")] = True,
    statement_timeout: Annotated[float, typer.Option(min=0.001, max=3600, help="seconds a query may take")] = 30,
    encoding: Annotated[str, typer.Option(help="of files without a byte order mark")] = "utf-8",
    common: Common,
) -> None:
    """A data dictionary of a database or of documents: every column described."""
    urls = [source for source in sources if "://" in source]
    if urls and len(sources) > 1:
        raise typer.BadParameter("one database URL, or any number of files")
    where: dict[str, Any] = {"url": urls[0]} if urls else {"paths": sources}
    source = where | {"schemas": schema or [], "tables": table or []}
    options = {
        "statistics": statistics,
        "samples": masked_samples,
        "sample_rows": sample_rows,
        "allow_columns": allow or [],
        "statement_timeout_s": statement_timeout,
        "encoding": encoding,
    }
    _submit("dictionary", source, options, common)


@group.command(epilog="Example: sweep submit embedding docs/ -n docs --param dimensions=256,1024 --watch")
@with_common
def embedding(
    paths: Annotated[list[str] | None, typer.Argument(help="files and directories: text, Markdown, reST, HTML")] = None,
    *,
    packages: Annotated[bool, typer.Option("--packages", help="all installed packages' descriptions")] = False,
    package: Annotated[list[str] | None, typer.Option(help="this installed package's (repeatable)")] = None,
    url: Annotated[str | None, typer.Option(help="a database, for --query")] = None,
    query: Annotated[str | None, typer.Option(help="SQL: a document a row, its text in --column")] = None,
    field: Annotated[str | None, typer.Option(help="of JSON lines: the text")] = None,
    column: Annotated[str | None, typer.Option(help="of a CSV file or a query: the text")] = None,
    key: Annotated[str | None, typer.Option(help="field or column that names a document; default: id")] = None,
    encoding: Annotated[str, typer.Option(help="of text files without a byte order mark")] = "utf-8",
    chunk_tokens: Annotated[int, typer.Option(min=16, help="tokens a piece")] = 400,
    overlap: Annotated[int, typer.Option(min=0, help="tokens that neighbours share")] = 40,
    dimensions: Annotated[int | None, typer.Option(min=1, help="default: the model's own")] = None,
    no_probe: Annotated[bool, _NO_PROBE] = False,
    common: Common,
) -> None:
    """Vectors for documents, in PostgreSQL: then `sweep search TEXT`."""
    source = {
        "paths": paths or [],
        "packages": package or packages,
        "url": url,
        "query": query,
        "field": field,
        "column": column,
        "key": key,
        "encoding": encoding,
    }
    options = {"chunk_tokens": chunk_tokens, "overlap": overlap, "dimensions": dimensions}
    _submit("embedding", source, options, common, probe=not no_probe)


@group.command(
    epilog="Example: sweep submit gap src/ docs/design.md -n gap --watch; sweep export gap -f markdown -o gap.md"
)
@with_common
def gap(
    paths: Annotated[list[str], typer.Argument(help="files, directories or packages; the design document last")],
    *,
    candidate_tokens: Annotated[int, typer.Option(min=100, help="tokens of code shown with a requirement")] = 1500,
    private: Annotated[bool, typer.Option("--private", help="names with an underscore too")] = False,
    undocumented: Annotated[bool, typer.Option(help="ask what the design does not speak of, too")] = True,
    common: Common,
) -> None:
    """What a design asks for and the code lacks, and what the code does and the design does not tell."""
    if len(paths) < 2:
        raise typer.BadParameter("name the code, then the design document: CODE.. DESIGN")
    options = {"candidate_tokens": candidate_tokens, "private": private, "undocumented": undocumented}
    _submit("gap", {"code": paths[:-1], "design": paths[-1]}, options, common)


@group.command(
    epilog="Example: sweep submit prompt ask.jsonl -m gpt-4o,gpt-4o-mini --param temperature=0,0.7 --samples 3"
)
@with_common
def prompt(
    path: Annotated[str, typer.Argument(help="JSON lines or CSV; - for standard input")],
    *,
    template: Annotated[str | None, typer.Option(help="Jinja text, or a file of it; default: the field prompt")] = None,
    system: Annotated[str | None, typer.Option(help="the system message: Jinja text, or a file of it")] = None,
    key: Annotated[str | None, typer.Option(help="the field that names a line; default: id or key")] = None,
    schema: Annotated[str | None, typer.Option(help="a file: the JSON schema that answers must satisfy")] = None,
    whitespace: Annotated[bool, typer.Option("--whitespace", help="collapse runs of white space")] = False,
    pii: Annotated[
        bool, typer.Option("--pii", help="e-mail addresses and phone numbers become [EMAIL], [PHONE]")
    ] = False,
    truncate_tokens: Annotated[int | None, typer.Option(min=1, help="cut prompts to so many tokens")] = None,
    common: Common,
) -> None:
    """Plain prompts, one a line, over a grid of models and parameters."""
    options = {"template": template, "system": system, "key": key, "schema": schema, "truncate_tokens": truncate_tokens}
    given = {option: value for option, value in options.items() if value is not None}
    _submit("prompt", {"path": path}, given | {"whitespace": whitespace, "pii": pii}, common)


@group.command(SPEC_FILE, epilog="Example: sweep submit run.toml --dry-run   (docs/spec.md has one a kind)")
def spec_file(
    path: Annotated[Path, typer.Argument(help="a TOML file with the fields of a spec")],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="show what would be asked, store nothing")] = False,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="follow it to its end")] = False,
    simulate: Simulate = False,
    workers: Workers = None,
    assume: Assume = None,
    json: Json = False,
    no_probe: Annotated[bool, _NO_PROBE] = False,
) -> None:
    """A sweep from a spec file, grids and all."""
    from scripts.cli.submitting import from_file, run

    wish = Wish.of(workers, assume, simulate=simulate, json=json)
    run(from_file(path), dry_run=dry_run, watch=watch, probe=not no_probe, wish=wish)


def _submit(kind: str, source: dict[str, Any], options: dict[str, Any], common: Common, *, probe: bool = True) -> None:
    from scripts.cli.submitting import run, spec_of

    wish = Wish.of(common.workers, common.assume, simulate=common.simulate, json=common.json)
    run(spec_of(kind, source, options, common), dry_run=common.dry_run, watch=common.watch, probe=probe, wish=wish)
