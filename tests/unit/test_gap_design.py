"""A design document becomes requirements, each with the line that it starts at."""

from pathlib import Path

import pytest

from core.errors import InputError
from tasks.gap.design import MAX_BYTES, read, requirements

DESIGN = """\
---
title: Shop
owner: me
---
# Shop

This text introduces the document.

- [Orders](#orders)
- [Limits](#limits)

## Orders
The shop shall keep
orders. It is fast. A customer
must be able to cancel an order, e.g. By phone.

1. `OrderBook` stores orders
   - and flushes them
2. Closed orders are archived

## Limits

| Name | Value |
| ---- | ----: |
| retries | 5 |
| | 3 s |

## Look and feel
Everything is green.

## Reports can be printed

## Example

```python
must_not = "be read: it shall not"
```
"""


def told(text: str) -> list[tuple[str, str]]:
    return [(found.at, found.text) for found in requirements(text, "D.md")]


def test_items_rows_and_sentences_of_duty_are_requirements_at_their_lines() -> None:
    assert told(DESIGN) == [
        ("D.md:13", "The shop shall keep orders."),
        ("D.md:14", "A customer must be able to cancel an order, e.g. By phone."),
        ("D.md:17", "`OrderBook` stores orders"),
        ("D.md:18", "and flushes them"),
        ("D.md:19", "Closed orders are archived"),
        ("D.md:25", "Name: retries; Value: 5"),
        ("D.md:26", "Value: 3 s"),
        ("D.md:28", "Look and feel: Everything is green."),
        ("D.md:31", "Reports can be printed"),
    ]


def test_a_requirement_knows_the_headings_above_it() -> None:
    sections = {found.at: found.section for found in requirements(DESIGN, "D.md")}

    assert sections["D.md:17"] == "Shop > Orders"
    assert sections["D.md:25"] == "Shop > Limits"


def test_every_anchor_is_the_line_where_the_requirement_begins() -> None:
    lines = DESIGN.splitlines()

    for found in requirements(DESIGN, "D.md"):
        line = lines[int(found.at.rpartition(":")[2]) - 1].replace("`", "")
        start = (
            found.text.replace("`", "").split(":")[-1].split()[0]
            if "|" in line
            else found.text.replace("`", "").split()[0]
        )
        assert start.strip(":;") in line


def test_plain_text_without_any_markup_is_split_likewise() -> None:
    text = (
        "The system shall contain a calculator module.\n"
        "The calculator module should support addition (sum).\n"
        "    The system shall also contain a data processor.\n"
    )

    assert [at for at, _ in told(text)] == ["D.md:1", "D.md:2", "D.md:3"]


def test_prose_without_any_word_of_duty_is_one_requirement() -> None:
    assert told("We read a file.\nWe write a file.\n") == [("D.md:1", "We read a file. We write a file.")]


def test_a_byte_order_mark_and_windows_line_ends_change_nothing(tmp_path: Path) -> None:
    path = tmp_path / "design.md"
    path.write_bytes(b"\xef\xbb\xbf" + DESIGN.replace("\n", "\r\n").encode())

    assert told(read(path)) == told(DESIGN)


def test_a_very_long_paragraph_is_cut_and_its_anchor_leads_to_the_rest() -> None:
    ((at, text),) = told("- " + "word " * 1_000)

    assert at == "D.md:1"
    assert len(text) < 700
    assert text.endswith("…")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (None, "cannot be read"),
        (b"", "empty"),
        (b" \n\t\n", "empty"),
        (b"\x7fELF\0\0\1\2", "binary"),
        (b"The caf\xe9 shall open.", "not utf-8 text"),
    ],
)
def test_a_file_that_is_no_document_is_named(tmp_path: Path, content: bytes | None, what: str) -> None:
    path = tmp_path / "design.md"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(InputError, match=f"design.md.*{what}"):
        read(path)


def test_a_huge_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "design.md"
    with path.open("wb") as file:
        file.truncate(100_000_000)

    with pytest.raises(InputError, match="100 MB"):
        read(path)
    assert MAX_BYTES < 100_000_000


def test_a_directory_is_no_document(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a directory"):
        read(tmp_path)
