"""From code and a design to jobs: one a requirement, and one a module with symbols that the design does not name."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from core.errors import InputError
from core.model import JobDraft
from tasks.drafts import checked
from tasks.gap import code, design
from tasks.gap.code import Module
from tasks.gap.facts import JobInput, Payload, Requirement, Symbol
from tasks.gap.match import Matcher, Related, size
from tasks.gap.spec import GapOptions, GapSource
from tasks.gap.terms import named
from tasks.kind import Found, Problem

_RELATED = 8


def jobs(source: GapSource, options: GapOptions) -> Iterator[Found]:
    """Streams the jobs; the symbols, without their bodies, are held whole. Raises InputError."""
    path = Path(source.design).expanduser()
    text = design.read(path)
    root = code.root_of(source.code)
    name, design_root = _placed(path.resolve(), root)
    if not name.isprintable():
        raise InputError(f"{name!a}: its name cannot be told in one line of text", hint="rename it")
    wanted = design.requirements(text, name)
    if not wanted:
        raise InputError(f"no requirement in {path}", hint="list items, tables, sentences with shall or must, headings")
    found: list[Module] = []
    for module in code.modules(source.code, private=options.private):
        if isinstance(module, Problem):
            yield module
        elif module.symbols:
            found.append(module)
    if not found:
        raise InputError(
            f"no symbol in {', '.join(source.code)}",
            hint="functions, classes and constants of a language that is known",
        )
    made = _Jobs(code_root=str(root), design_root=str(design_root), options=options)
    yield from checked(made.all(wanted, found), nothing=f"nothing to compare in {path}")


def _placed(path: Path, root: Path) -> tuple[str, Path]:
    """The document's name in anchors, and what it is relative to: the code's root where it lies below that."""
    if path.is_relative_to(root):
        return path.relative_to(root).as_posix(), root
    return path.name, path.parent


class _Jobs:
    """One sweep's jobs on their way."""

    def __init__(self, *, code_root: str, design_root: str, options: GapOptions) -> None:
        self._code_root = code_root
        self._design_root = design_root
        self._options = options

    def all(self, wanted: Sequence[Requirement], found: Sequence[Module]) -> Iterator[Found]:
        symbols = [symbol for module in found for symbol in module.symbols]
        matcher = Matcher(symbols, budget=self._options.candidate_tokens)
        yield from self._requirements(wanted, matcher)
        if self._options.undocumented:
            related = Related(wanted)
            known = named("\n".join(requirement.text for requirement in wanted))
            for module in found:
                yield from self._module(module, related, known)

    def _requirements(self, wanted: Sequence[Requirement], matcher: Matcher) -> Iterator[JobDraft]:
        seen: dict[str, int] = {}
        for requirement in wanted:
            number = seen[requirement.at] = seen.get(requirement.at, 0) + 1
            key = requirement.at if number == 1 else f"{requirement.at}#{number}"
            payload = Payload(
                task="requirement",
                subject=requirement.at,
                requirements=(requirement,),
                symbols=matcher.candidates(requirement),
            )
            yield self._draft(key, payload)

    def _module(self, module: Module, related: Related, known: frozenset[str]) -> Iterator[JobDraft]:
        """Symbols that the design names are documented, without asking anybody."""
        unnamed = [s for s in module.symbols if not {s.name, s.name.rpartition(".")[2]} & known]
        for number, part in enumerate(_parts(unnamed, self._options.candidate_tokens), start=1):
            payload = Payload(task="module", subject=module.name, requirements=related.to(part, _RELATED), symbols=part)
            yield self._draft(module.name if number == 1 else f"{module.name}#{number}", payload)

    def _draft(self, key: str, payload: Payload) -> JobDraft:
        job = JobInput(payload=payload, code_root=self._code_root, design_root=self._design_root)
        return JobDraft(key=key, input=job.model_dump(mode="json"))


def _parts(symbols: Sequence[Symbol], budget: int) -> Iterator[tuple[Symbol, ...]]:
    part: list[Symbol] = []
    left = budget
    for symbol in symbols:
        taken = size(symbol)
        if part and taken > left:
            yield tuple(part)
            part, left = [], budget
        part.append(symbol)
        left -= taken
    if part:
        yield tuple(part)
