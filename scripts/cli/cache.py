"""`sweep cache`: what the cache server holds, and forgetting it."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

if TYPE_CHECKING:
    from core.cache.redis import RedisCache

T = TypeVar("T")

app = typer.Typer(help="The cache of answers: what it holds, and forgetting it.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="for machines")]


@app.command(epilog="Example: sweep cache stats --json")
def stats(*, json: Json = False) -> None:
    """Hits, misses, and how full it is."""
    from dataclasses import asdict

    from scripts.cli import render

    found = asdict(_ask(lambda cache: cache.stats()))
    if json:
        render.data(found)
    else:
        render.stdout().print(render.rows([found]))


@app.command(epilog="Example: sweep cache clear --sweep docs --model gpt-4o-mini")
def clear(
    *,
    sweep: Annotated[str | None, typer.Option(help="only answers that this sweep has paid for")] = None,
    model: Annotated[str | None, typer.Option(help="only answers of this model")] = None,
) -> None:
    """Forgets answers. PostgreSQL still has them: to buy anew, use `sweep submit --no-cache`."""
    from scripts.cli import render

    count = _ask(lambda cache: cache.clear(sweep=sweep, model=model))
    render.talk(f"{count:,} answers forgotten")


def _ask(question: "Callable[[RedisCache], Awaitable[T]]") -> T:
    import asyncio

    from scripts.cli.context import connected
    from workers.runtime import cache_of

    async def answer() -> T:
        async with cache_of(settings) as cache:
            return await question(cache)

    settings = connected()
    return asyncio.run(answer())
