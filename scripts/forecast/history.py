"""What the database knows, for a forecast; all of it may be missing."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from core.errors import InputError, Unavailable
from core.model import ChatRequest, EmbeddingRequest, JsonObject, Message, Modality, Request
from core.ports import Meter
from db import answers, history
from db.engine import Engine, connect
from db.history import PastCall
from scripts.forecast.manners import ENOUGH

_AT_ONCE = 1_000


@dataclass(slots=True, kw_only=True)
class Past:
    """Asks the database, and remembers. ``engine`` None, or one that fails: nothing is known, and ``why``.

    ``texts``: what was answered is asked for as well.
    """

    engine: Engine | None
    why: str = ""
    texts: bool = False
    _known: dict[str, str] = field(default_factory=dict)
    _asked: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, database_url: str) -> "Past":
        """Empty: there is no database."""
        if not database_url:
            return cls(engine=None, why="no database is set up or running")
        return cls(engine=connect(database_url, role="reader", pool=1))

    def calls(self, provider: str, model: str, modality: Modality, kind: str) -> list[PastCall]:
        """Of this kind of sweep, or, where those are too few, of any."""
        if self.engine is None:
            return []
        try:
            own = history.lately(self.engine, provider, model, modality, kind=kind)
            return own if len(own) >= ENOUGH else history.lately(self.engine, provider, model, modality)
        except (Unavailable, InputError) as exc:
            self._give_up(exc)
            return []

    def prompt_ratio(self, calls: Sequence[PastCall], meter: Meter, like: Request) -> float:
        """The provider's prompt tokens for one that we count, in what was asked lately."""
        if self.engine is None:
            return 1.0
        asked = history.requests(self.engine, calls)
        ours = sum(_counted(request, meter, like) for request, _ in asked)
        return sum(prompt for _, prompt in asked) / ours if ours else 1.0

    def known(self, fingerprints: Sequence[str], modality: Modality) -> dict[str, str]:
        """Those that were answered before. Many runs ask for the same ones; the database is asked once."""
        fresh = [print_ for print_ in fingerprints if print_ not in self._asked]
        for start in range(0, len(fresh), _AT_ONCE):
            if self.engine is None:
                break
            try:
                self._known |= self._find(self.engine, fresh[start : start + _AT_ONCE], modality)
            except (Unavailable, InputError) as exc:
                self._give_up(exc)
        self._asked.update(fresh)
        return {print_: self._known[print_] for print_ in fingerprints if print_ in self._known}

    def _find(self, engine: Engine, fingerprints: Sequence[str], modality: Modality) -> dict[str, str]:
        if self.texts and modality is Modality.CHAT:
            return {print_: answer.text for print_, answer in answers.find(engine, fingerprints, modality).items()}
        return dict.fromkeys(history.known(engine, fingerprints, modality), "")

    def close(self) -> None:
        if self.engine is not None:
            self.engine.dispose()

    def _give_up(self, exc: Exception) -> None:
        self.close()
        self.engine, self.why = None, str(exc)


def _counted(asked: JsonObject, meter: Meter, like: Request) -> int:
    if isinstance(like, ChatRequest):
        messages = tuple(Message(role=str(m["role"]), content=str(m["content"])) for m in asked.get("messages") or ())
        schema = like.schema if like.schema is not None and asked.get("schema") == like.schema.name else None
        request = ChatRequest(provider=like.provider, model=like.model, messages=messages, schema=schema)
        return meter.prompt_tokens(request) if messages else 0
    texts = (str(text) for text in asked.get("input") or ())
    return sum(
        meter.prompt_tokens(EmbeddingRequest(provider=like.provider, model=like.model, text=text)) for text in texts
    )
