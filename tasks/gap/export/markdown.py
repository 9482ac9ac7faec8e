"""The report for people."""

import re
from typing import Any

from tasks.gap.answer import Finding, Status
from tasks.gap.economy import COMPACT, INDENTED, TokenReport
from tasks.gap.export.entries import BY_SEVERITY, Entry, Report
from tasks.templates import render

_PACKAGE = "tasks.gap"
_HEADINGS = {
    Status.CONTRADICTED: "Contradicted",
    Status.MISSING: "Missing",
    Status.PARTIAL: "Partly covered",
    Status.UNDOCUMENTED: "Undocumented code",
    Status.COVERED: "Covered",
}
_TITLES = (
    (INDENTED, "JSON, indented"),
    (COMPACT, "JSON, compact"),
    ("toon", "TOON"),
    ("table", "pipe table"),
    ("csv", "CSV"),
)


def render_report(report: Report) -> str:
    """Worst first, the token report last."""
    sections = [
        {"heading": _HEADINGS[status], "status": status.value, "rows": rows}
        for status in BY_SEVERITY
        if (rows := [_row(entry, finding) for entry, finding in report.of(status)])
    ]
    text = render(
        _PACKAGE,
        "report",
        summary=report.summary,
        counts=[(_HEADINGS[status], count) for status, count in report.counts.items()],
        sections=sections,
        unjudged=[(_cell(entry.row.key), _cell(entry.error)) for entry in report.unjudged],
        tokens=_tokens(report.tokens),
    )
    return f"{text}\n"


def _row(entry: Entry, finding: Finding) -> dict[str, str]:
    texts = {requirement.at: requirement for requirement in entry.payload.requirements}
    names = {symbol.at: symbol.name for symbol in entry.payload.symbols}
    asked = [texts[at] for at in finding.design]
    return {
        "design": "<br>".join(f"`{_cell(at)}`" for at in finding.design),
        "asked": "<br>".join(_cell(requirement.text) for requirement in asked),
        "code": "<br>".join(f"`{_cell(at)}` {_cell(names[at])}" for at in finding.code),
        "explanation": _cell(finding.explanation),
        "by": _cell(entry.by),
    }


def _tokens(found: TokenReport) -> dict[str, Any]:
    compact, indented = found.saved(COMPACT), found.saved(INDENTED)
    return {
        "jobs": found.jobs,
        "called": found.called,
        "cached": found.cached,
        "encodings": [(title, f"{found.payload[name]:,}", found.chosen.get(name, 0)) for name, title in _TITLES],
        "sent": f"{found.sent:,}",
        "saved": [
            ("compact JSON", f"{compact[0]:,}", f"{compact[1]:.1f}"),
            ("indented JSON", f"{indented[0]:,}", f"{indented[1]:.1f}"),
        ],
        "ledger": found.ledger,
        "costs": [
            ("paid", _usd(found.bill.paid)),
            ("with compact JSON in place of the chosen encoding", _usd(found.bill.without_encoding)),
            ("without cached answers (estimate)", _usd(found.bill.without_cache)),
            ("without either (estimate)", _usd(found.bill.without_either)),
        ],
        "tokenizers": ", ".join(f"{_cell(model)}: {name}" for model, name in found.tokenizers.items()),
    }


def _usd(value: float | None) -> str:
    return "price unknown" if value is None else f"${value:,.6f}"


def _cell(text: str) -> str:
    """Text that cannot leave its table cell."""
    flat = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([|\\])", r"\\\1", flat)
