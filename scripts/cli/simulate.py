"""`sweep simulate`: the provider simulator in the foreground."""

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(epilog="Example: sweep simulate --port 8080 --rpm 600 --fail 500:0.05")(simulate)


def simulate(
    *,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: a free one")] = 0,
    host: Annotated[str, typer.Option(help="an address of this machine")] = "127.0.0.1",
    expose: Annotated[bool, typer.Option("--expose", help="allow a --host that others can reach")] = False,
    latency: Annotated[
        str, typer.Option(help="seconds, lognormal:MEDIAN,SIGMA or heavy:MEDIAN,SHARE,FACTOR", metavar="SPEC")
    ] = "0",
    rpm: Annotated[int | None, typer.Option(min=1, help="requests a minute")] = None,
    tpm: Annotated[int | None, typer.Option(min=1, help="tokens a minute, prompt and completion")] = None,
    burst: Annotated[float, typer.Option(help="seconds of quota that may be used at once; 1 is strict")] = 60.0,
    fail: Annotated[
        list[str] | None,
        typer.Option(
            help="a share 500:0.2, the first hang:3, seconds 429@10-20; a wrong name lists all (repeatable)",
            metavar="FAULT",
        ),
    ] = None,
    answers: Annotated[
        str, typer.Option(help="rules: the kinds' writers; fast: cheap, of one size; varied: of many")
    ] = "rules",
    tokens: Annotated[str, typer.Option(help="exact: tiktoken; approx: characters / 4")] = "exact",
    headers: Annotated[str, typer.Option(help="limits: in every response; none: only a 429 tells")] = "limits",
    model: Annotated[list[str] | None, typer.Option(help="serve only this one (repeatable)")] = None,
    seed: Annotated[int, typer.Option(help="of latencies and faults")] = 0,
    key: Annotated[str, typer.Option(help="the API key to ask for; without it any will do")] = "",
    port_file: Annotated[Path | None, typer.Option(help="write the port here when ready")] = None,
    with_parent: Annotated[bool, typer.Option("--with-parent", help="stop when the parent process is gone")] = False,
) -> None:
    """Plays an OpenAI-compatible provider, with quotas and faults on demand. Prints its address when it listens."""
    from scripts.simulator.options import read_options
    from scripts.simulator.serving import Listen, check_host, run

    check_host(host, expose=expose)
    options = read_options(
        latency=latency,
        rpm=rpm,
        tpm=tpm,
        burst=burst,
        fail=fail or (),
        answers=answers,
        tokens=tokens,
        headers=headers,
        models=model or (),
        seed=seed,
        key=key,
    )
    run(options, Listen(host=host, port=port, port_file=port_file, with_parent=with_parent))
