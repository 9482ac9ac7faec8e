"""The end of a chunk's story: answers become job states, and go to the recorder with the calls that paid for them."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from core.fingerprint import fingerprint
from core.model import (
    Accepted,
    Answer,
    CallRecord,
    ChatRequest,
    Job,
    JobResult,
    JobState,
    JsonObject,
    Lease,
    Message,
    Outcome,
    Rejected,
    Request,
    Variant,
    VectorRecord,
    Verdict,
)
from core.ports import ChunkSummary, Kind
from core.recorder import Recorder
from core.values import changed

log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Item:
    """One request and all jobs of the chunk that ask it. The first job is the one that pays."""

    request: Request
    fingerprint: str
    jobs: list[Job]
    variant: Variant  # whom the request is for
    repairs: int = 0
    attempts: int = 0
    away: frozenset[str] = frozenset()  # providers that were found down on its way
    failed: Mapping[str, JsonObject] = field(default_factory=dict)  # provider/model that will not answer it, and why
    refused: tuple[CallRecord, ...] = ()  # calls whose answers its jobs did not take


class Judge:
    """Judges a chunk's answers and records the verdicts."""

    def __init__(self, *, kind: Kind, lease: Lease, recorder: Recorder) -> None:
        self._kind = kind
        self._lease = lease
        self._recorder = recorder
        self._results: list[JobResult] = []
        self._cost = 0.0

    async def end(
        self, pairs: list[tuple[Item, Answer]], *, call: CallRecord | None, adopted: Mapping[int, CallRecord]
    ) -> list[Item]:
        """Records all that is decided, in one outcome; returns the items that get a repair turn."""
        results: list[JobResult] = []
        vectors: list[VectorRecord] = []
        repairs: list[Item] = []
        reasons: list[str] = []
        earlier: list[CallRecord] = []
        for item, answer in pairs:
            verdicts = [(job, self._verdict(job, answer)) for job in item.jobs]
            refused = [verdict.reason for _, verdict in verdicts if isinstance(verdict, Rejected)]
            reasons += refused[:1]
            if refused and (turn := self._repair_turn(item, answer, refused[0])) is not None:
                # Equal requests, and yet each job is judged by its own input: those that take the answer are done.
                jobs = [job for job, verdict in verdicts if isinstance(verdict, Rejected)]
                repairs.append(_repaired(item, turn, jobs, call))
                verdicts = [(job, verdict) for job, verdict in verdicts if isinstance(verdict, Accepted)]
            results += self._states(item, answer, verdicts)
            if verdicts:
                earlier += item.refused
            if len(refused) < len(item.jobs) and answer.vector is not None:
                vectors.append(_vector(item, answer))
        if call is not None:
            call = self.marked(call, reasons)
        await self._record(
            Outcome(
                lease=self._lease,
                calls=() if call is None else (call,),
                jobs=tuple(results),
                vectors=tuple(vectors),
                adopted=tuple(adopted.values()),
                earlier=tuple(earlier),
            )
        )
        return repairs

    def objections(self, items: Sequence[Item], answers: Sequence[Answer]) -> list[str]:
        """Why jobs don't take the answers; empty: all of them do."""
        verdicts = (
            self._verdict(job, answer) for item, answer in zip(items, answers, strict=True) for job in item.jobs
        )
        return [verdict.reason for verdict in verdicts if isinstance(verdict, Rejected)]

    def marked(self, call: CallRecord, reasons: Sequence[str]) -> CallRecord:
        """The call as its row tells it, with the verdict. To be asked once a call: its cost is counted here."""
        self._cost += call.cost_usd or 0.0
        return changed(call, metadata={**call.metadata, "accepted": not reasons, "rejected": list(reasons[:3])})

    def _verdict(self, job: Job, answer: Answer) -> Verdict:
        if answer.flaw:
            return Rejected(reason=answer.flaw)
        try:
            return self._kind.accept(job, answer, self._lease.options)
        except Exception as exc:  # the boundary of a job: an answer that upsets its judge is not taken
            log.exception("an answer can't be judged", extra={"job": job.key})
            return Rejected(reason=f"the answer can't be judged: {type(exc).__name__}")

    async def unusable(self, job: Job, error: JsonObject) -> None:
        """The job itself can't be turned into a request."""
        result = JobResult(job_id=job.id, state=JobState.FAILED, error=error)
        await self._record(Outcome(lease=self._lease, jobs=(result,)))

    async def fail(self, items: list[Item], error: JsonObject) -> None:
        """The provider gave no answer, and none is to be expected."""
        jobs = [
            _result(item, job, JobState.FAILED, pays=job is item.jobs[0], error=error)
            for item in items
            for job in item.jobs
        ]
        await self._record(Outcome(lease=self._lease, jobs=tuple(jobs), earlier=_earlier(items)))

    async def fall_back(self, items: list[Item], why: JsonObject) -> list[Item]:
        """Ends what the kind can answer by rule; returns the items that it can't."""
        left: list[Item] = []
        ended: list[JobResult] = []
        earlier: list[CallRecord] = []
        for item in items:
            ruled = [(job, self._by_rule(job)) for job in item.jobs]
            without = [job for job, result in ruled if result is None]
            ended += [
                _result(item, job, JobState.FALLBACK, pays=job is item.jobs[0], result=result, error=why)
                for job, result in ruled
                if result is not None
            ]
            if len(without) < len(ruled):
                earlier += item.refused
            if without:
                left.append(replace(item, jobs=without, refused=item.refused if without == item.jobs else ()))
        await self._record(Outcome(lease=self._lease, jobs=tuple(ended), earlier=tuple(earlier)))
        return left

    def summary(self, jobs: int) -> ChunkSummary:
        """What Flower shows."""
        states = [result.state for result in self._results]
        return ChunkSummary(
            done=states.count(JobState.DONE),
            cached=sum(result.cached for result in self._results if result.state is JobState.DONE),
            fallback=states.count(JobState.FALLBACK),
            failed=states.count(JobState.FAILED),
            left=jobs - len(states),
            cost_usd=self._cost,
        )

    async def _record(self, outcome: Outcome) -> None:
        if outcome.jobs or outcome.calls or outcome.adopted:
            await self._recorder.record(outcome)
            self._results += outcome.jobs

    def _states(self, item: Item, answer: Answer, verdicts: list[tuple[Job, Verdict]]) -> Iterator[JobResult]:
        payer = verdicts[0][0] if verdicts else None
        for job, verdict in verdicts:
            if isinstance(verdict, Accepted):
                yield _result(
                    item, job, JobState.DONE, pays=job is payer, call_id=answer.call_id, result=verdict.result
                )
                continue
            error = {"type": "Rejected", "message": verdict.reason, "answer": answer.text[:2000]}
            by_rule = self._by_rule(job) if self._lease.policy.get("on_reject") == "fallback" else None
            state = JobState.FAILED if by_rule is None else JobState.FALLBACK
            yield _result(item, job, state, pays=job is payer, call_id=answer.call_id, result=by_rule, error=error)

    def _by_rule(self, job: Job) -> JsonObject | None:
        try:
            return self._kind.fallback(job, self._lease.options)
        except Exception:  # the boundary of a job: a rule that stumbles over it is none
            log.exception("a job can't be answered by rule", extra={"job": job.key})
            return None

    def _repair_turn(self, item: Item, answer: Answer, reason: str) -> ChatRequest | None:
        """The same conversation with the rejected answer and what is wrong with it; None: no turn is left."""
        request = item.request
        if not isinstance(request, ChatRequest) or item.repairs >= int(self._lease.policy.get("repair_turns", 1)):
            return None
        turn = (
            Message(role="assistant", content=answer.text),
            Message(
                role="user",
                content=f"That answer can't be used: {reason}\nAnswer again, with only the corrected JSON.",
            ),
        )
        return replace(request, messages=request.messages + turn)


def _repaired(item: Item, turn: ChatRequest, jobs: list[Job], call: CallRecord | None) -> Item:
    again = replace(item, request=turn, fingerprint=fingerprint(turn), jobs=jobs, repairs=item.repairs + 1)
    if len(jobs) < len(item.jobs):
        # Who took the answer has paid for it.
        return replace(again, attempts=0, refused=())
    return again if call is None else replace(again, refused=(*item.refused, call))


def _earlier(items: Iterable[Item]) -> tuple[CallRecord, ...]:
    return tuple(call for item in items for call in item.refused)


def _result(
    item: Item,
    job: Job,
    state: JobState,
    *,
    pays: bool,
    call_id: int | None = None,
    result: JsonObject | None = None,
    error: JsonObject | None = None,
) -> JobResult:
    return JobResult(
        job_id=job.id,
        state=state,
        fingerprint=item.fingerprint,
        call_id=call_id,
        result=result,
        error=error,
        attempts=item.attempts if pays else 0,
        cached=call_id is not None and (item.attempts == 0 or not pays),
    )


def _vector(item: Item, answer: Answer) -> VectorRecord:
    if answer.vector is None:
        raise TypeError("an answer without a vector has none to record")
    return VectorRecord(
        call_id=answer.call_id,
        position=answer.position,
        fingerprint=item.fingerprint,
        model=item.request.model,
        vector=answer.vector,
    )
