"""From a spec to its forecast. Writes nothing; no provider is asked."""

import itertools
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from core.errors import InputError
from core.model import ChatRequest, Job, JobDraft, Request
from core.pricing import Meter
from core.settings import settings
from core.sweep import SweepSpec
from core.sweep import Target as Asked
from core.tokens import count
from db.specs import plan
from db.waves import blocks
from scripts.forecast import quotas, surroundings
from scripts.forecast.assume import Given
from scripts.forecast.backends import SWEEP_ID
from scripts.forecast.earlier import Results, needed
from scripts.forecast.estimate import WHOLE, estimate
from scripts.forecast.history import Past
from scripts.forecast.jobs import Sample, sample, thinned
from scripts.forecast.manners import Target, manner
from scripts.forecast.metering import Remembering
from scripts.forecast.stage import Work
from scripts.forecast.summing import Totals, summed
from scripts.forecast.values import Forecast, Manner, Situation, Told
from tasks import producer
from tasks.kind import Problem, SweepKind
from tasks.registry import kind as kind_of

_WHOLE_EMBEDDING = 40_000  # jobs: thousands of them share a call
_RULES_ANSWERS = 16
_LEARNED = 256  # calls; the gate remembers some two hundred


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """Where something may be known already; empty: there is no such server."""

    database_url: str = ""
    broker_url: str = ""
    redis_url: str = ""


_NO_SERVERS = Servers()


def forecast(spec: SweepSpec, given: Given, servers: Servers = _NO_SERVERS) -> tuple[Forecast, list[Problem]]:
    """How long a sweep would take and what it would cost; what its source had to leave out. Raises InputError."""
    problems: list[Problem] = []
    whole = _WHOLE_EMBEDDING if spec.kind == "embedding" else WHOLE
    spec, drafts = producer.expand(spec, problems)
    found = sample(drafts, whole)
    if not found.count:
        raise InputError("nothing to do: the input gives no job")
    past = Past.of(servers.database_url)
    try:
        return _Study(spec=spec, found=found, given=given, servers=servers, past=past).answer(whole), problems
    finally:
        past.close()


@dataclass(slots=True, kw_only=True)
class _Study:
    """One forecast in the making."""

    spec: SweepSpec
    found: Sample
    given: Given
    servers: Servers
    past: Past
    results: Results | None = None
    meter: Remembering = field(default_factory=lambda: Remembering(Meter(settings())))

    @property
    def _kind(self) -> SweepKind:
        return kind_of(self.spec.kind)

    def answer(self, whole: int) -> Forecast:
        """Looks around, simulates, and adds up."""
        if keys := needed(self.found.drafts):
            variant, options = self.spec.variants()[0], self.spec.options
            self.results = Results(kind=self._kind, variant=variant, options=options, needed=keys)
            self.past.texts = True
        situation, told = self._look_around()
        variants = len(self.spec.variants())
        found = estimate(self.found.count, self._work, situation, variants=variants, whole=whole)
        totals = Totals(spec=self.spec, situation=situation, estimate=found, told=tuple(told), past=self.past.why)
        return summed(totals)

    def _work(self, inputs: int) -> Work:
        drafts = thinned(self.found.drafts, inputs)
        chunked = list(blocks(drafts, self.spec.chunk_size))
        changes = [n for n, (a, b) in enumerate(itertools.pairwise(chunked), start=1) if a[0].wave != b[0].wave]
        edges = [0, *changes, len(chunked)]
        jobs = len(drafts) * len(self.spec.variants())
        # A budget is for the whole: where only a part is simulated, it is applied to the sum.
        budget = self.spec.budget_usd if inputs == self.found.count else None
        return Work(
            plan=plan(self.spec, sweep_id=SWEEP_ID, group_id=SWEEP_ID, jobs_total=jobs),
            kind=self._kind,
            meter=self.meter,
            waves=tuple(range(a, b) for a, b in itertools.pairwise(edges)),
            block=chunked.__getitem__,
            known=self.past.known,
            budget_usd=budget,
            results=self.results,
        )

    def _look_around(self) -> tuple[Situation, list[Told]]:
        targets = list(dict.fromkeys((*self.spec.targets, *self.spec.reroute)))
        asked = list(dict.fromkeys(target.provider for target in self.spec.targets))
        workers, cores, about_workers = surroundings.workers(self.servers.broker_url, asked, self.given)
        everyone = list(dict.fromkeys(target.provider for target in targets))
        limits, concurrency, about_limits = quotas.limits(self.servers.redis_url, everyone, self.given)
        counts = self.spec.budget_usd is not None or any(each.tpm is not None for each in limits.values())
        machinery, about_cpu = surroundings.machinery(
            self.spec, self._kind, Meter(settings()), self.found.drafts, self.given, counts=counts
        )
        manners, about_manners = self._manners(targets)
        situation = Situation(
            workers=workers,
            cores=cores,
            limits=limits,
            concurrency=concurrency,
            manners=manners,
            machinery=machinery,
            warm_calls=_LEARNED if any(each.measured for each in manners.values()) else 0,
        )
        return situation, [*about_manners, *about_limits, *about_workers, about_cpu]

    def _manners(self, targets: list[Asked]) -> tuple[dict[tuple[str, str], Manner], list[Told]]:
        manners: dict[tuple[str, str], Manner] = {}
        told: list[Told] = []
        for asked in targets:
            like = next(self._requests(asked, self.found.drafts[:1]))
            past = self.past.calls(asked.provider, asked.model, like.modality, self.spec.kind)
            ratio = self.past.prompt_ratio(past, self.meter, like) if past else 1.0
            target = Target(
                provider=asked.provider, model=asked.model, modality=like.modality, completion=self._by_rule(asked)
            )
            manners[asked.provider, asked.model], about = manner(target, past, ratio, self.given)
            told += about
        return manners, told

    def _by_rule(self, asked: Asked) -> int | None:
        """Tokens of what the kind's own writer answers, on average."""
        requests = self._requests(asked, self.found.drafts[:_RULES_ANSWERS])
        answers = (self._kind.answer(request.messages) for request in requests if isinstance(request, ChatRequest))
        tokens = [count(text, asked.model) for text in answers if text is not None]
        return round(statistics.fmean(tokens)) if tokens else None

    def _requests(self, asked: Asked, drafts: tuple[JobDraft, ...]) -> Iterator[Request]:
        variant = replace(self.spec.variants()[0], provider=asked.provider, model=asked.model)
        for number, draft in enumerate(drafts, start=1):
            yield self._kind.request(Job(id=number, key=draft.key, input=draft.input), variant, self.spec.options)
