"""Who will work, and what a job takes of a worker's core."""

import os
import statistics
import time
from collections.abc import Iterator, Sequence

from core.errors import Unavailable
from core.fingerprint import fingerprint
from core.model import ChatRequest, Job, JobDraft, Modality
from core.ports import Kind, Meter
from core.settings import RULES, settings
from core.sweep import SweepSpec
from scripts.forecast.assume import Given
from scripts.forecast.values import Machinery, Told, Worker
from tasks import registry
from workers.roster import fleet

CPU_MS = {Modality.CHAT: 0.24, Modality.EMBEDDING: 0.06}
"""CPU of a call with a short prompt, and of a text to embed (docs/performance.md, make bench)."""

_RENDERED_MS = 0.009  # of a short prompt, part of CPU_MS
_TRIED = 50
_RULES_CALLS = 10


def workers(broker_url: str, providers: Sequence[str], given: Given) -> tuple[tuple[Worker, ...], int, list[Told]]:
    """The workers, the cores that they share, and where that is from."""
    found, source = _found(broker_url, providers, given)
    if given.slots is not None:
        found = [Worker(slots=given.slots, providers=worker.providers) for worker in found]
    slots = statistics.fmean(worker.slots for worker in found)
    return (
        tuple(found),
        _cores(given),
        [
            Told(name="workers", value=len(found), unit="processes", source=source),
            Told(
                name="slots",
                value=slots,
                unit="chunks in work, a worker",
                source="given" if given.slots else source if given.workers is None else "WORKER_SLOTS",
            ),
            Told(
                name="cores",
                value=_cores(given),
                unit="of all workers",
                source="this machine" if given.cores is None else "given",
            ),
        ],
    )


def machinery(
    spec: SweepSpec, kind: Kind, meter: Meter, drafts: Sequence[JobDraft], given: Given, *, counts: bool
) -> tuple[Machinery, Told]:
    """What our own parts take: measured constants, and this sweep's rendering and counting, measured here and now."""
    modality = Modality.EMBEDDING if spec.kind == "embedding" else Modality.CHAT
    cpu_ms, source = given.cpu_ms, "given"
    if cpu_ms is None:
        own = max(0.0, _own_ms(spec, kind, meter, drafts[:_TRIED], counts=counts) - _RENDERED_MS)
        cpu_ms = CPU_MS[modality] + own + _rules_ms(spec, kind, drafts)
        source = f"{CPU_MS[modality]} by make bench, {cpu_ms - CPU_MS[modality]:.3f} for this sweep's prompts, here"
    unit = "a text" if modality is Modality.EMBEDDING else "a call"
    return Machinery(cpu_s=cpu_ms / 1000), Told(name="cpu_ms", value=cpu_ms, unit=f"of a core, {unit}", source=source)


def _found(broker_url: str, providers: Sequence[str], given: Given) -> tuple[list[Worker], str]:
    every = frozenset(providers)
    if given.workers is not None:
        return [Worker(slots=settings().worker_slots, providers=every)] * given.workers, "given"
    why = "no worker runs"
    try:
        running = fleet(broker_url, providers) if broker_url else []
    except Unavailable:
        running, why = [], "the broker is away"
    served = frozenset(name for worker in running for name in worker.providers)
    if every <= served:
        return [Worker(slots=worker.slots, providers=worker.providers) for worker in running], "running now"
    if running:
        why = f"no worker runs for {', '.join(sorted(every - served))}"
    found = [Worker(slots=worker.slots, providers=worker.providers) for worker in running]
    found += [Worker(slots=settings().worker_slots, providers=every - served)]
    return found, f"assumed: {why}"


def _cores(given: Given) -> int:
    return given.cores or os.cpu_count() or 1


def _own_ms(spec: SweepSpec, kind: Kind, meter: Meter, drafts: Sequence[JobDraft], *, counts: bool) -> float:
    jobs = [Job(id=number, key=draft.key, input=draft.input) for number, draft in enumerate(drafts, start=1)]
    variant = spec.variants()[0]
    for job in jobs[:1]:  # templates and rank files are loaded once
        meter.prompt_tokens(kind.request(job, variant, spec.options), exact=counts)
    began = time.process_time()
    for job in jobs:
        request = kind.request(job, variant, spec.options)
        fingerprint(request)
        meter.prompt_tokens(request, exact=counts)
    return 1000 * (time.process_time() - began) / max(1, len(jobs))


def _rules_ms(spec: SweepSpec, kind: Kind, drafts: Sequence[JobDraft]) -> float:
    """The offline provider answers in the worker's own process."""
    if RULES not in {target.provider for target in spec.targets}:
        return 0.0
    began = time.process_time()
    answers = sum(1 for _ in rule_based(spec, kind, drafts[:_RULES_CALLS]))
    return 1000 * (time.process_time() - began) / max(1, answers)


def rule_based(spec: SweepSpec, kind: Kind, drafts: Sequence[JobDraft]) -> Iterator[str]:
    """What the kind's own writer answers to some of the prompts."""
    variant = spec.variants()[0]
    for number, draft in enumerate(drafts, start=1):
        request = kind.request(Job(id=number, key=draft.key, input=draft.input), variant, spec.options)
        if isinstance(request, ChatRequest) and (text := registry.kind(spec.kind).answer(request.messages)) is not None:
            yield text
