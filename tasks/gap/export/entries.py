"""Result rows as the report sees them."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from core.model import JobState, ResultRow
from tasks.gap.answer import Finding, Status
from tasks.gap.economy import Cost, Economist, TokenReport
from tasks.gap.facts import JobInput, Payload
from tasks.kind import Spent

_JUDGED = frozenset({JobState.DONE, JobState.FALLBACK})
BY_SEVERITY = (Status.CONTRADICTED, Status.MISSING, Status.PARTIAL, Status.UNDOCUMENTED, Status.COVERED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One job. ``error`` tells why it has no findings; ``source`` is ``model``, ``rule`` or empty."""

    row: ResultRow
    payload: Payload
    findings: tuple[Finding, ...]
    source: str
    error: str

    @property
    def by(self) -> str:
        """Who judged."""
        return f"{self.row.provider}/{self.row.model}" if self.source == "model" else self.source


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All that a file tells."""

    entries: Sequence[Entry]
    tokens: TokenReport
    code_root: str
    design_root: str

    @property
    def counts(self) -> dict[Status, int]:
        """Findings by status, worst first, zeros too."""
        found = Counter(finding.status for entry in self.entries for finding in entry.findings)
        return {status: found[status] for status in BY_SEVERITY}

    @property
    def unjudged(self) -> list[Entry]:
        """Jobs without an answer."""
        return [entry for entry in self.entries if entry.error]

    @property
    def summary(self) -> str:
        """The report in one line."""
        asked = (entry.payload for entry in self.entries if entry.payload.task == "requirement")
        requirements = len({payload.requirements for payload in asked})  # several models may judge one
        told = ", ".join(f"{count} {status.value}" for status, count in self.counts.items())
        rest = f"; {len(self.unjudged)} jobs without an answer" if self.unjudged else ""
        return f"{requirements} requirements: {told}{rest}"

    def of(self, status: Status) -> Iterator[tuple[Entry, Finding]]:
        """Findings of one status, in input order."""
        for entry in self.entries:
            for finding in entry.findings:
                if finding.status is status:
                    yield entry, finding


def collect(rows: Iterator[ResultRow], cost: Cost, spent: Spent | None = None) -> Report:
    """Reads all rows once."""
    economist = Economist(cost, spent)
    entries: list[Entry] = []
    code_root = design_root = ""
    for row in rows:
        job = JobInput.model_validate(row.input)
        economist.add(row, job.payload)
        entries.append(_entry(row, job.payload))
        code_root, design_root = job.code_root, job.design_root
    return Report(entries=entries, tokens=economist.report(), code_root=code_root, design_root=design_root)


def _entry(row: ResultRow, payload: Payload) -> Entry:
    result = row.result
    if result is None or row.state not in _JUDGED:
        error = str((row.error or {}).get("message") or row.state.value)
        return Entry(row=row, payload=payload, findings=(), source="", error=error)
    findings = tuple(Finding.model_validate(finding) for finding in result["findings"])
    return Entry(row=row, payload=payload, findings=findings, source=str(result["source"]), error="")
