"""A large source becomes a sweep: what the producer no longer remembers, the ledger still knows."""

from pathlib import Path

import pytest

from core.sweep import SweepSpec, Target
from tasks import producer
from tasks.drafts import REMEMBERED, again


@pytest.mark.slow
def test_a_key_that_comes_again_is_told_however_much_was_in_between(database_url: str, tmp_path: Path) -> None:
    path = tmp_path / "many.csv"
    with path.open("w") as file:
        file.write("id,prompt\n")
        file.writelines(f"{n},ask\n" for n in range(REMEMBERED + 10))
        file.writelines(f"{n},ask again\n" for n in (3, REMEMBERED + 5))
    targets = (Target(provider="rules", model="rules"),)
    made = producer.submit(
        database_url, SweepSpec(name="many", kind="prompt", source={"path": str(path)}, targets=targets)
    )
    assert made.jobs == REMEMBERED + 10
    assert set(made.problems) == {again("3"), again(str(REMEMBERED + 5))}
