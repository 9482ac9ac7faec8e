"""A sweep's options as its kind's model, checked once: all jobs of a sweep come with the same object."""

from collections.abc import Callable
from typing import TypeVar

from pydantic import BaseModel

from core.model import JsonObject

M = TypeVar("M", bound=BaseModel)

_SWEEPS = 64


def reader(model: type[M]) -> Callable[[JsonObject], M]:
    """``model.model_validate`` that remembers the objects it was last asked for. Raises pydantic's ValidationError."""
    known: dict[int, tuple[JsonObject, M]] = {}  # by the object's id, beside the object itself: so no other has the id

    def read(options: JsonObject) -> M:
        found = known.get(id(options))
        if found is not None:
            return found[1]
        chosen = model.model_validate(options)
        if len(known) >= _SWEEPS:
            known.clear()
        known[id(options)] = (options, chosen)
        return chosen

    return read
