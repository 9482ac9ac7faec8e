"""SARIF 2.1.0, as code hosts and editors read it: what is covered passes, the rest are results with both places."""

import hashlib
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson

from tasks.gap.answer import Finding, Status
from tasks.gap.export.entries import BY_SEVERITY, Entry, Report

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_CODE, _DESIGN = "CODEROOT", "DESIGNROOT"
_LEVELS = {
    Status.CONTRADICTED: "error",
    Status.MISSING: "error",
    Status.PARTIAL: "warning",
    Status.UNDOCUMENTED: "note",
    Status.COVERED: "none",
}
_RULES = {
    Status.CONTRADICTED: ("DesignContradicted", "The code does something else than the design asks."),
    Status.MISSING: ("RequirementMissing", "No code was found that does what the design asks."),
    Status.PARTIAL: ("RequirementPartial", "The code does a part of what the design asks."),
    Status.UNDOCUMENTED: ("SymbolUndocumented", "The design does not speak of this code."),
    Status.COVERED: ("RequirementCovered", "The code does what the design asks."),
}


def render_sarif(report: Report) -> str:
    """One run; results in input order, jobs without an answer as notifications of the tool."""
    run = {
        "tool": {"driver": {"name": "llmsweep", "semanticVersion": "0.1.0", "rules": [_rule(s) for s in BY_SEVERITY]}},
        "originalUriBaseIds": {
            _CODE: {"uri": _directory(report.code_root)},
            _DESIGN: {"uri": _directory(report.design_root)},
        },
        "columnKind": "unicodeCodePoints",
        "invocations": [
            {
                "executionSuccessful": not report.unjudged,
                "toolExecutionNotifications": [_notice(e) for e in report.unjudged],
            }
        ],
        "results": [_result(entry, finding) for entry in report.entries for finding in entry.findings],
    }
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return orjson.dumps(log, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()


def _rule(status: Status) -> dict[str, Any]:
    name, text = _RULES[status]
    return {
        "id": f"gap/{status.value}",
        "name": name,
        "shortDescription": {"text": text},
        "defaultConfiguration": {"level": _LEVELS[status]},
    }


def _result(entry: Entry, finding: Finding) -> dict[str, Any]:
    design = [_location(at, _DESIGN) for at in finding.design]
    code = [_location(at, _CODE) for at in finding.code]
    main, other = (code, design) if finding.status is Status.UNDOCUMENTED else (design, code)
    return {
        "ruleId": f"gap/{finding.status.value}",
        "ruleIndex": BY_SEVERITY.index(finding.status),
        "kind": "pass" if finding.status is Status.COVERED else "fail",
        "level": _LEVELS[finding.status],
        "message": {"text": _message(entry, finding)},
        "locations": main[:1],
        "relatedLocations": [{"id": number, **place} for number, place in enumerate([*main[1:], *other], start=1)],
        "partialFingerprints": {"requirementOrSymbol/v1": _fingerprint(entry, finding)},
        "properties": {"key": entry.row.key, "source": entry.source, "cached": entry.row.cached},
    }


def _message(entry: Entry, finding: Finding) -> str:
    asked = next((r.text for r in entry.payload.requirements if finding.design and r.at == finding.design[0]), "")
    return f"{asked} - {finding.explanation}" if asked else finding.explanation


def _fingerprint(entry: Entry, finding: Finding) -> str:
    """Of what is asked and of the symbols' names, not of lines: it stays when text is put in above."""
    asked = [r.text for r in entry.payload.requirements if r.at in finding.design]
    names = [s.name for s in entry.payload.symbols if s.at in finding.code]
    parts = [*names, entry.payload.subject] if finding.status is Status.UNDOCUMENTED else asked
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _location(at: str, base: str) -> dict[str, Any]:
    name, _, line = at.rpartition(":")
    return {
        "physicalLocation": {
            "artifactLocation": {"uri": quote(name), "uriBaseId": base},
            "region": {"startLine": int(line)},
        }
    }


def _notice(entry: Entry) -> dict[str, Any]:
    return {"level": "error", "message": {"text": f"{entry.row.key}: {entry.error}"}}


def _directory(path: str) -> str:
    return f"{Path(path or '/').as_uri().rstrip('/')}/"
