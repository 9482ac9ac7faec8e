"""Names in prose: each one that looks like code must be in the code."""

import builtins
import keyword
import re

from tasks.docstring.facts import JobInput

_QUOTED = re.compile(r"`+([^`\n]+)`+")
_STRING = re.compile(r"'[^'\n]*'|\"[^\"\n]*\"")
_NAME = re.compile(r"[A-Za-z_]\w*")
# snake_case, calls and exception classes: prose has no such words
_CODE_LIKE = re.compile(r"\b(?:[A-Za-z]\w*_\w+|_\w+|[A-Za-z]\w*(?=\(\))|[A-Z]\w+(?:Error|Exception|Warning))\b")
_EXCEPTION = re.compile(r"^[A-Z]\w*(?:Error|Exception|Warning)$")  # builtin or not: the code must name it
_KNOWN = frozenset({*dir(builtins), *keyword.kwlist, *keyword.softkwlist, "self", "cls", "args", "kwargs", "__init__"})


def unresolved(text: str, job: JobInput) -> list[str]:
    """Complaints about names in the text that neither code, signature, module nor builtins know."""
    quoted = {name for code in _QUOTED.findall(text) for name in _NAME.findall(_STRING.sub(" ", code))}
    bare = set(_CODE_LIKE.findall(_QUOTED.sub(" ", text)))
    told = (quoted | bare) - known_names(job)
    invented = sorted(name for name in told if name not in _KNOWN or _EXCEPTION.search(name))
    return [f"no such name in the code: {', '.join(invented[:5])}"] if invented else []


def known_names(job: JobInput) -> set[str]:
    """Every identifier of the source (comments and strings too), the module and the facts."""
    facts = job.facts
    told = [facts.qualname, facts.returns or "", *facts.decorators, *facts.bases, *facts.methods, *facts.callees]
    told += [text for param in facts.params for text in (param.name, param.annotation or "", param.default or "")]
    told += [text for raised in facts.raises for text in (raised.type, raised.when)]
    told += [*facts.values, *facts.yields, facts.existing]
    if facts.owner is not None:
        told += [facts.owner.name, *facts.owner.bases]
    return {*job.names, *_NAME.findall(job.source), *_NAME.findall(" ".join(told))}
