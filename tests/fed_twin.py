"""What the feeder and the commands do to tables, done to the rows of the in-memory ledger."""

from dataclasses import dataclass, replace

from core.model import (
    ChunkRef,
    ChunkState,
    JobResult,
    JobState,
    SweepState,
)
from db.closing import CONTROL
from db.memory import MemoryLedger
from db.tally import TallyKey

JOBS, CHUNK = 5, 2
CHUNKS = range(-(-JOBS // CHUNK))


@dataclass
class Twin:
    """The feeder's and the commands' work on the twin's rows."""

    ledger: MemoryLedger
    sweep_id: int

    def chunk_of(self, no: int) -> ChunkRef:
        return ChunkRef(sweep_id=self.sweep_id, no=no)

    def lapse(self, no: int) -> None:
        self.ledger.chunks[self.chunk_of(no)].until = self.ledger.clock.time() - 1

    def feed(self) -> None:
        found = [self.ledger.chunks[self.chunk_of(no)] for no in CHUNKS]
        for chunk in found:
            if chunk.state is ChunkState.LEASED and chunk.until < self.ledger.clock.time():
                chunk.state, chunk.owner = ChunkState.WAITING, ""
        sweep = self.ledger.sweeps[self.sweep_id]
        if sweep.state is SweepState.CANCELLED:
            for chunk in found:
                if chunk.state not in {ChunkState.LEASED, ChunkState.FINISHED}:
                    chunk.state, chunk.owner, chunk.takes = ChunkState.FINISHED, "", chunk.takes + 1
                    self.move(chunk.jobs, JobState.PENDING, JobState.CANCELLED)
        if sweep.state is not SweepState.CANCELLED and all(chunk.state is ChunkState.FINISHED for chunk in found):
            sweep.state = SweepState.DONE

    def retry(self, state: JobState) -> int:
        moved = 0
        for no in CHUNKS:
            chunk = self.ledger.chunks[self.chunk_of(no)]
            count = self.move(chunk.jobs, state, JobState.PENDING)
            if count and chunk.state is ChunkState.FINISHED:
                chunk.state = ChunkState.WAITING
            moved += count
        return moved

    def move(self, jobs: list[int], old: JobState, new: JobState) -> int:
        rows = [self.ledger.rows[job_id] for job_id in jobs if self.ledger.rows[job_id].result.state is old]
        key = TallyKey(sweep_id=self.sweep_id, owner=CONTROL, provider="openai", model="m")
        for row in rows:
            again = new is JobState.PENDING
            row.job = replace(row.job, round=row.job.round + again, deaths=0 if again else row.job.deaths)
            row.result = JobResult(job_id=row.job.id, state=new)
            for state, sign in ((old, -1), (new, 1)):
                if state is not JobState.PENDING:
                    tally = self.ledger.tallies[key]
                    setattr(tally, state.value, getattr(tally, state.value) + sign)
        return len(rows)
