"""Passwords in addresses: found wherever a driver would read them, and cut out before anything is stored or shown."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, unquote_plus

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
# Of query parameters: `password`, `sslpassword`, `pwd`, `authToken`, `api_key`, `odbc_connect` (holds PWD=...) ...
_SECRET = re.compile(r"pass|pwd|secret|token|key|credential|auth|signature|^sig$|odbc_connect", re.IGNORECASE)
_MASK = "***"


def masked(value: Any) -> Any:
    """JSON whose addresses, however deep, have lost their passwords; everything else is as it was."""
    if isinstance(value, str):
        return masked_text(value)
    if isinstance(value, dict):
        return {name: masked(item) for name, item in value.items()}
    return [masked(item) for item in value] if isinstance(value, list | tuple) else value


def masked_text(text: str) -> str:
    """A text without the passwords of the addresses in it. One that is an address may hold blanks in its password."""
    if _SCHEME.match(text.lstrip()):
        return _masked_url(text)
    return re.sub(r"\S+", lambda word: _masked_url(word[0]), text) if "://" in text else text


def without_passwords(text: str, url: str) -> str:
    """What a driver said about an address, without the passwords that the address holds, quoted or not."""
    for _, _, secret in _spans(url):
        for form in sorted({secret, unquote(secret), unquote_plus(secret)}, key=len, reverse=True):
            text = text.replace(form, _MASK) if form else text
    return text


def _masked_url(url: str) -> str:
    parts, end = [], 0
    for start, stop, _ in _spans(url):
        parts += [url[end:start], _MASK]
        end = stop
    return "".join([*parts, url[end:]])


def _spans(url: str) -> Iterator[tuple[int, int, str]]:
    """Where the secrets are, in order: (start, stop, secret)."""
    found = _SCHEME.search(url)
    if found is None:
        return
    rest = found.end()
    at = url.find("@", rest)
    if at >= 0:
        # Drivers take anything but an @ as the password; more of them before the path are ones that nobody quoted.
        authority = re.compile(r"[^/?#]*").match(url, at)
        at = url.rindex("@", rest, authority.end() if authority else None)
        colon = url.find(":", rest, at)
        if colon >= 0:
            yield colon + 1, at, url[colon + 1 : at]
            rest = at + 1
    query = url.find("?", rest)
    if query >= 0:
        for parameter in re.compile(r"([^=&;?]*)=([^&;]*)").finditer(url, query + 1):
            if _SECRET.search(unquote_plus(parameter[1])):
                yield parameter.start(2), parameter.end(2), parameter[2]
