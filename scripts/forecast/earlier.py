"""What the jobs of earlier waves come to, as far as prompts of later ones tell it: they are longer by it."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from core.model import Accepted, Answer, ChatRequest, Job, JobDraft, JsonObject, Variant
from db.waves import needs
from tasks.kind import SweepKind


def needed(drafts: Iterable[JobDraft]) -> frozenset[str]:
    """The keys of jobs that others want to see the results of."""
    return frozenset(key for draft in drafts for key in needs(draft.input).values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """Of the jobs with the ``needed`` keys: from the answer that is there, else from the kind's own writer."""

    kind: SweepKind
    variant: Variant
    options: JsonObject
    needed: frozenset[str]
    _made: dict[tuple[str, str], JsonObject] = field(default_factory=dict)  # many runs ask for the same ones

    def of(self, job: Job, answer: Answer, *, stored: bool) -> JsonObject:
        """Empty: nobody needs it, or nobody knows. ``stored``: the answer is one that was really given."""
        if job.key not in self.needed:
            return {}
        text = answer.text if stored else ""
        if (found := self._made.get((job.key, text))) is None:
            found = self._made[job.key, text] = self._result(job, text or self._written(job))
        return found

    def _written(self, job: Job) -> str | None:
        request = self.kind.request(job, self.variant, self.options)
        return self.kind.answer(request.messages) if isinstance(request, ChatRequest) else None

    def _result(self, job: Job, text: str | None) -> JsonObject:
        if text is None:
            return {}
        verdict = self.kind.accept(job, Answer(call_id=0, text=text, finish_reason="stop"), self.options)
        return verdict.result if isinstance(verdict, Accepted) else {}
