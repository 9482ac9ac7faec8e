"""Texts into embedding calls: as few as the provider's limits allow, in order."""

from collections.abc import Sequence

MAX_INPUTS = 2_048
"""Inputs that one embedding request may hold (OpenAI API reference, "Create embeddings")."""

MAX_TOKENS = 300_000
"""Tokens that all inputs of one embedding request may hold together (same source)."""


def pack(texts_tokens: Sequence[int], *, max_inputs: int = MAX_INPUTS, max_tokens: int = MAX_TOKENS) -> list[range]:
    """Consecutive index ranges that cover all texts, each within both limits.

    A text that exceeds ``max_tokens`` by itself gets a range of its own: the provider's refusal then names it alone.
    """
    packs: list[range] = []
    start = held = 0
    for index, tokens in enumerate(texts_tokens):
        full = index - start == max_inputs or held + tokens > max_tokens
        if full and index > start:
            packs.append(range(start, index))
            start, held = index, 0
        held += tokens
    if texts_tokens:
        packs.append(range(start, len(texts_tokens)))
    return packs
