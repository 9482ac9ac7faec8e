"""What may be done to a text before it is sent."""

import pytest

from core.preprocess import clean_whitespace, normalise_text, remove_pii


@pytest.mark.parametrize(
    ("text", "clean"),
    [("hello   world", "hello world"), ("  a\n\n\tb \r\n c ", "a b c"), ("", ""), (" \n ", ""), ("a\u00a0b", "a b")],
)
def test_white_space_becomes_single_blanks(text: str, clean: str) -> None:
    assert clean_whitespace(text) == clean


@pytest.mark.parametrize(
    "address", ["test@example.com", "x.y+z@mail.sub.example.co.uk", "ünïcode@exämple.de", "A_B-1@EXAMPLE.ORG"]
)
def test_an_email_address_is_hidden(address: str) -> None:
    assert remove_pii(f"Write to {address}, please.") == "Write to [EMAIL], please."


@pytest.mark.parametrize(
    "number",
    [
        "555-123-4567",
        "(555) 123-4567",
        "555.123.4567",
        "5551234567",
        "1-800-555-0199",
        "(555) 123-4567 ext. 12",
        "+49 (0)30 1234567",
        "+1 (555) 123-4567",
        "+442071838750",
        "00491701234567",
        "030/1234567",
        "020 7183 8750",
        "01 23 45 67 89",
    ],
)
def test_a_telephone_number_is_hidden(number: str) -> None:
    assert remove_pii(f"Call {number}, please.") == "Call [PHONE], please."


@pytest.mark.parametrize(
    "text",
    [
        "on 2024-01-15 at 10:30",
        "version 1.2.3.4",
        "host 192.168.100.200",
        "1,234,567.89 USD",
        "3 000 000 EUR",
        "pi is 3.14159265358",
        "550e8400-e29b-41d4-a716-446655440000",
        "0x1234567890",
        "decorate with @functools.cache",
        "a @ b",
        "lines 10 20 30",
        "Ada Lovelace, 12 St James's Square",
    ],
)
def test_what_is_neither_is_left_alone_names_too(text: str) -> None:
    assert remove_pii(text) == text


@pytest.mark.parametrize("piece", ["1 ", "a@", "a.b@", "(1)", "+1", "01 ", "x@a."])
@pytest.mark.timeout(60)
def test_hostile_text_takes_no_longer_than_its_length(piece: str) -> None:
    remove_pii(piece * 200_000)


@pytest.mark.parametrize(
    ("text", "normal"), [("  hello\n", "hello"), ("a\0b", "ab"), ("\0 ", ""), ("Ünï 漢字 🙂  x", "Ünï 漢字 🙂  x")]
)
def test_embedding_text_loses_nul_and_outer_white_space_only(text: str, normal: str) -> None:
    assert normalise_text(text) == normal
