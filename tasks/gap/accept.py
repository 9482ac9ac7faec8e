"""Judges an answer: evidence must exist on the sides that its status needs, and nothing else may be named."""

import builtins
import keyword
import re
from collections.abc import Iterator

from core.model import Rejected
from tasks.gap.answer import Finding, GapAnswer, Status
from tasks.gap.facts import Payload

_SHORTEST, _LONGEST = 15, 400
_WITH_CODE = frozenset({Status.COVERED, Status.PARTIAL, Status.CONTRADICTED})
_QUOTED = re.compile(r"`+([^`\n]+)`+")
_NAME = re.compile(r"[A-Za-z_$][\w$]*")
_ASIDE = re.compile(r"```|\b(?:as an ai|i cannot|i can't|i'm sorry|lorem ipsum|todo|tbd)\b", re.IGNORECASE)
_KNOWN = frozenset({*dir(builtins), *keyword.kwlist, "self", "cls"})


def judge(answer: GapAnswer, payload: Payload) -> GapAnswer | Rejected:
    """The answer put in order (places once, as the data has them), or what is wrong with it."""
    clean = GapAnswer(findings=[_clean(finding) for finding in answer.findings])
    problems = [*_findings(clean, payload)]
    for finding in clean.findings:
        problems += [*_evidence(finding, payload), *_text(finding, payload)]
    return Rejected(reason="; ".join(dict.fromkeys(problems[:6]))) if problems else clean


def _clean(finding: Finding) -> Finding:
    return finding.model_copy(
        update={
            "design": list(dict.fromkeys(place.strip(" `") for place in finding.design)),
            "code": list(dict.fromkeys(place.strip(" `") for place in finding.code)),
            "explanation": " ".join(finding.explanation.split()),
        }
    )


def _findings(answer: GapAnswer, payload: Payload) -> Iterator[str]:
    found = answer.findings
    if payload.task == "requirement":
        if len(found) != 1:
            yield f"one finding is wanted for one requirement, not {len(found)}"
        if any(payload.subject not in finding.design for finding in found):
            yield f"design must hold the requirement's place, {payload.subject}"
        if any(finding.status is Status.UNDOCUMENTED for finding in found):
            yield "undocumented is no status of a requirement"
        return
    if any(finding.status is not Status.UNDOCUMENTED for finding in found):
        yield "undocumented is the only status of a module's symbols"
    cited = [place for finding in found for place in finding.code]
    if len(set(cited)) < len(cited):
        yield "code: a symbol is cited in two findings"


def _evidence(finding: Finding, payload: Payload) -> Iterator[str]:
    sides = (
        ("design", finding.design, {requirement.at for requirement in payload.requirements}),
        ("code", finding.code, {symbol.at for symbol in payload.symbols}),
    )
    for side, cited, known in sides:
        invented = [place for place in cited if place not in known]
        if invented:
            yield f"{side}: not in the data: {', '.join(invented[:5])}"
    if finding.status in _WITH_CODE and not finding.code:
        yield f"code: {finding.status.value} needs the place of at least one symbol"
    if finding.status is Status.MISSING and finding.code:
        yield "code: what is missing has no place; cite symbols with partial or contradicted"
    if finding.status is Status.UNDOCUMENTED and not finding.code:
        yield "code: undocumented needs the symbol's place"


def _text(finding: Finding, payload: Payload) -> Iterator[str]:
    text = finding.explanation
    if not _SHORTEST <= len(text) <= _LONGEST:
        yield f"explanation: has {len(text)} characters, {_SHORTEST} to {_LONGEST} are wanted"
    aside = _ASIDE.search(text)
    if aside:
        yield f"explanation: {aside[0]!r} explains nothing"
    quoted = {name for code in _QUOTED.findall(text) for name in _NAME.findall(code)}
    invented = sorted(quoted - _KNOWN - _names(payload))
    if invented:
        yield f"explanation: not in the data: {', '.join(invented[:5])}"


def _names(payload: Payload) -> set[str]:
    told = [" ".join(row.model_dump().values()) for row in (*payload.requirements, *payload.symbols)]
    return set(_NAME.findall(" ".join([payload.subject, *told])))
