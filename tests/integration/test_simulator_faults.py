"""Each fault as a client meets it, and what the book says of it."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import httpx
import pytest

from core.model import Message
from core.providers.vectors import decode
from scripts.simulator.damage import HUGE_BYTES
from scripts.simulator.testing import Remote, running

CHAT: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Say hello."}]}
EMBED: dict[str, Any] = {"model": "text-embedding-3-small", "input": ["a", "b"]}
DOCSTRING = {"summary": "Adds.", "params": [{"name": "a", "description": "x"}], "raises": []}


def nobody(_messages: Sequence[Message]) -> str | None:
    """Writes nothing by rule, so that the simulator's own answers are seen."""
    return None


@pytest.fixture(scope="module")
def sim() -> Iterator[Remote]:
    with running(tokens="approx", writer=lambda _: json.dumps(DOCSTRING)) as remote:
        yield remote


@pytest.fixture
def faulty(sim: Remote) -> Iterator[Remote]:
    sim.reset()
    yield sim
    sim.fail()


def chat(remote: Remote, timeout: float = 10) -> httpx.Response:
    return httpx.post(f"{remote.base_url}/chat/completions", json=CHAT, timeout=timeout)


def content(remote: Remote) -> str:
    text = chat(remote).json()["choices"][0]["message"]["content"]
    assert isinstance(text, str)
    return text


def seen(remote: Remote) -> tuple[dict[str, int], int]:
    """By status, and how many were billed."""
    stats = remote.stats()
    return stats["by_status"], stats["unique"] + stats["duplicates"]


@pytest.mark.parametrize("fault", ["nan-vector", "short-vector", "zero-vector"])
@pytest.mark.parametrize("encoding", ["float", "base64"])
def test_one_vector_of_a_request_can_be_bad(faulty: Remote, fault: str, encoding: str) -> None:
    faulty.fail(fault)

    answer = httpx.post(f"{faulty.base_url}/embeddings", json=EMBED | {"encoding_format": encoding})

    decoded = decode(json.loads(answer.text)["data"], count=2, dimensions=1536)
    assert list(decoded.flaws) == [0]


@pytest.mark.parametrize(
    "name",
    ["400", "401", "403", "404", "408", "409", "413", "422", "429", "500", "502", "503", "504", "529"],
)
def test_an_error_status_is_answered_and_not_billed(faulty: Remote, name: str) -> None:
    faulty.fail(name)

    assert chat(faulty).status_code == int(name)
    assert seen(faulty) == ({name: 1}, 0)


def test_rate_limits_say_when_to_come_back_in_every_form(faulty: Remote) -> None:
    headers = {}
    for name in ("429", "429-ms", "429-date", "429-bare"):
        faulty.fail(name)
        headers[name] = chat(faulty).headers

    assert (headers["429"]["retry-after"], headers["429"]["retry-after-ms"]) == ("1", "1000")
    assert "retry-after" not in headers["429-ms"]
    assert headers["429-ms"]["retry-after-ms"] == "1000"
    assert parsedate_to_datetime(headers["429-date"]["retry-after"]).tzinfo is not None
    assert not {"retry-after", "retry-after-ms"} & set(headers["429-bare"])


def test_an_exhausted_quota_is_a_429_that_names_money(faulty: Remote) -> None:
    faulty.fail("429-quota")
    reply = chat(faulty)

    assert reply.status_code == 429
    assert reply.json()["error"]["code"] == reply.json()["error"]["type"] == "insufficient_quota"
    assert "retry-after" not in reply.headers


@pytest.mark.parametrize(("name", "told"), [("500-no-retry", "false"), ("400-retry", "true")])
def test_the_server_can_overrule_the_clients_retry_policy(faulty: Remote, name: str, told: str) -> None:
    faulty.fail(name)

    assert chat(faulty).headers["x-should-retry"] == told


def test_filtered_content_is_a_400_or_an_empty_answer(faulty: Remote) -> None:
    faulty.fail("content-filter")
    assert chat(faulty).json()["error"]["code"] == "content_filter"

    faulty.fail("content-filter-200")
    choice = chat(faulty).json()["choices"][0]
    assert (choice["finish_reason"], choice["message"]["content"]) == ("content_filter", "")


def test_a_hang_lasts_until_the_client_goes(faulty: Remote) -> None:
    faulty.fail("hang")

    with pytest.raises(httpx.ReadTimeout):
        chat(faulty, timeout=0.3)
    assert seen(faulty) == ({"hang": 1}, 0)
    assert faulty.stats()["in_flight"] == 0


def test_a_slow_body_never_times_out_between_its_bytes(faulty: Remote) -> None:
    faulty.fail("slow-loris")

    async def bytes_within(seconds: float) -> int:
        received = 0
        async with aiohttp.ClientSession() as session:
            try:
                async with (
                    asyncio.timeout(seconds),
                    session.post(f"{faulty.base_url}/chat/completions", json=CHAT) as reply,
                ):
                    async for part in reply.content.iter_any():
                        received += len(part)
            except TimeoutError:
                return received
        return -1

    assert 1 <= asyncio.run(bytes_within(2.5)) <= 3
    assert seen(faulty) == ({"200": 1}, 0)


def test_a_reset_breaks_the_connection(faulty: Remote) -> None:
    faulty.fail("reset")

    with pytest.raises(httpx.ReadError, match="reset by peer"):
        chat(faulty)
    assert seen(faulty) == ({"reset": 1}, 0)


def test_a_truncated_body_ends_before_its_length(faulty: Remote) -> None:
    faulty.fail("truncated")

    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete"):
        chat(faulty)
    assert seen(faulty)[1] == 0


def test_a_huge_body_is_a_right_answer_of_200_megabytes(faulty: Remote) -> None:
    faulty.fail("huge")

    with httpx.stream("POST", f"{faulty.base_url}/chat/completions", json=CHAT, timeout=10) as reply:
        assert int(reply.headers["content-length"]) == HUGE_BYTES == 200 * 2**20
        assert next(reply.iter_bytes()).startswith(b'{"id":"chatcmpl-')
    faulty.fail("huge")
    whole = chat(faulty, timeout=30)
    assert len(whole.content) == HUGE_BYTES
    assert whole.json()["choices"][0]["message"]["content"] == json.dumps(DOCSTRING)


def test_a_redirect_names_a_place_that_counts_who_follows(faulty: Remote) -> None:
    faulty.fail("redirect:1")
    reply = chat(faulty)

    assert reply.status_code == 307
    assert faulty.stats()["redirects_followed"] == 0
    followed = httpx.post(reply.headers["location"], json=CHAT, timeout=10)
    assert followed.status_code == 200
    assert faulty.stats()["redirects_followed"] == 1


def test_whole_answers_that_are_none_have_status_200_and_are_not_billed(faulty: Remote) -> None:
    replies = {}
    for name in ("malformed", "html", "null", "wrong-shape", "empty-choices"):
        faulty.fail(name)
        replies[name] = chat(faulty)

    assert {reply.status_code for reply in replies.values()} == {200}
    with pytest.raises(json.JSONDecodeError):
        replies["malformed"].json()
    assert replies["html"].headers["content-type"].startswith("text/html")
    assert replies["null"].json() is None
    assert "choices" not in replies["wrong-shape"].json()
    assert replies["empty-choices"].json()["choices"] == []
    assert seen(faulty) == ({"200": 5}, 0)


def test_wrong_contents_are_well_formed_and_billed(faulty: Remote) -> None:
    texts = {}
    for name in ("prose", "bad-json", "wrong-schema", "wrong-params", "invented-raises"):
        faulty.fail(name)
        texts[name] = content(faulty)

    assert texts["prose"].startswith("Sure!")
    with pytest.raises(json.JSONDecodeError):
        json.loads(texts["bad-json"])
    assert "summary" not in json.loads(texts["wrong-schema"])
    assert json.loads(texts["wrong-params"])["params"][0]["name"] == "a_value"
    assert json.loads(texts["invented-raises"])["raises"]
    assert seen(faulty) == ({"200": 5}, 5)


def test_embeddings_can_come_short_or_empty(faulty: Remote) -> None:
    lengths = {}
    for name in ("wrong-schema", "empty-choices", "prose"):
        faulty.fail(name)
        lengths[name] = len(httpx.post(f"{faulty.base_url}/embeddings", json=EMBED, timeout=10).json()["data"])

    assert lengths == {"wrong-schema": 1, "empty-choices": 0, "prose": 2}


def test_poison_in_one_input_refuses_the_whole_batch(faulty: Remote) -> None:
    faulty.fail("poison:bad apple")
    inputs = ["good", "a bad apple", "good too"]

    both = [
        httpx.post(f"{faulty.base_url}/embeddings", json=EMBED | {"input": given}, timeout=10).status_code
        for given in (inputs, [inputs[0], inputs[2]])
    ]

    assert both == [400, 200]


def test_a_flapping_provider_is_away_and_comes_back(faulty: Remote) -> None:
    faulty.fail("flapping:0,1000")
    assert chat(faulty).status_code == 503

    faulty.fail("flapping:1000,1")
    assert chat(faulty).status_code == 200


def test_the_book_tells_when_three_failures_were_answered_in_a_row(faulty: Remote) -> None:
    for fault in (["500:2"], [], ["429:1"], ["503:4"]):
        faulty.fail(*fault)
        for _ in range(4 if fault == ["503:4"] else 2):
            chat(faulty)

    stats = faulty.stats()
    assert (stats["requests"], stats["third_failure"]) == (10, {"requests": 9, "in_flight": 0})


def test_a_fault_takes_its_share_of_a_sweep() -> None:
    with (
        running(writer=nobody, tokens="approx", fail=["500:0.2", "429-quota:3"]) as remote,
        httpx.Client(timeout=10) as client,
    ):
        for number in range(300):
            body = {**CHAT, "messages": [{"role": "user", "content": f"Job {number}"}]}
            client.post(f"{remote.base_url}/chat/completions", json=body)
        stats = remote.stats()

    assert stats["by_status"]["429"] == 3
    assert stats["by_status"]["500"] == pytest.approx(60, abs=25)
    assert stats["unique"] == stats["by_status"]["200"]
    assert stats["faults"] == {"500": stats["by_status"]["500"], "429-quota": 3}


def test_latency_also_delays_server_errors_but_not_refusals() -> None:
    with running(writer=nobody, latency="2", tokens="approx") as remote:
        took = {}
        for name in ("500", "400"):
            remote.fail(name)
            took[name] = chat(remote).elapsed.total_seconds()

    assert took["500"] >= 2 > took["400"]


def test_azure_and_anthropic_meet_faults_in_their_own_words(faulty: Remote) -> None:
    faulty.fail("429")
    azure = httpx.post(
        f"{faulty.url}/openai/deployments/d/chat/completions?api-version=2024-10-21", json=CHAT, timeout=10
    )
    anthropic = httpx.post(
        f"{faulty.base_url}/messages",
        json={"model": "claude", "max_tokens": 9, "messages": CHAT["messages"]},
        headers={"anthropic-version": "2023-06-01"},
        timeout=10,
    )

    assert set(azure.json()["error"]) == {"code", "message"}
    assert anthropic.json()["error"]["type"] == "rate_limit_error"
