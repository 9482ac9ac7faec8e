"""`sweep submit embedding` asks its deployments what they are before it stores a single job."""

from core.errors import InputError
from core.settings import Settings
from core.sweep import Skipped, SweepSpec
from scripts.cli import render
from tasks import producer
from workers.probe import Deployment, Finding, Sound, Unsound, Unsure, probe


def probed(loaded: Settings, spec: SweepSpec) -> SweepSpec:
    """The spec without the deployments that give no vectors; each is named. Raises InputError when none is left."""
    checked = producer.check(spec)
    drafts, _ = producer.preview(checked, 1)
    if not drafts:
        return spec  # there is nothing to embed: storing it says why, and no call is paid to find out
    for _ in producer.requests(checked, drafts):  # raises for parameters that no embedding takes
        pass
    findings = probe(loaded, _deployments(checked))
    unsound = [finding for finding in findings if isinstance(finding, Unsound)]
    if len(unsound) == len(findings):
        reasons = "; ".join(f"{finding.deployment}: {finding.reason}" for finding in unsound)
        raise InputError(f"no deployment gives vectors: {reasons}", hint="--no-probe submits all the same")
    for finding in findings:
        render.talk(_told(finding, checked))
    return spec.model_copy(update={"skip": (*spec.skip, *(_skipped(spec, finding) for finding in unsound))})


def _deployments(spec: SweepSpec) -> list[Deployment]:
    own = spec.options.get("dimensions")
    found = {
        Deployment(provider=variant.provider, model=variant.model, dimensions=variant.params.get("dimensions", own))
        for variant in spec.variants()
    }
    return sorted(found, key=str)


def _skipped(spec: SweepSpec, finding: Unsound) -> Skipped:
    deployment = finding.deployment
    params = {"dimensions": deployment.dimensions} if "dimensions" in spec.params else {}
    return Skipped(provider=deployment.provider, model=deployment.model, params=params, reason=finding.reason)


def _told(finding: Finding, spec: SweepSpec) -> str:
    match finding:
        case Unsound(deployment=deployment, reason=reason):
            return f"left out: {deployment}: {reason}"
        case Unsure(deployment=deployment, reason=reason):
            return f"not probed: {deployment}: {reason}; its jobs wait for it"
        case Sound() as sound:
            length = "normalised" if sound.normalised else f"not normalised (length {sound.norm:.3g})"
            longest = f", texts of up to {sound.longest:,} tokens" if sound.longest else ""
            return f"probed {sound.deployment}: {sound.dimension} dimensions, {length}{longest}" + _warning(sound, spec)


def _warning(sound: Sound, spec: SweepSpec) -> str:
    chunk = spec.options.get("chunk_tokens", 0)
    if sound.longest is None or chunk <= sound.longest:
        return ""
    return f"; longer texts fail, and chunk_tokens is {chunk}: give --chunk-tokens {sound.longest * 3 // 4}"
