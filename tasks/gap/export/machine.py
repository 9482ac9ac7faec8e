"""The report as JSON."""

from typing import Any

import orjson

from tasks.gap.answer import Finding
from tasks.gap.economy import COMPACT, INDENTED, TokenReport
from tasks.gap.export.entries import Entry, Report


def render_json(report: Report) -> str:
    """``{"summary", "findings", "unjudged", "tokens", ...}``; findings in input order."""
    content = {
        "code_root": report.code_root,
        "design_root": report.design_root,
        "summary": {status.value: count for status, count in report.counts.items()},
        "findings": [_finding(entry, finding) for entry in report.entries for finding in entry.findings],
        "unjudged": [{"key": entry.row.key, "error": entry.error} for entry in report.unjudged],
        "tokens": tokens(report.tokens),
    }
    return orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()


def tokens(found: TokenReport) -> dict[str, Any]:
    """The token report, as plain values."""
    saved = {name: found.saved(name) for name in (COMPACT, INDENTED)}
    return {
        "jobs": found.jobs,
        "called": found.called,
        "cached": found.cached,
        "payload": {**found.payload, "sent": found.sent},
        "chosen": dict(found.chosen),
        "saved": {name: {"tokens": count, "percent": round(share, 2)} for name, (count, share) in saved.items()},
        "ledger": {
            "prompt": found.ledger.prompt,
            "completion": found.ledger.completion,
            "cached": found.ledger.cached,
            "reasoning": found.ledger.reasoning,
        },
        "cost": {
            "paid_usd": found.bill.paid,
            "without_encoding_usd": found.bill.without_encoding,
            "without_cache_usd": found.bill.without_cache,
            "without_either_usd": found.bill.without_either,
        },
        "tokenizers": dict(found.tokenizers),
    }


def _finding(entry: Entry, finding: Finding) -> dict[str, Any]:
    requirements = {requirement.at: requirement for requirement in entry.payload.requirements}
    symbols = {symbol.at: symbol for symbol in entry.payload.symbols}
    return {
        "key": entry.row.key,
        "status": finding.status.value,
        "design": [
            {"at": at, "section": requirements[at].section, "text": requirements[at].text} for at in finding.design
        ],
        "code": [{"at": at, "kind": symbols[at].kind, "name": symbols[at].name} for at in finding.code],
        "explanation": finding.explanation,
        "source": entry.source,
        "model": f"{entry.row.provider}/{entry.row.model}" if entry.source == "model" else None,
        "cached": entry.row.cached,
        "call_id": entry.row.call_id,
    }
