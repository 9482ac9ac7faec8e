"""Words from outside (keys, providers' messages, file names) as they may go to a terminal."""

import unicodedata

_KEPT = {"\n", "\t"}
# Control characters, and those that turn the direction of writing or cannot be encoded.
_SHOWN = {"Cc", "Cs"}
_TURNING = {chr(code) for code in (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))}


def plain(text: str) -> str:
    r"""The text without anything that a terminal obeys: ``\x1b[2J`` is shown, not done."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_visible(character) for character in text)


def one_line(text: str) -> str:
    """``plain``, with every run of white space as one blank: nobody can forge a line."""
    return plain(" ".join(text.split()))


def _visible(character: str) -> str:
    harmful = unicodedata.category(character) in _SHOWN or character in _TURNING
    return character.encode("unicode_escape").decode() if harmful and character not in _KEPT else character
