"""Our own code held against our own design, and an examination of every place that a finding cites."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from db.engine import connect
from db.results import report
from scripts.bench.kinds.stage import Stage
from scripts.bench.report import Row
from tasks.results import export

_ROOT = Path(__file__).parents[3]
_CODE = ("core", "tasks", "db", "workers")
_DESIGN = "docs/architecture.md"


def measure(stage: Stage) -> list[Row]:
    """One sweep, read back as JSON."""
    source = {"code": [str(_ROOT / name) for name in _CODE], "design": str(_ROOT / _DESIGN)}
    swept = stage.sweep("gap", "gap", source)
    out = stage.directory / "gap.json"
    export(stage.world.database_url, swept.name, "json", out)
    content = json.loads(out.read_text())
    tokens = content["tokens"]
    engine = connect(stage.world.database_url, role="reader", pool=1)
    try:
        ledger = report(engine, swept.name)
    finally:
        engine.dispose()
    off = abs(tokens["ledger"]["prompt"] - ledger.tokens.prompt) + abs(
        tokens["ledger"]["completion"] - ledger.tokens.completion
    )
    lost = sum(not _exists(finding, content) for finding in content["findings"])
    chosen = ", ".join(f"{name} {count}" for name, count in sorted(tokens["chosen"].items()))
    payload = tokens["payload"]
    return [
        Row(row="jobs", value=swept.status.jobs, unit="jobs"),
        Row(row="answers refused", value=swept.refused, unit="answers"),
        Row(row="findings", value=len(content["findings"]), unit="findings"),
        Row(row="findings that cite a place which is not there", value=lost, unit="findings", goal="0", holds=not lost),
        Row(row="payloads as indented JSON", value=payload["json_indented"], unit="tokens"),
        Row(row="payloads as compact JSON", value=payload["json"], unit="tokens"),
        Row(row="payloads as TOON", value=payload["toon"], unit="tokens"),
        Row(row="payloads as pipe tables", value=payload["table"], unit="tokens"),
        Row(row="payloads as CSV", value=payload["csv"], unit="tokens"),
        Row(row=f"payloads as sent ({chosen})", value=payload["sent"], unit="tokens", goal="the least of them",
            holds=payload["sent"] <= min(payload.values())),
        Row(row="saved against compact JSON", value=tokens["saved"]["json"]["percent"], unit="%"),
        Row(row="report's tokens minus the ledger's", value=off, unit="tokens", goal="0", holds=not off),
    ]  # fmt: skip


def _exists(finding: Mapping[str, Any], content: Mapping[str, Any]) -> bool:
    """Each line is there, and a symbol's line holds its name."""
    places = [(content["design_root"], place["at"], "") for place in finding["design"]]
    places += [(content["code_root"], place["at"], place["name"].rpartition(".")[2]) for place in finding["code"]]
    for root, at, name in places:
        file, _, line = at.rpartition(":")
        lines = Path(root, file).read_text(encoding="utf-8").split("\n")
        if int(line) > len(lines) or name not in lines[int(line) - 1]:
            return False
    return bool(places)
