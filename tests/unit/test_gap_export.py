"""The report in its three formats, and the token report's sums."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import jsonschema
import pytest

from core import tokens
from core.errors import InputError
from core.model import JobState, ResultRow, Usage
from tasks.gap import KIND, encode, prompt
from tasks.gap.economy import Economist
from tasks.gap.export import write
from tasks.gap.facts import JobInput, Payload, Requirement, Symbol
from tasks.kind import Spent
from tests import records

SCHEMA = json.loads((Path(__file__).parents[1] / "data" / "sarif" / "sarif-2.1.0-rtm.5.json").read_text())
MODEL = "gpt-4o-mini"


def price(provider: str, model: str, usage: Usage) -> float | None:
    """A dollar a prompt token, ten a completion token."""
    return None if model == "unpriced" else usage.prompt + 10.0 * usage.completion


def symbol(number: int) -> Symbol:
    name = f"store_{number}"
    return Symbol(at=f"a dir/shop.py:{number}", kind="function", name=name, signature="(a | b)", summary="", uses="")


def row(number: int, status: str, **changes: Any) -> ResultRow:
    requirement = Requirement(at=f"design.md:{number}", section="Shop", text=f"It shall <store> | {number}")
    module = status == "undocumented"
    payload = Payload(
        task="module" if module else "requirement",
        subject="a dir/shop.py" if module else requirement.at,
        requirements=(requirement,),
        symbols=tuple(symbol(n) for n in range(1, 9)),
    )
    finding = {
        "status": status,
        "design": [] if module else [requirement.at],
        "code": [] if status == "missing" else [f"a dir/shop.py:{number}"],
        "explanation": "It is so because of `a|b`.",
    }
    plain: dict[str, Any] = {
        "key": payload.subject,
        "input": JobInput(payload=payload, code_root="/srv/a shop", design_root="/srv").model_dump(mode="json"),
        "result": {"findings": [finding], "source": "model"},
        "model": MODEL,
        "tokens": Usage(prompt=1_000 + number, completion=10),
        "cost_usd": 1_100.0 + number,
        "call_id": number,
    }
    return records.row(number, **(plain | changes))


STATUSES = ("covered", "partial", "missing", "contradicted", "undocumented")


def rows() -> Iterator[ResultRow]:
    """One of each status, a cached one, one by rule and one that failed."""
    yield from (row(number, status) for number, status in enumerate(STATUSES, start=1))
    yield row(6, "covered", cached=True, attempts=0, tokens=Usage(), cost_usd=0.0)
    fallback = row(7, "missing")
    result = {**(fallback.result or {}), "source": "rule"}
    yield row(7, "missing", state=JobState.FALLBACK, result=result, tokens=Usage(), cost_usd=0.0)
    error = {"message": "the answer | was bad"}
    yield row(8, "covered", state=JobState.FAILED, result=None, error=error, tokens=Usage(prompt=500), cost_usd=500.0)


def exported(tmp_path: Path, fmt: str) -> str:
    out = tmp_path / "report.out"
    told = write(rows(), fmt, out, cost=price)
    assert "7 requirements: 1 contradicted, 2 missing, 1 partial, 1 undocumented, 2 covered" in told
    assert "1 jobs without an answer" in told
    return out.read_text()


def test_sarif_satisfies_the_published_schema(tmp_path: Path) -> None:
    log = json.loads(exported(tmp_path, "sarif"))

    jsonschema.Draft4Validator(SCHEMA).validate(log)


def test_sarif_leads_from_each_result_to_both_places(tmp_path: Path) -> None:
    run = json.loads(exported(tmp_path, "sarif"))["runs"][0]
    partial = next(result for result in run["results"] if result["ruleId"] == "gap/partial")
    undocumented = next(result for result in run["results"] if result["ruleId"] == "gap/undocumented")

    place = partial["locations"][0]["physicalLocation"]
    other = partial["relatedLocations"][0]["physicalLocation"]
    assert (place["artifactLocation"]["uri"], place["region"]["startLine"]) == ("design.md", 2)
    assert unquote(other["artifactLocation"]["uri"]) == "a dir/shop.py"
    base = run["originalUriBaseIds"][other["artifactLocation"]["uriBaseId"]]["uri"]
    assert unquote(urlsplit(base).path) == "/srv/a shop/"
    assert undocumented["locations"][0]["physicalLocation"]["artifactLocation"]["uriBaseId"] == "CODEROOT"


def test_sarif_says_pass_for_what_is_covered_and_tells_what_was_not_judged(tmp_path: Path) -> None:
    run = json.loads(exported(tmp_path, "sarif"))["runs"][0]

    kinds = {result["ruleId"]: (result["kind"], result["level"]) for result in run["results"]}
    assert kinds["gap/covered"] == ("pass", "none")
    assert kinds["gap/missing"] == ("fail", "error")
    (invocation,) = run["invocations"]
    assert invocation["executionSuccessful"] is False
    assert "design.md:8" in invocation["toolExecutionNotifications"][0]["message"]["text"]


def test_a_finding_keeps_its_fingerprint_when_lines_move(tmp_path: Path) -> None:
    moved = row(3, "missing")
    told = json.loads(json.dumps(dict(moved.input)).replace("design.md:3", "design.md:9"))
    result = json.loads(json.dumps(dict(moved.result or {})).replace("design.md:3", "design.md:9"))

    found = []
    for given in (moved, row(3, "missing", input=told, result=result)):
        write(iter([given]), "sarif", tmp_path / "r.out", cost=price)
        found.append(json.loads((tmp_path / "r.out").read_text())["runs"][0]["results"][0]["partialFingerprints"])
    assert found[0] == found[1]


def test_json_tells_every_finding_with_its_places_and_texts(tmp_path: Path) -> None:
    content = json.loads(exported(tmp_path, "json"))

    assert content["summary"] == {"contradicted": 1, "missing": 2, "partial": 1, "undocumented": 1, "covered": 2}
    assert content["findings"][1]["design"] == [
        {"at": "design.md:2", "section": "Shop", "text": "It shall <store> | 2"}
    ]
    assert content["findings"][1]["code"] == [{"at": "a dir/shop.py:2", "kind": "function", "name": "store_2"}]
    assert [finding["source"] for finding in content["findings"]] == ["model"] * 6 + ["rule"]
    assert content["unjudged"] == [{"key": "design.md:8", "error": "the answer | was bad"}]


def test_markdown_keeps_its_tables_whatever_the_texts_hold(tmp_path: Path) -> None:
    text = exported(tmp_path, "markdown")

    headings = [line for line in text.splitlines() if line.startswith("## ")]
    assert headings == ["## Contradicted", "## Missing", "## Partly covered", "## Undocumented code", "## Covered",
                        "## Not judged", "## Tokens and cost"]  # fmt: skip
    tables = [line.replace("\\|", "") for line in text.splitlines() if line.startswith("|")]
    widths = {line.count("|") for line in tables if "design.md:" in line and "the answer" not in line}
    assert widths == {6}
    assert "<store>" not in text


def test_the_ledgers_tokens_and_money_are_summed_to_the_token(tmp_path: Path) -> None:
    found = json.loads(exported(tmp_path, "json"))["tokens"]

    assert found["ledger"]["prompt"] == sum(given.tokens.prompt for given in rows())
    assert found["ledger"]["completion"] == sum(given.tokens.completion for given in rows())
    assert found["cost"]["paid_usd"] == sum(given.cost_usd or 0 for given in rows())
    assert (found["jobs"], found["called"], found["cached"]) == (8, 7, 1)


def test_where_the_ledger_knows_more_than_the_rows_its_sums_are_told(tmp_path: Path) -> None:
    spent = Spent(tokens=Usage(prompt=9_999, completion=99, cached=9), cost_usd=12_345.0)

    write(rows(), "json", tmp_path / "r.out", cost=price, spent=spent)

    found = json.loads((tmp_path / "r.out").read_text())["tokens"]
    assert found["ledger"] == {"prompt": 9_999, "completion": 99, "cached": 9, "reasoning": 0}
    assert found["cost"]["paid_usd"] == 12_345.0
    assert found["cost"]["without_encoding_usd"] > 12_345.0


def test_what_the_encoding_saved_is_counted_with_the_models_tokenizer(tmp_path: Path) -> None:
    found = json.loads(exported(tmp_path, "json"))["tokens"]

    payloads = [JobInput.model_validate(given.input).payload for given in rows()]
    compact = sum(tokens.count(json.dumps(prompt.tables(p), separators=(",", ":")), MODEL) for p in payloads)
    assert found["payload"]["json"] == compact
    assert found["payload"]["json_indented"] > compact > found["payload"]["sent"]
    assert found["payload"]["sent"] == sum(
        min(encode.cheapest(prompt.tables(p), MODEL).tokens.values()) for p in payloads
    )
    assert found["saved"]["json"]["tokens"] == compact - found["payload"]["sent"]
    assert found["saved"]["json"]["percent"] == round(100 * (compact - found["payload"]["sent"]) / compact, 2)
    assert sum(found["chosen"].values()) == 8


def test_cost_without_encoding_adds_the_saved_tokens_of_the_called_jobs_alone() -> None:
    economist = Economist(price)
    called, cached = row(1, "covered"), row(2, "covered", cached=True, tokens=Usage(), cost_usd=0.0)
    for given in (called, cached):
        economist.add(given, JobInput.model_validate(given.input).payload)
    found = economist.report()

    chosen = prompt.encoded(JobInput.model_validate(called.input).payload, MODEL).tokens
    more = chosen["json"] - min(chosen.values())
    assert found.bill.paid == 1_101
    assert found.bill.without_encoding == 1_101 + more
    assert found.bill.without_cache is not None
    assert found.bill.without_either is not None
    assert found.bill.without_cache > 1_101
    assert found.bill.without_either - found.bill.without_cache == 2 * more


def test_an_unknown_price_is_told_and_never_0(tmp_path: Path) -> None:
    write(iter([row(1, "covered", model="unpriced", cost_usd=None)]), "markdown", tmp_path / "r.out", cost=price)

    assert "| paid | price unknown |" in (tmp_path / "r.out").read_text()


def test_a_directory_gets_a_file_of_its_own(tmp_path: Path) -> None:
    for fmt, name in (("markdown", "gap.md"), ("json", "gap.json"), ("sarif", "gap.sarif")):
        assert KIND.export(rows(), fmt, tmp_path).startswith(str(tmp_path / name))
        assert (tmp_path / name).stat().st_size


def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for given, fmt, out, what in (
        (rows(), "pdf", tmp_path / "r.out", "no format"),
        (iter([]), "json", tmp_path / "r.out", "no jobs"),
        (rows(), "json", tmp_path / "file" / "r.out", "cannot write"),
    ):
        with pytest.raises(InputError, match=what):
            write(given, fmt, out, cost=price)


def test_a_place_without_a_suffix_gets_one(tmp_path: Path) -> None:
    write(rows(), "sarif", tmp_path / "report", cost=price)

    assert (tmp_path / "report.sarif").is_file()
