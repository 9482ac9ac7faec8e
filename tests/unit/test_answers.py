import pytest
from pydantic import BaseModel

from core.model import Rejected
from tasks.answers import parse, schema_of


class Word(BaseModel):
    title: str
    length: int


def test_a_valid_answer_is_the_value() -> None:
    assert parse(Word, '{"title": "a", "length": 1}') == Word(title="a", length=1)


def test_a_fence_around_the_json_is_no_reason_to_pay_for_a_repair() -> None:
    assert parse(Word, '```json\n{"title": "a", "length": 1}\n```\n') == Word(title="a", length=1)


@pytest.mark.parametrize(
    "text", ["", "Sure! Here it is.", "null", "[]", '{"title": "a"}', '{"title": "a", "length": "1"}']
)
def test_anything_else_is_rejected_with_a_reason(text: str) -> None:
    answer = parse(Word, text)

    assert isinstance(answer, Rejected)
    assert answer.reason


def test_a_schema_requires_every_property_and_allows_no_other() -> None:
    schema = schema_of(Word, "word").json

    assert schema["required"] == ["title", "length"]
    assert schema["additionalProperties"] is False
    assert set(schema["properties"]) == {"title", "length"}
