"""How many examples hypothesis plays: as many as a test says, and more of them under ``make explore``."""

from hypothesis import settings

_USUAL = 100  # of hypothesis itself


def examples(count: int) -> int:
    """``count``, times what the profile in force (tests/conftest.py) plays more than usual."""
    return count * settings().max_examples // _USUAL
