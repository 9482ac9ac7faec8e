import itertools

from hypothesis import given
from hypothesis import strategies as st

from core.packing import pack


@given(st.lists(st.integers(0, 500)), st.integers(1, 10), st.integers(1, 1000))
def test_packs_cover_all_texts_in_order_and_keep_both_limits(
    tokens: list[int], max_inputs: int, max_tokens: int
) -> None:
    packs = pack(tokens, max_inputs=max_inputs, max_tokens=max_tokens)

    assert [i for indexes in packs for i in indexes] == list(range(len(tokens)))
    assert all(0 < len(indexes) <= max_inputs for indexes in packs)
    assert all(len(indexes) == 1 or sum(tokens[i] for i in indexes) <= max_tokens for indexes in packs)


@given(st.lists(st.integers(0, 500), min_size=1), st.integers(1, 10), st.integers(1, 1000))
def test_no_pack_could_have_taken_the_text_after_it(tokens: list[int], max_inputs: int, max_tokens: int) -> None:
    packs = pack(tokens, max_inputs=max_inputs, max_tokens=max_tokens)

    for indexes, after in itertools.pairwise(packs):
        held = sum(tokens[i] for i in indexes) + tokens[after.start]
        assert len(indexes) == max_inputs or held > max_tokens


def test_a_text_over_the_token_limit_travels_alone() -> None:
    assert pack([10, 900, 10], max_tokens=100) == [range(1), range(1, 2), range(2, 3)]


def test_nothing_packs_into_nothing() -> None:
    assert pack([]) == []


def test_the_default_limits_are_those_of_the_openai_api() -> None:
    assert [len(indexes) for indexes in pack([1] * 5000)] == [2048, 2048, 904]
    assert [len(indexes) for indexes in pack([8000] * 40)] == [37, 3]
