"""What a model answers about one field."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from core.model import ResponseSchema
from tasks.answers import schema_of
from tasks.dictionary.facts import SemanticType


class DictionaryAnswer(BaseModel):
    """The structured answer; lengths and wording are judged in ``accept``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    description: Annotated[str, Field(description="One or two plain sentences, 15 to 300 characters.")]
    business_name: Annotated[str, Field(description="One to six words in Title Case.")]
    semantic_type: SemanticType
    confidence: Annotated[float, Field(ge=0, le=1)]


def schema() -> ResponseSchema:
    """The strict JSON schema of the answer."""
    return schema_of(DictionaryAnswer, "dictionary")
