"""`sweep up`, `sweep down`, `sweep doctor`."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from scripts.doctor import Check

Port = Annotated[int | None, typer.Option(min=1, max=65535, help="default: a free one, the same each time")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    for command, example in (
        (up, "sweep up -p openai --processes 2"),
        (down, "sweep down"),
        (doctor, "sweep doctor --migrate"),
    ):
        app.command(epilog=f"Example: {example}")(command)


def up(
    *,
    provider: Annotated[
        list[str] | None, typer.Option("--provider", "-p", help="whose queue to work on; default: all that are set up")
    ] = None,
    processes: Annotated[int, typer.Option(min=1, max=256, help="worker processes a provider")] = 1,
    slots: Annotated[int | None, typer.Option(min=1, max=64, help="chunks in work at once, a process")] = None,
    workers: Annotated[bool, typer.Option(help="start workers")] = True,
    flower: Annotated[bool, typer.Option(help="start Flower")] = True,
    flower_port: Port = None,
    database_port: Port = None,
    redis_port: Port = None,
    cache_port: Port = None,
    env: Annotated[bool, typer.Option("--env", help="print the servers' URLs, with their passwords")] = False,
) -> None:
    """Starts servers, workers and Flower, those that do not run yet, and leaves them running."""
    from core.settings import RULES, settings
    from db.schema import migrate
    from scripts import embedded, stack
    from scripts.cli.render import talk
    from scripts.embedded import Role

    loaded = settings()
    for name in provider or ():
        if name != RULES:
            loaded.provider(name)
    directory = embedded.data_dir()
    access = stack.flower_access(directory, flower_port) if flower else None
    forced = {Role.DATABASE: database_port, Role.BROKER: redis_port, Role.CACHE: cache_port}
    urls = embedded.bring_up(loaded, ports={role: port for role, port in forced.items() if port})
    migrate(urls["DATABASE_URL"])
    providers = (provider or stack.usable_providers(loaded)) if workers else []
    if providers or access:
        stack.start(directory, urls, stack.Wanted(providers=providers, processes=processes, slots=slots, flower=access))
    talk(f"up: servers{', workers for ' if providers else ''}{', '.join(providers)}; data and logs in {directory}")
    if access:
        talk(f"Flower: {access.url} (login {access.login})")
    if env:
        for name, url in urls.items():
            typer.echo(f"{name}={url}")


def down() -> None:
    """Stops workers, which finish what they have in flight, then Flower and the embedded servers of this project."""
    from scripts import embedded
    from scripts.cli.render import talk

    directory = embedded.data_dir()
    stopped = embedded.down(directory)
    talk(f"stopped; the data stays in {directory}" if stopped else f"nothing runs for {directory}")


def doctor(
    *,
    migrate: Annotated[bool, typer.Option("--migrate", help="bring the database up to date on the way")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="only whether the servers answer, for health checks")] = False,
) -> None:
    """Checks machine, servers, database and providers, and tells what to do about what is wrong."""
    from core.settings import settings
    from scripts.cli.render import stdout
    from scripts.doctor import State, examine

    found = list(examine(settings(), migrate=migrate, quick=quick))
    stdout().print(_table(found))
    raise typer.Exit(1 if any(check.state is State.FAILED for check in found) else 0)


def _table(checks: "Sequence[Check]") -> "Table":
    from rich.table import Table
    from rich.text import Text

    from scripts.cli.plain import one_line
    from scripts.doctor import State

    colours = {State.OK: "green", State.WARNING: "yellow", State.FAILED: "red", State.OFF: "dim"}
    has_fixes = any(check.fix for check in checks)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("check", "state", "detail", *(["fix"] if has_fixes else [])):
        table.add_column(column, no_wrap=column in {"check", "state"}, overflow="fold")
    for check in checks:
        cells = (check.name, Text(check.state, colours[check.state]), Text(one_line(check.detail)))
        table.add_row(*cells, *([Text(one_line(check.fix))] if has_fixes else []))
    return table
