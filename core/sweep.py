"""The sweep's spec: what `sweep submit` was asked to do, as it is kept in ``sweeps.spec_json``."""

import hashlib
import itertools
import json
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from core.credentials import masked
from core.model import Variant


class Target(BaseModel):
    """A provider and one of its models."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    provider: str
    model: str


class Skipped(BaseModel):
    """Variants that are left out: all of this target with these parameters, whatever their others are."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    provider: str
    model: str
    params: dict[str, Any] = Field(default_factory=dict)
    reason: str = ""

    def covers(self, variant: Variant) -> bool:
        """Whether the variant is one of them."""
        same = (self.provider, self.model) == (variant.provider, variant.model)
        return same and all(variant.params.get(name) == value for name, value in self.params.items())


class SweepSpec(BaseModel):
    """kind x inputs x targets x parameters. Two submissions of the same spec under one name are the same sweep.

    ``source`` belongs to the kind (paths, URL, filters), ``options`` too (style, chunk size ...): JSON values only.
    ``params`` holds a list of values for each provider parameter; the grid is their product, times ``samples``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
    kind: str
    source: dict[str, Any] = Field(default_factory=dict)
    options: dict[str, Any] = Field(default_factory=dict)
    targets: tuple[Target, ...] = Field(min_length=1)
    params: dict[str, Annotated[list[Any], Field(min_length=1)]] = Field(default_factory=dict)
    samples: int = Field(default=1, ge=1, le=1000)
    budget_usd: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    limit: int | None = Field(default=None, ge=1)
    chunk_size: int = Field(default=64, ge=1, le=2048)
    cache: bool = True
    on_open: Literal["fallback", "wait", "reroute"] = "fallback"  # while a provider's breaker is open
    reroute: tuple[Target, ...] = ()  # asked where a job's own provider does not answer, or (on_open) while it is down
    parallel_attempts: int = Field(default=1, ge=1, le=4)  # calls side by side for a job; the first valid answer wins
    hedge: float = Field(default=0.0, ge=0, le=0.1)  # the share of calls that may get a second one when they are late
    on_reject: Literal["fail", "fallback"] = "fail"  # after the last repair turn
    repair_turns: int = Field(default=1, ge=0, le=3)
    description: str = ""
    skip: tuple[Skipped, ...] = ()  # what a probe has found unusable

    @field_validator("params")
    @classmethod
    def _is_json(cls, params: dict[str, list[Any]]) -> dict[str, list[Any]]:
        json.dumps(params, allow_nan=False, default=str)  # no provider knows NaN, and it would be stored as null
        return params

    def variants(self) -> list[Variant]:
        """The grid in a fixed order, but for what is skipped: targets, then parameters by name, then samples."""
        names = sorted(self.params)
        points = itertools.product(self.targets, *(self.params[n] for n in names), range(self.samples))
        grid = [
            Variant(
                provider=target.provider,
                model=target.model,
                params=dict(zip(names, values, strict=True)),
                sample=sample,
            )
            for target, *values, sample in points
        ]
        return [variant for variant in grid if not any(skipped.covers(variant) for skipped in self.skip)]

    def digest(self) -> str:
        """SHA-256 of what makes two specs the same sweep: everything but name, description, budget and skips.

        What has its default is left out: a field that a later version adds makes no other sweep of an old one.
        """
        content = self.model_dump(
            mode="json", exclude={"name", "description", "budget_usd", "skip"}, exclude_defaults=True
        )
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def labels(self) -> Iterator[str]:
        """What a key gets appended in each variant, empty when there is only one."""
        variants = self.variants()
        if len(variants) == 1:
            yield ""
            return
        for v in variants:
            parts = [f"{v.provider}/{v.model}", *(f"{k}={v.params[k]}" for k in sorted(v.params))]
            if self.samples > 1:
                parts.append(f"#{v.sample + 1}")
            yield " @ " + " ".join(parts)


def without_passwords(spec: SweepSpec) -> SweepSpec:
    """The spec as it may be stored: addresses in its source lose their passwords."""
    return spec.model_copy(update={"source": masked(spec.source)})
