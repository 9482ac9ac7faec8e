"""From jobs to requests and their fingerprints."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from core.calling import Caller
from core.fingerprint import fingerprint
from core.judging import Item
from core.model import Job, Lease, Request, Variant
from core.parcels import Parcel
from core.ports import Kind
from core.values import changed


@dataclass(frozen=True, slots=True, kw_only=True)
class Renderer:
    """A chunk's. A job that can't be rendered raises whatever its kind stumbles over."""

    kind: Kind
    lease: Lease
    caller: Caller
    salts: dict[str, str] = field(default_factory=dict)  # by provider, of jobs that were never retried

    def item(self, job: Job) -> Item:
        """The job's request to the sweep's own provider."""
        request, print_ = self._rendered(job, self.lease.variant)
        return Item(request=request, fingerprint=print_, jobs=[job], variant=self.lease.variant)

    def elsewhere(self, item: Item, variant: Variant) -> Item:
        """The same jobs' request to another one, from the beginning."""
        request, print_ = self._rendered(item.jobs[0], variant)
        return replace(item, request=request, fingerprint=print_, variant=variant, repairs=0)

    def parcel(self, items: Sequence[Item]) -> Parcel:
        """One call for the items."""
        return Parcel(
            requests=tuple(item.request for item in items),
            fingerprints=tuple(item.fingerprint for item in items),
            tags={"sweep": self.lease.sweep_name, "kind": self.kind.name, "version": items[0].request.version},
        )

    def _rendered(self, job: Job, variant: Variant) -> tuple[Request, str]:
        request = self.kind.request(job, variant, self.lease.options)
        salt = self._salt(job, variant.provider)
        if salt:
            request = changed(request, salt=salt)
        return request, fingerprint(request)

    def _salt(self, job: Job, provider: str) -> str:
        if (salt := self.salts.get(provider)) is None:
            # With the cache off, answers stay inside the sweep.
            shared = self.lease.policy.get("cache", True) and self.caller.shares(provider)
            sweep = "" if shared else f"sweep {self.lease.ref.sweep_id}"
            salt = self.salts[provider] = " ".join(part for part in (self.caller.scope(provider), sweep) if part)
        # A retried job must not get the answer that was refused.
        return f"{salt} round {job.round}".lstrip() if job.round else salt
