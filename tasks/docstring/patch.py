"""A unified diff in bytes, as `git apply` and `patch -p1` take it, whatever the file's encoding and line ends."""

import difflib

_NO_NEWLINE = b"\n\\ No newline at end of file\n"
_PLAIN = frozenset(range(0x20, 0x7F)) - {ord('"'), ord("\\")}


def diff(path: str, old: bytes, new: bytes) -> bytes:
    """Empty for equal contents. ``path`` is relative to where the patch will be applied."""
    if old == new:
        return b""
    # Latin-1 maps bytes to characters one to one, and only LF ends a line for git.
    before, after = (_lines(data.decode("latin-1")) for data in (old, new))
    name = path.encode(errors="surrogateescape")
    out = bytearray(b"--- " + _quoted(b"a/" + name) + b"\n+++ " + _quoted(b"b/" + name) + b"\n")
    for line in list(difflib.unified_diff(before, after))[2:]:
        raw = line.encode("latin-1")
        out += raw if raw.endswith(b"\n") else raw + _NO_NEWLINE
    return bytes(out)


def _lines(text: str) -> list[str]:
    parts = text.split("\n")
    lines = [part + "\n" for part in parts[:-1]]
    return [*lines, parts[-1]] if parts[-1] else lines


def _quoted(name: bytes) -> bytes:
    """Git's quoting of unusual names; a blank needs a tab behind the name, so that no timestamp is read."""
    if all(byte in _PLAIN for byte in name):
        return name + b"\t" if b" " in name else name
    body = "".join(chr(byte) if byte in _PLAIN else f"\\{byte:03o}" for byte in name)
    return f'"{body}"'.encode()
