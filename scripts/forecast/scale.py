"""Sweeps of any size on virtual time, for measuring: does a simulated job cost the same whatever their number?"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from core.model import JobDraft
from core.ports import Limits
from core.pricing import Meter
from core.settings import RULES, settings
from core.sweep import SweepSpec, Target
from db.specs import plan
from scripts.forecast.backends import SWEEP_ID
from scripts.forecast.estimate import WHOLE, estimate
from scripts.forecast.stage import Work
from scripts.forecast.values import Machinery, Manner, Reply, Situation, Worker
from tasks.registry import kind

_CHUNK = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaled:
    """``cpu_s``: of this process, for all ``simulated`` jobs of all runs; ``duration_s``: what the sweep would take."""

    jobs: int
    simulated: int
    duration_s: float
    cpu_s: float

    @property
    def cpu_us_a_job(self) -> float:
        """Of a job that was simulated: what is extrapolated costs nothing."""
        return 1e6 * self.cpu_s / self.simulated


def simulate(
    jobs: int, *, whole: bool = False, rpm: int | None = 30_000, workers: int = 4, runs: int | None = None
) -> Scaled:
    """So many short prompts. ``whole``: every job through the engine, once, with memory that does not grow.

    Otherwise, from 10,000 jobs on, a part is simulated several times and its middle extrapolated.
    """
    situation = Situation(
        workers=(Worker(slots=8, providers=frozenset({RULES})),) * workers,
        cores=workers,
        limits={RULES: Limits(rpm=rpm)},
        concurrency={RULES: 256},
        manners={(RULES, RULES): Manner(replies=(Reply(latency_s=0.5, completion=20),))},
        machinery=Machinery(cpu_s=0.00032),
    )
    began = time.process_time()
    found = estimate(jobs, _work, situation, variants=1, whole=jobs if whole else WHOLE, runs=1 if whole else runs)
    return Scaled(
        jobs=jobs,
        simulated=found.simulated * len(found.runs),
        duration_s=sorted(found.durations())[len(found.runs) // 2],
        cpu_s=time.process_time() - began,
    )


def _work(jobs: int) -> Work:
    def block(number: int) -> Sequence[JobDraft]:
        first = number * _CHUNK
        names = (str(index) for index in range(first, min(first + _CHUNK, jobs)))
        return [JobDraft(key=name, input={"row": {"prompt": f"question {name}?"}}) for name in names]

    prompt = kind("prompt")
    spec = SweepSpec(
        name="scale",
        kind="prompt",
        targets=(Target(provider=RULES, model=RULES),),
        options=prompt.options_model().model_dump(mode="json"),
        chunk_size=_CHUNK,
        on_open="wait",
    )
    return Work(
        plan=plan(spec, sweep_id=SWEEP_ID, group_id=SWEEP_ID, jobs_total=jobs),
        kind=prompt,
        meter=Meter(settings()),
        waves=(range(-(-jobs // _CHUNK)),),
        block=block,
        known=lambda _prints, _modality: {},
    )
