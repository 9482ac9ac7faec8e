"""What the gate expects a call to take, from what the last ones took."""

import random

import pytest

from core.gate.estimate import Learned

GUESS = 256  # what the caller adds to a prompt for the answer


def learned(calls: int, prompt: tuple[int, int], *, answer: float = 150, tokenizer: float = 1.0) -> Learned:
    """After so many calls with prompts between two sizes; answers scatter, prompts count more or less than we think."""
    rng, made = random.Random(3), Learned()
    for _ in range(calls):
        size = rng.randint(*prompt)
        made.learn(size + GUESS, size * tokenizer + answer * rng.lognormvariate(-0.125, 0.5))
    return made


def test_the_first_call_is_booked_as_if_it_were_much_larger() -> None:
    assert Learned().expected(300) == 1200


def test_one_settled_call_is_enough_to_come_near() -> None:
    made = Learned()
    made.learn(267, 111)
    assert 111 < made.expected(267) <= 3 * 111


@pytest.mark.parametrize(("calls", "off"), [(10, 0.5), (100, 0.12), (500, 0.08)])
def test_the_more_calls_have_told_the_nearer_it_is(calls: int, off: float) -> None:
    assert learned(calls, (20, 400)).expected(200 + GUESS) == pytest.approx(200 + 150, rel=off)


@pytest.mark.parametrize(("small", "large"), [((5, 20), 800), ((700, 900), 10)])
def test_prompts_of_another_size_are_right_at_once(small: tuple[int, int], large: int) -> None:
    assert learned(100, small).expected(large + GUESS) == pytest.approx(large + 150, rel=0.2, abs=40)


def test_a_tokenizer_that_counts_otherwise_is_learned_from_prompts_that_differ() -> None:
    made = learned(300, (100, 3000), tokenizer=1.4)
    assert made.expected(2500 + GUESS) == pytest.approx(2500 * 1.4 + 150, rel=0.05)
    assert made.expected(200 + GUESS) == pytest.approx(200 * 1.4 + 150, rel=0.15)


def test_nothing_is_ever_free() -> None:
    made = learned(50, (2000, 3000), tokenizer=0.0, answer=1)
    assert made.expected(1) >= 1
