"""The rule-based writer, and the judge that it must always pass."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model import Accepted, Answer, Job, Rejected
from db.introspect import Category
from tasks.dictionary import KIND
from tasks.dictionary.accept import judge
from tasks.dictionary.answer import DictionaryAnswer
from tasks.dictionary.facts import Facts, SemanticType, Statistics
from tasks.dictionary.prompt import messages
from tasks.dictionary.words import entity, phrase, title
from tasks.dictionary.writer import write

NAMES = st.one_of(
    st.text(max_size=80),
    st.sampled_from(
        ["id", "created_at", "is_active", "custAddrId", "客户编号", "été", "___", "", "HTTPServerURL2", "aaa999"]
    ),
)
GOOD = {
    "description": "Date and time at which the customer placed the order.",
    "business_name": "Order Date",
    "semantic_type": "timestamp",
    "confidence": 0.9,
}


def facts(**changes: Any) -> Facts:
    given_facts = {"path": "orders.ord_dt", "table": "orders", "column": "ord_dt", "type": "timestamp"}
    return Facts(**(given_facts | {"category": Category.TEMPORAL} | changes))


def answer(**changes: Any) -> Answer:
    return Answer(call_id=1, text=json.dumps(GOOD | changes))


@given(
    column=NAMES,
    table=NAMES,
    category=st.sampled_from(Category),
    detected=st.sampled_from(SemanticType),
    primary_key=st.booleans(),
    references=st.lists(NAMES.map(lambda name: f"{name}.id"), max_size=1),
    kind=st.sampled_from(["table", "JSON document"]),
    statistics=st.none()
    | st.builds(Statistics, rows=st.integers(0, 50), nulls=st.integers(0, 50), distinct=st.integers(0, 9)),
)
def test_the_writer_passes_the_judge_for_any_field(**given_facts: Any) -> None:
    told = facts(**given_facts)
    text = KIND.answer(messages(told))
    assert text is not None

    verdict = judge(told, Answer(call_id=1, text=text))

    assert not isinstance(verdict, Rejected), (verdict, text)


@pytest.mark.parametrize(
    ("column", "detected", "category", "description"),
    [
        ("created_at", "timestamp", "temporal", "Date and time at which the order was created."),
        ("is_paid", "boolean", "boolean", "Whether the order is paid."),
        ("has_discount", "boolean", "boolean", "Whether the order has a discount."),
        ("email_verified", "boolean", "boolean", "Whether the e-mail of the order is verified."),
        ("billing_email", "email", "text", "Billing e-mail address of the order."),
        ("totAmt", "currency_amount", "number", "Total amount of the order, as an amount of money."),
        ("retries", "count", "number", "Number of retries counted for the order."),
    ],
)
def test_descriptions_read_like_a_persons(column: str, detected: str, category: str, description: str) -> None:
    assert write(facts(column=column, detected=detected, category=category)).description == description


def test_a_key_is_described_by_what_it_is_for() -> None:
    foreign = facts(column="cust_id", references=("customers.id",), category="number")
    primary = facts(column="order_id", primary_key=True, category="number")

    assert write(foreign).description.startswith("Reference to the customer that the order belongs to or uses.")
    assert write(primary).description == "Identifier that makes each order unique. Primary key."


@pytest.mark.parametrize(
    ("column", "description"),
    [
        ("created_by", "Reference to the user by which the order was created. Foreign key to users."),
        ("reports_to", "Reference to the user that the order reports to. Foreign key to users."),
        ("support_rep_id", "Reference to the user that the order belongs to or uses as its support rep."),
    ],
)
def test_a_foreign_key_is_described_in_its_role(column: str, description: str) -> None:
    assert write(facts(column=column, references=("users.id",), category="number")).description.startswith(description)


def test_a_nested_field_is_described_within_its_object() -> None:
    nested = facts(column="items[].unit_price", kind="JSON document", detected="currency_amount", category="number")

    assert write(nested).description == "Unit price of the item, as an amount of money."


def test_the_name_of_the_object_around_a_field_says_something_about_it() -> None:
    told = facts(column="address.street", kind="JSON document", category="text", detected="address")

    assert isinstance(judge(told, Answer(call_id=1, text=write(told).model_dump_json())), DictionaryAnswer)


@pytest.mark.parametrize(
    ("column", "detected", "description"),
    [
        ("latency_ms", "duration", "Latency of the order, in milliseconds."),
        ("cost_usd", "currency_amount", "Cost of the order, in US dollars."),
        ("calls_failed", "quantity", "Number of calls failed in the order."),
        ("session_id", "identifier", "Identifier of the session that the order is about or belongs to."),
        ("request_json", "json", "Request of the order, as a structured JSON value."),
        ("lease_until", "timestamp", "Date and time until which the lease of the order applies."),
        ("valid_from", "date", "Date from which the order is valid."),
    ],
)
def test_units_limits_and_counts_are_spelled_out(column: str, detected: str, description: str) -> None:
    assert write(facts(column=column, detected=detected, category=Category.OTHER)).description == description


@pytest.mark.parametrize(
    ("identifier", "words"),
    [
        ("custAddrId", "customer address ID"),
        ("HTTPServerURL", "HTTP server URL"),
        ("tbl_firstname", "first name"),
        ("taskmeta", "task metadata"),
        ("fk_emp_dept", "employee department"),
        ("userIDs", "user IDs"),
        ("客户", "客户"),
        ("usr_prefs_lang", "user preferences language"),
    ],
)
def test_identifiers_become_words(identifier: str, words: str) -> None:
    assert phrase(identifier) == words


@pytest.mark.parametrize(
    ("table", "row"),
    [("dim_customers", "customer"), ("InvoiceLines", "invoice line"), ("addresses", "address"), ("status", "status"),
     ("categories", "category"), ("boxes", "box"), ("!!", "entry")],
)  # fmt: skip
def test_a_row_is_named_in_the_singular(table: str, row: str) -> None:
    assert entity(table) == row


def test_a_business_name_is_in_title_case() -> None:
    assert title("date of birth") == "Date of Birth"
    assert title("e-mail address ID") == "E-Mail Address ID"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"description": "Order date"}, "has 10 characters"),
        ({"description": "The order date column of this table."}, "no more than the field's name"),
        ({"description": "Date and time at which the customer placed the order"}, "full stop"),
        ({"description": "x" * 301}, "301 characters"),
        ({"description": "# Heading of the customer's placed order."}, "markup"),
        ({"description": "As an AI I cannot know what a customer ordered."}, "no description"),
        ({"description": "Das Datum und die Zeit der Bestellung, die der Kunde aufgegeben hat."}, "English"),
        ({"description": "Дата и время размещения заказа клиентом."}, "English"),
        ({"description": "Date such as 9999-99-99 on which the customer placed it."}, "sample values"),
        ({"description": "Date on which ann@corp.example placed the purchase."}, "sample values"),
        ({"business_name": "order_date"}, "Title Case"),
        ({"business_name": "the order date"}, "Title Case"),
        ({"business_name": ""}, "one to six words"),
        ({"semantic_type": "email"}, "cannot be email"),
        ({"semantic_type": "banana"}, "semantic_type"),
        ({"confidence": 1.5}, "confidence"),
        ({"extra": 1}, "extra"),
    ],
)
def test_what_is_no_documentation_is_rejected_with_a_reason_for_the_model(changes: dict[str, Any], reason: str) -> None:
    verdict = judge(facts(samples=("9999-99-99",)), answer(**changes))

    assert isinstance(verdict, Rejected)
    assert reason in verdict.reason


@pytest.mark.parametrize("text", ["", "null", "[]", "Sure! Here it is", '{"description": "x"', "\ud800"])
def test_what_is_no_json_is_rejected(text: str) -> None:
    assert isinstance(judge(facts(), Answer(call_id=1, text=text)), Rejected)


def test_an_answer_in_a_code_fence_is_taken() -> None:
    fenced = f"```json\n{json.dumps(GOOD, indent=1)}\n```"

    assert not isinstance(judge(facts(), Answer(call_id=1, text=fenced)), Rejected)


def test_an_answer_that_was_cut_off_is_rejected() -> None:
    cut = Answer(call_id=1, text=json.dumps(GOOD), finish_reason="length")

    assert isinstance(judge(facts(), cut), Rejected)


def test_a_private_value_of_an_allowed_column_may_not_be_repeated() -> None:
    told = facts(literal=True, detected=SemanticType.PERSON_NAME, samples=("Ann Smith",), category=Category.TEXT)

    verdict = judge(told, answer(description="Name such as Ann Smith of who placed it.", semantic_type="person_name"))

    assert isinstance(verdict, Rejected)


def test_a_persons_comment_stays_the_description() -> None:
    job = Job(id=1, key="orders.ord_dt", input=facts(comment="When the ink dried.").dump())

    verdict = KIND.accept(job, answer(), {})
    fallback = KIND.fallback(job, {})

    assert isinstance(verdict, Accepted)
    assert verdict.result["description"] == verdict.result["existing"] == "When the ink dried."
    assert verdict.result["proposed"] == GOOD["description"]
    assert verdict.result["source"] == "model"
    assert fallback is not None
    assert (fallback["description"], fallback["source"]) == ("When the ink dried.", "rule")


def test_a_long_comment_is_kept_whole_but_not_sent_whole() -> None:
    told = facts(comment="When the ink dried. " * 500)

    result = KIND.fallback(Job(id=1, key="orders.ord_dt", input=told.dump()), {})

    assert result is not None
    assert result["description"] == told.comment.strip()
    assert sum(len(message.content) for message in messages(told)) < 5000
