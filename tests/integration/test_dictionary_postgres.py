"""The dictionary on a real PostgreSQL: several schemas, odd names, what may not be read, comments there and back."""

import contextlib
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from core.errors import InputError
from core.model import ChatRequest, Job, JobDraft, JobState, ResultRow, Usage, Variant
from tasks.dictionary import KIND
from tasks.kind import Problem
from tests import records

WORLD = """
CREATE SCHEMA sales;
CREATE SCHEMA "Odd Schema";
CREATE TYPE sales.tier AS ENUM ('plantedgold', 'plantedsilver');
CREATE TABLE sales.customer (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email text UNIQUE, tier sales.tier, note text DEFAULT 'planteddefault', ip inet, profile jsonb, tags text[],
    balance numeric(12, 2), born date, last_seen timestamptz DEFAULT now(), active boolean NOT NULL, avatar bytea,
    spot point, far interval
);
COMMENT ON TABLE sales.customer IS 'People who buy.';
COMMENT ON COLUMN sales.customer.note IS 'What the agent''s "notes" say; kept by hand.';
INSERT INTO sales.customer (email, tier, note, ip, profile, tags, balance, born, last_seen, active, avatar, spot, far)
SELECT 'planted' || n || '@corp.example', 'plantedgold', 'planted note ' || n, '10.1.2.3', '{"planted": true}',
       ARRAY['plantedtag'], 777123.45 + n, DATE '4711-01-01', 'infinity', true, 'planted', point(1, 2), '1 day'
FROM generate_series(1, 60) n;
CREATE TABLE "Odd Schema"."we;ird ""na'me""; DROP TABLE sales.customer; -- 100% :x" (
    "col""1; --" text, "50% :off" text, customer_id bigint REFERENCES sales.customer (id), PRIMARY KEY ("col""1; --")
);
CREATE TABLE sales.event (at date, what text) PARTITION BY RANGE (at);
CREATE TABLE sales.event_2026 PARTITION OF sales.event FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE MATERIALIZED VIEW sales.summary AS SELECT tier, count(*) AS customers FROM sales.customer GROUP BY tier;
CREATE VIEW sales.raises AS SELECT 1 / (id - id) AS boom FROM sales.customer;
CREATE TABLE public.customer (id int PRIMARY KEY, parent_id int REFERENCES public.customer (id));
"""


@contextlib.contextmanager
def connected(url: str) -> Iterator[Any]:
    with contextlib.closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        yield connection.cursor()


@pytest.fixture
def shop(database_url: str) -> str:
    with connected(database_url) as cursor:
        cursor.execute(WORLD)
    return database_url


def found(url: str, *, options: dict[str, Any] | None = None, **source: Any) -> dict[str, JobDraft | Problem]:
    items = KIND.jobs({"url": url, "schemas": ["sales", "Odd Schema"], **source}, options or {})
    return {item.where if isinstance(item, Problem) else item.key: item for item in items}


def draft(items: dict[str, JobDraft | Problem], key: str) -> dict[str, Any]:
    item = items[key]
    assert isinstance(item, JobDraft), item
    return dict(item.input)


def prompt(item: JobDraft) -> str:
    request = KIND.request(Job(id=1, key=item.key, input=item.input), Variant(provider="rules", model="rules"), {})
    assert isinstance(request, ChatRequest)
    return "\n".join(message.content for message in request.messages)


def row(item: JobDraft, number: int) -> ResultRow:
    job = Job(id=number, key=item.key, input=item.input)
    return records.row(
        number,
        key=item.key,
        input=item.input,
        state=JobState.FALLBACK,
        result=KIND.fallback(job, {}),
        attempts=0,
        tokens=Usage(),
        cost_usd=0.0,
        call_id=None,
    )


def test_columns_of_several_schemas_are_told_apart_and_keep_their_keys(shop: str) -> None:
    items = found(shop)

    customer = draft(items, "sales.customer.id")
    odd = [item for key, item in items.items() if key.endswith(".customer_id")]
    assert customer["primary_key"]
    assert isinstance(odd[0], JobDraft)
    assert odd[0].input["references"] == ["sales.customer.id"]
    assert draft(items, "sales.customer.email")["unique"]
    assert not any(key.startswith("sales.event_2026") for key in items), "partitions repeat their parent"
    assert draft(items, "sales.summary.customers")["kind"] == "view"


def test_all_schemas_of_the_user_are_read_when_none_is_named(shop: str) -> None:
    items = found(shop, schemas=[], tables=["customer", "raw_calls"])

    assert {key.split(".")[0] for key in items} == {"sales", "public"}
    assert draft(items, "public.customer.parent_id")["references"] == ["public.customer.id"]


def test_no_literal_of_the_data_is_in_any_prompt(shop: str) -> None:
    prompts = [prompt(item) for item in found(shop).values() if isinstance(item, JobDraft)]

    text = "\n".join(prompts).lower()
    assert len(prompts) > 15
    for literal in ("planted", "777", "4711", "10.1.2.3", "corp.example"):
        assert literal not in text


def test_values_of_an_allowed_column_are_told_and_of_no_other(shop: str) -> None:
    items = found(shop, options={"allow_columns": ["customer.tier"]})

    told = [key for key, item in items.items() if isinstance(item, JobDraft) and "planted" in prompt(item)]
    assert told == ["sales.customer.tier"]


def test_semantic_types_follow_types_names_and_values(shop: str) -> None:
    items = found(shop)

    meanings = {key.rpartition(".")[2]: draft(items, key).get("detected") for key in items if "sales.customer." in key}
    assert meanings == {
        "id": "identifier",
        "email": "email",
        "tier": "enum",
        "note": "text",
        "ip": "ip_address",
        "profile": "json",
        "tags": "list",
        "balance": "currency_amount",
        "born": "date",
        "last_seen": "timestamp",
        "active": "boolean",
        "avatar": "binary",
        "spot": "geo",
        "far": "duration",
    }


def test_a_view_that_fails_is_a_problem_and_the_others_go_on(shop: str) -> None:
    items = found(shop)

    problem = items["sales.raises"]
    assert isinstance(problem, Problem)
    assert problem.what == "division by zero"
    assert "sales.summary.customers" in items


def test_a_table_without_permission_is_a_problem_and_the_others_go_on(shop: str) -> None:
    role = f"reader_{uuid.uuid4().hex}"
    with connected(shop) as cursor:
        cursor.execute(
            f"CREATE ROLE {role} LOGIN PASSWORD 'reader'; GRANT USAGE ON SCHEMA sales TO {role};"
            f" GRANT SELECT ON sales.event TO {role}"
        )
        try:
            host = shop.rpartition("@")[2]
            items = found(f"postgresql://{role}:reader@{host}", schemas=["sales"])
        finally:
            cursor.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")

    denied = items["sales.customer"]
    assert isinstance(denied, Problem)
    assert "permission denied" in denied.what
    assert "event.what" in items or "sales.event.what" in items


def test_a_view_that_takes_too_long_is_described_without_statistics(shop: str) -> None:
    with connected(shop) as cursor:
        cursor.execute("CREATE VIEW sales.slow AS SELECT pg_sleep(60)::text AS answer")

    items = found(shop, tables=["slow"], options={"statement_timeout_s": 3})

    told = items["sales.slow"]
    assert isinstance(told, Problem)
    assert told.by_design
    assert "statistics" not in draft(items, "slow.answer")


def test_two_runs_give_the_same_bytes_whatever_the_order_of_the_rows(shop: str) -> None:
    before = [prompt(item) for item in found(shop).values() if isinstance(item, JobDraft)]
    with connected(shop) as cursor:  # moves rows within the heap without changing one
        cursor.execute("UPDATE sales.customer SET note = note WHERE id % 2 = 0")

    after = [prompt(item) for item in found(shop).values() if isinstance(item, JobDraft)]

    assert after == before


def test_a_sample_of_a_large_table_is_the_same_with_and_without_a_key(shop: str) -> None:
    with connected(shop) as cursor:
        cursor.execute(
            "CREATE TABLE sales.large (n int, text text); INSERT INTO sales.large SELECT n, md5(n::text) FROM"
            " generate_series(1, 3000) n; CREATE TABLE sales.large2 AS SELECT * FROM sales.large ORDER BY text"
        )

    items = found(shop, tables=["large*"], options={"sample_rows": 100})

    first, second = draft(items, "large.text"), draft(items, "large2.text")
    assert first["statistics"] == second["statistics"] | {}
    assert first["samples"] == second["samples"]
    assert first["statistics"]["sampled"]
    assert first["statistics"]["rows"] == 100


def test_nothing_is_written_and_no_transaction_stays_open(shop: str) -> None:
    with connected(shop) as cursor:
        cursor.execute("CREATE TABLE sales.log (n int); CREATE SEQUENCE sales.counter")
        cursor.execute("CREATE VIEW sales.writes AS SELECT nextval('sales.counter') AS n")

    items = found(shop)

    problem = items["sales.writes"]
    assert isinstance(problem, Problem)
    assert "read-only" in problem.what


def test_comments_applied_to_the_database_read_back_and_human_ones_stay(shop: str, tmp_path: Path) -> None:
    items = [item for item in found(shop).values() if isinstance(item, JobDraft)]
    out = tmp_path / "comments.sql"
    KIND.export((row(item, n) for n, item in enumerate(items)), "sql", out)
    with connected(shop) as cursor:
        cursor.execute(out.read_text())

    again = found(shop)

    for item in items:
        now = draft(again, item.key)["comment"]
        result = KIND.fallback(Job(id=1, key=item.key, input=item.input), {})
        assert result is not None
        assert now == result["description"]
    assert draft(again, "sales.customer.note")["comment"] == 'What the agent\'s "notes" say; kept by hand.'


def test_comments_of_a_single_schema_name_it_all_the_same(shop: str, tmp_path: Path) -> None:
    items = [item for item in found(shop, schemas=["sales"]).values() if isinstance(item, JobDraft)]
    out = tmp_path / "comments.sql"
    KIND.export((row(item, n) for n, item in enumerate(items)), "sql", out)

    assert {item.key.split(".")[0] for item in items} >= {"customer"}
    with connected(shop) as cursor:
        cursor.execute(out.read_text())
        cursor.execute("SELECT col_description('sales.customer'::regclass, 2)")
        assert cursor.fetchone()[0].startswith("E-mail address")


@pytest.mark.parametrize("change", ["password", "database", "port"])
def test_a_database_that_cannot_be_reached_is_bad_input_without_the_password(database_url: str, change: str) -> None:
    head, _, tail = database_url.rpartition("@")
    bad = {
        "password": f"{head}x@{tail}",
        "database": f"{head}@{tail.rpartition('/')[0]}/nosuch",
        "port": f"{head}@127.0.0.1:1/x",
    }[change]
    secret = head.rpartition(":")[2]

    with pytest.raises(InputError) as caught:
        list(KIND.jobs({"url": bad}, {}))

    assert secret not in f"{caught.value.message} {caught.value.hint}"
