"""Judges an answer by the code, not by trust: what it names must be there, and nothing else may be told."""

import re
import unicodedata
from collections.abc import Iterator

from core.model import Rejected
from tasks.docstring.answer import DocstringAnswer, ParamText, RaiseText
from tasks.docstring.definitions import last
from tasks.docstring.facts import Facts, JobInput
from tasks.docstring.lexicon import ENGLISH, FOREIGN
from tasks.docstring.names import unresolved

_MAX_SUMMARY, _MAX_FIELD, _MAX_DESCRIPTION = 120, 500, 2_000
_NO_RESULT = frozenset({"None", "NoReturn", "Never", "typing.NoReturn", "typing.Never"})
_MARKUP = re.compile(
    r"```|>>>|<(?:summary|description|placeholder|name)>"
    r"|^\s*(?:[@:](?:param|type|returns?|rtype|raises?|yields?|ivar)\b|[-=~]{3,}\s*$)"
    r"|^\s*(?:Args|Arguments|Parameters|Returns?|Raises|Yields?|Attributes|Examples?|Notes?)\s*:?\s*$",
    re.MULTILINE | re.IGNORECASE,
)
_CODE = re.compile(r"`[^`]*`")
_MARKER = re.compile(r"\b(?:TODO|FIXME|XXX)\b|\b(?i:todo|fixme):")  # a variable may be called `todo`
_TYPOGRAPHY = str.maketrans(
    {"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2013": "-", "\u2014": "-", "\u2011": "-"}
    | {"\u2026": "...", "\u00a0": " "}
)
_CONTROL = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})


def judge(answer: DocstringAnswer, job: JobInput) -> DocstringAnswer | Rejected:
    """The answer put in order (names as in the code, signature's order), or what is wrong with it."""
    clean = _clean(answer, job.facts)
    problems = [
        *_texts(clean),
        *_params(clean, job.facts),
        *_outcomes(clean, job.facts),
        *_raises(clean, job.facts),
        *unresolved(_all_text(clean), job),
    ]
    if problems:
        return Rejected(reason="; ".join(dict.fromkeys(problems[:6])))
    order = [param.name for param in job.facts.params]
    return clean.model_copy(update={"params": sorted(clean.params, key=lambda p: order.index(p.name))})


def _clean(answer: DocstringAnswer, facts: Facts) -> DocstringAnswer:
    types = {last(r.type): r.type for r in reversed(facts.raises)}
    raises = {
        types.get(last(r.type.strip()), r.type.strip()): _sentence(r.condition) for r in answer.raises if r.type.strip()
    }
    return DocstringAnswer(
        summary=_sentence(answer.summary),
        description=_plain(answer.description),
        params=[
            ParamText(name=p.name.strip().lstrip("*"), description=_sentence(p.description)) for p in answer.params
        ],
        returns=_sentence(answer.returns or "") or None,
        yields=_sentence(answer.yields or "") or None,
        raises=[RaiseText(type=type_, condition=condition) for type_, condition in raises.items()],
    )


def _plain(text: str) -> str:
    return text.translate(_TYPOGRAPHY).replace("\r\n", "\n").strip()


def _sentence(text: str) -> str:
    plain = _plain(text)
    return plain if not plain or plain[-1] in ".!?:" or plain.endswith("...") else plain + "."


def _texts(answer: DocstringAnswer) -> Iterator[str]:
    yield from _summary(answer.summary)
    if len(answer.description) > _MAX_DESCRIPTION:
        yield f"description is longer than {_MAX_DESCRIPTION} characters"
    fields = [p.description for p in answer.params] + [r.condition for r in answer.raises]
    if any(len(text) > _MAX_FIELD for text in [*fields, answer.returns or "", answer.yields or ""]):
        yield f"a field is longer than {_MAX_FIELD} characters"
    text = _all_text(answer)
    found = _MARKUP.search(text) or _MARKER.search(_CODE.sub(" ", text))
    if found:
        yield f"plain sentences only: {found.group().strip()!r} does not belong into a field"
    if any(unicodedata.category(char) in _CONTROL and char not in "\n\t" for char in text):
        yield "control characters do not belong into a docstring"
    if not all(_is_english(field) for field in text.split("\n")):
        yield "write in English"


def _summary(text: str) -> Iterator[str]:
    if not text:
        yield "summary is empty"
    if "\n" in text:
        yield "summary must be one line"
    if len(text) > _MAX_SUMMARY:
        yield f"summary is longer than {_MAX_SUMMARY} characters"
    if text and not text.lstrip("`\"'")[:1].isalnum():
        yield "summary must begin with a word"


def _all_text(answer: DocstringAnswer) -> str:
    parts = [answer.summary, answer.description, *(p.description for p in answer.params)]
    parts += [answer.returns or "", answer.yields or "", *(r.condition for r in answer.raises)]
    return "\n".join(parts)


def _is_english(text: str) -> bool:
    """Cheap: ASCII letters for the most part, and not more words of other languages than English ones."""
    prose = _CODE.sub(" ", text)
    letters = [char for char in prose if char.isalpha()]
    if sum(char.isascii() for char in letters) < 0.9 * len(letters):
        return False
    words = re.findall(r"[a-z]+", prose.lower())
    english, foreign = (sum(word in known for word in words) for known in (ENGLISH, FOREIGN))
    return foreign < 2 or foreign <= english


def _params(answer: DocstringAnswer, facts: Facts) -> Iterator[str]:
    known = [param.name for param in facts.params]
    told = [param.name for param in answer.params]
    unknown = [name for name in told if name not in known]
    missing = [name for name in known if name not in told]
    if unknown:
        yield f"params names what the signature does not have: {', '.join(dict.fromkeys(unknown))}"
    if missing:
        yield f"params lacks {', '.join(missing)}"
    if len(set(told)) < len(told):
        yield "params names one parameter twice"
    empty = [param.name for param in answer.params if not param.description]
    if empty:
        yield f"params has no description for {', '.join(empty)}"


def _outcomes(answer: DocstringAnswer, facts: Facts) -> Iterator[str]:
    if answer.returns and not may_return(facts):
        yield "returns must be null: the code returns nothing" + (", it yields" if facts.is_generator else "")
    if not answer.returns and must_return(facts):
        yield "returns must say what is returned"
    if answer.yields and not facts.is_generator:
        yield "yields must be null: the code yields nothing"
    if not answer.yields and facts.is_generator:
        yield "yields must say what is yielded"


def may_return(facts: Facts) -> bool:
    """Whether a return value may be told: the code returns one, or a body without any promises one."""
    if facts.thing in {"class", "module"}:
        return False
    promised = facts.returns is not None and facts.returns.strip("'\"") not in _NO_RESULT
    return facts.has_return or (promised and not facts.is_generator)


def must_return(facts: Facts) -> bool:
    """Whether a return value must be told. A property's summary tells it already."""
    return facts.has_return and not facts.is_generator and facts.thing in {"function", "method"}


def _raises(answer: DocstringAnswer, facts: Facts) -> Iterator[str]:
    known = {r.type for r in facts.raises}
    invented = [r.type for r in answer.raises if r.type not in known]
    if invented:
        yield f"raises names what the code does not raise itself: {', '.join(invented)}"
    empty = [r.type for r in answer.raises if not r.condition]
    if empty:
        yield f"raises has no condition for {', '.join(empty)}"
