import itertools
import random
import tracemalloc
from collections.abc import Iterator

import pytest

from core import tokens
from tasks.embedding.chunking import Size, chunks, sections
from tasks.embedding.lines import Line

SIZE = Size(chunk=100, overlap=10)
WORDS = (
    "gate",
    "ledger",
    "sweep",
    "chunk",
    "worker",
    "quota",
    "breaker",
    "ticket",
    "lease",
    "fence",
    "vector",
    "token",
)


def _lines(text: str) -> Iterator[Line]:
    return (Line(line, heading=line.startswith("# ")) for line in text.splitlines(keepends=True))


def _chunks(text: str, size: Size = SIZE) -> list[str]:
    return [chunk for chunk, _ in chunks(sections(_lines(text), size), size)]


def _prose(paragraphs: int, seed: int = 1) -> str:
    chance = random.Random(seed)
    return "\n\n".join(
        " ".join(chance.choice(WORDS) for _ in range(chance.randint(20, 60))).capitalize() + "."
        for _ in range(paragraphs)
    )


def _tokens(text: str) -> int:
    return tokens.count(text, "text-embedding-3-small")


_TEXTS = {
    "paragraphs": _prose(60),
    "lines": _prose(60).replace("\n\n", "\n"),
    "one line": _prose(60).replace("\n", " "),
    "one word": "x" * 20_000,
    "no spaces": "漢字かな交じり文。" * 1_000,
    "emoji": "🙂" * 3_000,
    "the same word": " ".join(["word"] * 5_000),
    "short lines": "a\n" * 5_000,
    "table": "\n".join(f"| {i} | {i * i} |" for i in range(2_000)),
    "much white space": "a" + " " * 70_000 + "b" + "\n" * 70_000 + "c",
}


@pytest.mark.parametrize("text", _TEXTS.values(), ids=_TEXTS.keys())
@pytest.mark.parametrize("overlap", [0, 10, 50])
def test_no_chunk_is_larger_than_asked_or_blank(text: str, overlap: int) -> None:
    found = _chunks(text, Size(chunk=100, overlap=overlap))

    assert all(0 < _tokens(chunk) <= 100 for chunk in found)
    assert all(chunk.strip() for chunk in found)


@pytest.mark.parametrize("text", _TEXTS.values(), ids=_TEXTS.keys())
def test_without_overlap_the_chunks_are_the_text_each_word_once(text: str) -> None:
    found = _chunks(text, Size(chunk=100, overlap=0))

    assert "".join("".join(found).split()) == "".join(text.split())


def test_neighbours_share_up_to_overlap_tokens_from_the_start_of_a_word_on() -> None:
    text = _prose(40)
    found = _chunks(text)

    for before, after in itertools.pairwise(found):
        shared = next(n for n in range(len(after), 0, -1) if before.endswith(after[:n].rstrip()))
        assert 5 <= _tokens(after[:shared].strip()) <= 10
        assert text[text.find(after) - 1].isspace()


def test_an_edit_changes_only_the_chunks_around_it() -> None:
    paragraphs = _prose(400).split("\n\n")
    before = _chunks("\n\n".join(paragraphs))

    paragraphs[200:200] = ["A paragraph that is new.", "And another one, a little longer than that."]
    paragraphs[0] = "Shorter."
    after = _chunks("\n\n".join(paragraphs))

    assert len(before) > 150
    assert len(set(after) - set(before)) <= 20


def test_a_heading_starts_a_chunk_of_its_own_once_there_is_a_chunk_before_it() -> None:
    text = f"# One\n\n{_prose(8)}\n\n# Two\n\n{_prose(8, seed=2)}"

    found = _chunks(text, Size(chunk=100, overlap=0))

    assert any(chunk.startswith("# Two") for chunk in found)


def test_the_same_text_gives_the_same_chunks() -> None:
    assert _chunks(_prose(50)) == _chunks(_prose(50))


def test_chunks_end_where_sentences_or_paragraphs_end() -> None:
    found = _chunks(_prose(40), Size(chunk=100, overlap=0))

    assert sum(chunk.endswith(".") for chunk in found) > 0.9 * len(found)


def test_a_document_of_any_size_is_held_in_flat_memory() -> None:
    _chunks(_prose(5))  # the tokenizer's own tables

    def endless() -> Iterator[Line]:
        paragraph = [Line(f"{part}\n") for part in _prose(30).split("\n")]
        for _ in range(150):
            yield from paragraph

    tracemalloc.start()
    count = sum(1 for _ in chunks(sections(endless(), SIZE), SIZE))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert count > 2_000
    assert peak < 20_000_000
