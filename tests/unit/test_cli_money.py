"""What a sweep has cost, as a person reads it."""

import pytest

from scripts.cli.render import spent


@pytest.mark.parametrize(
    ("least", "most", "text"),
    [
        (0.5, 0.5, "$0.5000"),
        (0.5, 0.75, "$0.5000"),
        (0.0, 0.0, "$0.0000"),
        (0.5, None, "> $0.5000"),
        (0.0, None, "unknown"),
        (None, None, "unknown"),
    ],
)
def test_a_price_that_nobody_knows_is_not_shown_as_nothing(least: float | None, most: float | None, text: str) -> None:
    assert spent(least, most) == text
