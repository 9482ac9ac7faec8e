"""A sweep comes into PostgreSQL: whole, once, in the order of its inputs."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy

from core.errors import InputError
from core.model import (
    JobDraft,
    SweepState,
)
from db.engine import transaction
from db.progress import status
from db.results import rows
from db.submission import submit
from tests.sweeps import TWO, Note, count, drafts, spec


def test_jobs_keep_the_order_of_their_inputs_over_all_variants(engine: sqlalchemy.Engine) -> None:
    made = submit(engine, spec(targets=TWO), drafts(6))
    assert (made.jobs, made.created, made.state) == (12, True, SweepState.RUNNING)
    keys = [row.key for row in rows(engine, "first")]
    assert keys[:3] == ["k0 @ openai/small", "k0 @ azure/large", "k1 @ openai/small"]
    assert keys[8:] == ["k4 @ openai/small", "k4 @ azure/large", "k5 @ openai/small", "k5 @ azure/large"]
    assert count(engine, "chunks") == 4


def test_the_same_submission_again_is_the_same_sweep(engine: sqlalchemy.Engine) -> None:
    first = submit(engine, spec(budget_usd=1), drafts(6))

    def unread() -> Iterator[JobDraft]:
        raise AssertionError("a sweep that exists needs no source")
        yield

    again = submit(engine, spec(budget_usd=2, description="again"), unread())
    assert (again.sweep_id, again.jobs, again.created) == (first.sweep_id, 6, False)


def test_another_spec_under_the_same_name_is_refused_and_told_apart(engine: sqlalchemy.Engine) -> None:
    submit(engine, spec(), drafts(2))
    with pytest.raises(InputError, match="chunk_size is 4, now 8"):
        submit(engine, spec(chunk_size=8), drafts(2))


def test_a_digest_that_an_earlier_version_stored_does_not_make_it_another_spec(engine: sqlalchemy.Engine) -> None:
    first = submit(engine, spec(), drafts(2))
    with transaction(engine) as cursor:
        cursor.execute("UPDATE sweeps SET digest = 'as it was counted then'")
    again = submit(engine, spec(), drafts(2))
    assert (again.sweep_id, again.created) == (first.sweep_id, False)


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ([], "no jobs"),
        ([JobDraft(key="a, (b)=1", input={}), JobDraft(key="a, (b)=1", input={})], r"'a, \(b\)=1'"),
        ([JobDraft(key="x" * 5000, input={})], "too long"),
        ([JobDraft(key="", input={})], "empty"),
        ([JobDraft(key="a\0b", input={})], "not text"),
    ],
)
def test_a_bad_source_leaves_nothing_behind(engine: sqlalchemy.Engine, given: list[JobDraft], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        submit(engine, spec(), given)
    assert [count(engine, table) for table in ("groups", "sweeps", "chunks", "jobs")] == [0, 0, 0, 0]


def test_a_source_that_breaks_midway_leaves_nothing_behind(engine: sqlalchemy.Engine) -> None:
    def breaking() -> Iterator[JobDraft]:
        yield from (JobDraft(key=f"k{n}", input={"text": "x" * 2000}) for n in range(5000))
        raise OSError("disk gone")

    with pytest.raises(OSError, match="disk gone"):
        submit(engine, spec(), breaking())
    assert count(engine, "jobs") == 0


def test_no_source_names_its_first_problem(engine: sqlalchemy.Engine) -> None:
    with pytest.raises(InputError) as caught:
        submit(engine, spec(), [], problems=[Note(where="a.py:3", what="does not parse")])
    assert "a.py:3" in caught.value.hint


def test_problems_found_while_streaming_are_kept(engine: sqlalchemy.Engine) -> None:
    problems: list[Note] = []

    def streaming() -> Iterator[JobDraft]:
        yield JobDraft(key="k", input={})
        problems.append(Note(where="b.py", what="binary"))

    submit(engine, spec(), streaming(), problems=problems)
    assert status(engine, "first").problems == ({"where": "b.py", "what": "binary"},)


def test_of_very_many_problems_the_first_are_kept_and_the_others_counted(engine: sqlalchemy.Engine) -> None:
    problems = [Note(where=f"b{n}.py", what="binary", by_design=n < 1_000) for n in range(1_500)]
    submit(engine, spec(), drafts(1), problems=problems)
    kept = status(engine, "first").problems
    assert len(kept) == 1_001
    assert kept[-1] == {"where": "the source", "what": "500 problems more"}


def test_two_producers_of_one_name_make_one_sweep(database_url: str, engine: sqlalchemy.Engine) -> None:
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: submit(database_url, spec(), drafts(500)), range(4)))
    assert sorted(m.created for m in made) == [False, False, False, True]
    assert len({m.sweep_id for m in made}) == 1
    assert count(engine, "jobs") == 500


def test_keys_and_inputs_survive_any_text(engine: sqlalchemy.Engine) -> None:
    odd = ["tab\tand\nline", "back\\slash", "\\N", "ü \U0001f600", 'it\'s "quoted"; DROP TABLE jobs --']
    submit(engine, spec(), [JobDraft(key=key, input={"text": key + "\0", key: [1.5, None]}) for key in odd])
    found = list(rows(engine, "first"))
    assert [row.key for row in found] == odd
    assert [row.input for row in found] == [{"text": key + "\0", key: [1.5, None]} for key in odd]


def test_of_drafts_with_one_key_the_first_becomes_a_job_however_far_apart_they_are(engine: sqlalchemy.Engine) -> None:
    def far_apart() -> Iterator[JobDraft]:
        for n in range(6_000):  # some batches
            yield JobDraft(key=f"ü{n}", input={"text": "x" * 2_000})
        yield from (JobDraft(key=f"ü{n}", input={}) for n in (7, 8, 9, 10, 11))
        yield JobDraft(key="a", input={})
        yield JobDraft(key="b", input={"first": True})
        yield JobDraft(key="b", input={"first": False})

    repeated: list[str] = []
    made = submit(engine, spec(targets=TWO), far_apart(), on_repeat=repeated.append)
    assert repeated == ["ü7", "ü8", "ü9", "ü10", "ü11", "b"]
    assert made.jobs == count(engine, "jobs") == 2 * 6_002
    with transaction(engine) as cursor:
        cursor.execute("SELECT sum(jobs), count(*), min(jobs) FROM chunks")
        assert cursor.fetchone() == (2 * 6_002, 2 * 1_501, 2)
        cursor.execute("SELECT input_json -> 'first' FROM jobs WHERE key LIKE 'b @%'")
        assert cursor.fetchall() == [(True,), (True,)]
