"""A forecast of a sweep in waves: later prompts tell what earlier jobs will have come to."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from core.model import Answer, ChatRequest, Job, JobDraft, JsonObject
from core.pricing import Meter
from core.settings import RULES, settings
from core.sweep import SweepSpec, Target
from scripts.forecast.assume import read
from scripts.forecast.earlier import Results, needed
from scripts.forecast.run import forecast
from tasks import producer
from tasks.registry import kind

CODE = """
def doubled(number):
    return 2 * number


def quadrupled(number):
    return doubled(doubled(number))
"""


@pytest.fixture
def spec(tmp_path: Path) -> SweepSpec:
    (tmp_path / "area.py").write_text(CODE)
    target = Target(provider=RULES, model=RULES)
    return SweepSpec(name="w", kind="docstring", source={"paths": [str(tmp_path)]}, targets=(target,), on_open="wait")


def expanded(spec: SweepSpec) -> tuple[SweepSpec, list[JobDraft]]:
    whole, drafts = producer.expand(spec, [])
    return whole, list(drafts)


def results(spec: SweepSpec, drafts: list[JobDraft]) -> Results:
    return Results(kind=kind(spec.kind), variant=spec.variants()[0], options=spec.options, needed=needed(drafts))


def test_a_later_prompt_is_as_long_as_it_will_be(spec: SweepSpec) -> None:
    whole, (first, second) = expanded(spec)
    found = results(whole, [first, second]).of(_job(first), Answer(call_id=1), stored=False)
    earlier = dict.fromkeys(second.input["needs"], found)
    asked = [_asked(whole, first, {}), _asked(whole, second, earlier)]
    meter = Meter(settings())
    assert "doubled" in asked[1].messages[-1].content
    foretold, _ = forecast(spec, read(["workers=1"]))
    assert foretold.prompt_tokens == sum(meter.prompt_tokens(request) for request in asked)
    assert foretold.prompt_tokens > sum(meter.prompt_tokens(_asked(whole, draft, {})) for draft in (first, second))


def test_an_answer_that_was_given_goes_before_what_the_rules_write(spec: SweepSpec) -> None:
    whole, drafts = expanded(spec)
    made = results(whole, drafts)
    by_rule = made.of(_job(drafts[0]), Answer(call_id=1), stored=False)
    written = kind("docstring").answer(_asked(whole, drafts[0], {}).messages)
    assert written is not None
    given = written.replace(by_rule["answer"]["summary"], "Return twice as much.")
    stored = made.of(_job(drafts[0]), Answer(call_id=0, text=given), stored=True)
    assert stored["answer"]["summary"] == "Return twice as much."


def test_what_nobody_needs_or_nobody_understands_is_nothing(spec: SweepSpec) -> None:
    whole, drafts = expanded(spec)
    made = results(whole, drafts)
    assert made.of(_job(drafts[1]), Answer(call_id=1), stored=False) == {}
    assert made.of(_job(drafts[0]), Answer(call_id=0, text="no such answer"), stored=True) == {}


def _job(draft: JobDraft) -> Job:
    return Job(id=1, key=draft.key, input=draft.input)


def _asked(spec: SweepSpec, draft: JobDraft, earlier: Mapping[str, JsonObject]) -> ChatRequest:
    job = Job(id=1, key=draft.key, input=draft.input, earlier=earlier)
    request = kind(spec.kind).request(job, spec.variants()[0], spec.options)
    assert isinstance(request, ChatRequest)
    return request
