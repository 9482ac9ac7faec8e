"""What the simulated model says, rightly and wrongly."""

from collections.abc import Sequence
from typing import Any

import jsonschema
import orjson
import pytest

from core.model import Message, ResponseSchema
from scripts.simulator.answers import Answers
from scripts.simulator.chat import ChatAsk
from scripts.simulator.instances import instance
from scripts.simulator.options import AnswerMode
from scripts.simulator.spoiling import spoil
from tasks.answers import schema_of
from tasks.dictionary.answer import DictionaryAnswer
from tasks.docstring.answer import DocstringAnswer

TREE = {
    "type": "object",
    "properties": {
        "label": {"type": "string", "minLength": 30, "maxLength": 40},
        "children": {"type": "array", "items": {"$ref": "#"}},
        "parent": {"anyOf": [{"$ref": "#"}, {"type": "null"}]},
    },
    "required": ["label", "children", "parent"],
    "additionalProperties": False,
}
MIXED = {
    "type": "object",
    "properties": {
        "kind": {"enum": ["a", "b", "c"]},
        "one": {"const": 1},
        "count": {"type": "integer", "minimum": 3, "maximum": 9, "multipleOf": 3},
        "ratio": {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
        "tags": {"type": "array", "items": {"type": "string"}, "minItems": 2},
        "when": {"type": "string", "format": "date-time"},
        "maybe": {"type": ["null", "boolean"]},
        "named": {"$ref": "#/$defs/named"},
        "all": {"allOf": [{"type": "object"}, {"properties": {"x": {"type": "string"}}, "required": ["x"]}]},
    },
    "required": ["kind", "one", "count", "ratio", "tags", "when", "maybe", "named", "all"],
    "$defs": {"named": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}},
}
SCHEMAS = [
    TREE,
    MIXED,
    dict(schema_of(DocstringAnswer, "docstring").json),
    dict(schema_of(DictionaryAnswer, "dictionary").json),
]


def ask(prompt: str = "What is it?", **fields: Any) -> ChatAsk:
    messages = (Message(role="user", content=prompt),)
    return ChatAsk(model="gpt-4o", messages=messages, fingerprint=prompt.encode().ljust(32), prompt_tokens=1, **fields)


def silent(_messages: Sequence[Message]) -> str | None:
    return None


@pytest.mark.parametrize("schema", SCHEMAS)
@pytest.mark.parametrize("seed", [bytes(32), bytes(range(32)), b"\xff" * 32])
def test_an_instance_satisfies_its_schema_and_is_the_same_for_the_same_seed(
    schema: dict[str, Any], seed: bytes
) -> None:
    found = instance(schema, seed)

    jsonschema.validate(found, schema)
    assert instance(schema, seed) == found


def test_a_known_prompt_is_answered_by_its_writer_once() -> None:
    written: list[str] = []

    def writer(messages: Sequence[Message]) -> str | None:
        written.append(messages[-1].content)
        return "By rule."

    answers = Answers(AnswerMode.RULES, writer)

    assert [answers.text(ask(), sample) for sample in range(3)] == ["By rule."] * 3
    assert written == ["What is it?"]


def test_an_unknown_prompt_with_a_schema_gets_an_instance_that_depends_on_the_prompt() -> None:
    answers, schema = Answers(AnswerMode.RULES, silent), ResponseSchema(name="mixed", json=MIXED)

    first = answers.text(ask("first", schema=schema), 0)
    second = answers.text(ask("second", schema=schema), 0)

    jsonschema.validate(orjson.loads(first), MIXED)
    assert first != second


def test_an_unknown_prompt_is_answered_the_same_unless_it_may_vary() -> None:
    answers = Answers(AnswerMode.RULES, silent)

    steady = {answers.text(ask(), sample) for sample in range(4)}
    varying = [answers.text(ask(varies=True), sample) for sample in range(4)]

    assert steady == {varying[0]}
    assert len(set(varying)) == 4
    assert [Answers(AnswerMode.RULES, silent).text(ask(varies=True), sample) for sample in range(4)] == varying


def test_fast_answers_have_one_size_and_still_satisfy_a_schema() -> None:
    answers, schema = Answers(AnswerMode.FAST, silent), ResponseSchema(name="mixed", json=MIXED)

    assert answers.text(ask("one"), 0) == answers.text(ask("two"), 0)
    jsonschema.validate(orjson.loads(answers.text(ask(schema=schema), 0)), MIXED)


def test_varied_answers_have_many_sizes_and_each_request_its_own() -> None:
    answers = Answers(AnswerMode.VARIED, silent)

    sizes = [len(answers.text(ask(f"question {i}"), 0)) for i in range(50)]

    assert len(set(sizes)) > 30
    assert sizes == [len(answers.text(ask(f"question {i}"), 1)) for i in range(50)]


DOCSTRING = {
    "summary": "Adds.",
    "description": "",
    "params": [{"name": "a", "description": "The first."}],
    "returns": "The sum.",
    "yields": None,
    "raises": [],
}
SCHEMA = schema_of(DocstringAnswer, "docstring")


def spoiled(fault: str, answer: dict[str, Any], schema: ResponseSchema | None = SCHEMA) -> str:
    text = spoil(fault, orjson.dumps(answer).decode(), schema)
    assert text is not None
    return text


def test_wrong_parameters_have_the_right_shape_and_no_true_name() -> None:
    wrong = DocstringAnswer.model_validate_json(spoiled("wrong-params", DOCSTRING), strict=True)

    assert [param.name for param in wrong.params] == ["a_value", "invented_parameter"]


@pytest.mark.parametrize("schema", [SCHEMA, None])
def test_an_invented_exception_is_added_in_the_shape_of_the_schema(schema: ResponseSchema | None) -> None:
    wrong = orjson.loads(spoiled("invented-raises", DOCSTRING, schema))

    assert "InventedConnectionError" in wrong["raises"][0].values()
    assert wrong["params"] == DOCSTRING["params"]
    if schema is not None:
        DocstringAnswer.model_validate(wrong, strict=True)


def test_names_in_a_mapping_are_wrong_likewise() -> None:
    wrong = orjson.loads(spoiled("wrong-params", {"args": {"a": "The first."}}))

    assert set(wrong["args"]) == {"a_value", "invented_parameter"}


@pytest.mark.parametrize("fault", ["prose", "bad-json"])
def test_prose_and_broken_json_are_no_json(fault: str) -> None:
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(spoiled(fault, DOCSTRING))


def test_a_wrong_schema_is_json_that_does_not_validate() -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(orjson.loads(spoiled("wrong-schema", DOCSTRING)), dict(SCHEMA.json))


def test_an_answer_without_parameters_cannot_have_wrong_ones() -> None:
    assert spoil("wrong-params", '{"description": "A column."}', None) is None
    assert spoil("wrong-params", "No JSON at all.", None) is None
