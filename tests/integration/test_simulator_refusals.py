"""What the simulator refuses, in the providers' words, and how its quota and its book behave over HTTP."""

import time
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import openai
import pytest

from core.model import Message
from scripts.simulator.testing import Remote, running

CHAT: dict[str, Any] = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Say hello."}]}
EMBED: dict[str, Any] = {"model": "text-embedding-3-small", "input": "x"}
STRICT = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}


def nobody(_messages: Sequence[Message]) -> str | None:
    """Writes nothing by rule, so that the simulator's own answers are seen."""
    return None


@pytest.fixture(scope="module")
def sim() -> Iterator[Remote]:
    with running(writer=nobody, tokens="approx") as remote:
        yield remote


def post(remote: Remote, path: str, body: Any, **options: Any) -> httpx.Response:
    return httpx.post(f"{remote.url}{path}", json=body, timeout=10, **options)


def chat(remote: Remote, text: str = "Say hello.") -> httpx.Response:
    return post(remote, "/v1/chat/completions", {**CHAT, "messages": [{"role": "user", "content": text}]})


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"stream": True}, "stream"),
        ({"n": 2}, "n"),
        ({"messages": []}, "messages"),
        ({"messages": None}, "messages"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 7}]}, "messages[0].content"),
        ({"messages": ["x"]}, "messages[0]"),
        ({"temperature": 2.5}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_completion_tokens": "9"}, "max_completion_tokens"),
        ({"response_format": {"type": "yaml"}}, "response_format.type"),
        ({"response_format": {"type": "json_object"}}, "messages"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema.name"),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "s", "strict": True, "schema": STRICT},
                }
            },
            "response_format",
        ),
        ({"messages": [{"role": "user", "content": "word " * 110_000}]}, "messages"),
        ({"model": ""}, None),
    ],
)
def test_a_bad_chat_request_is_refused_with_the_parameter(
    sim: Remote, change: dict[str, Any], param: str | None
) -> None:
    reply = post(sim, "/v1/chat/completions", CHAT | change)

    error = reply.json()["error"]
    assert reply.status_code == 400
    assert set(error) == {"message", "type", "code", "param"}
    assert (error["type"], error["param"]) == ("invalid_request_error", param)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"input": ["x"] * 2049}, "array length must be 2048 or less"),
        ({"input": "word" * 8192}, "maximum context length is 8192 tokens, however you requested 8193 tokens"),
        ({"input": ["word" * 8000] * 38}, "Requested 304038 tokens, max 300000 tokens per request"),
        ({"input": ""}, "'$.input' is invalid"),
        ({"input": ["x", ""]}, "'$.input' is invalid"),
        ({"input": []}, "'$.input' is invalid"),
        ({"input": [1.5]}, "'$.input' is invalid"),
        ({"input": None}, "'$.input' is invalid"),
        ({"encoding_format": "hex"}, "'float' and 'base64'"),
        ({"dimensions": 1537}, "between 1 and 1536"),
        ({"dimensions": 0}, "between 1 and 1536"),
        ({"model": "text-embedding-ada-002", "dimensions": 256}, "does not support specifying dimensions"),
    ],
)
def test_a_bad_embedding_request_is_refused_in_openais_words(sim: Remote, change: dict[str, Any], words: str) -> None:
    reply = post(sim, "/v1/embeddings", EMBED | change)

    assert reply.status_code == 400
    assert words in reply.json()["error"]["message"]


def test_the_largest_embedding_request_passes(sim: Remote) -> None:
    inputs = ["word" * 140] * 2048

    reply = post(sim, "/v1/embeddings", EMBED | {"input": inputs, "dimensions": 8})

    assert len(reply.json()["data"]) == 2048


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/embeddings", {**EMBED, "model": "gpt-4o"}, 403),
        ("/v1/chat/completions", {**CHAT, "model": "text-embedding-3-small"}, 404),
        ("/v1/completions", CHAT, 404),
        ("/v1/chat/completions", [1], 400),
        ("/v1/messages", {"model": "claude", "max_tokens": 9, "messages": []}, 400),
        ("/v1/models", {}, 405),
    ],
)
def test_what_does_not_go_together_is_refused(sim: Remote, path: str, body: Any, status: int) -> None:
    assert post(sim, path, body).status_code == status


def test_a_body_that_is_no_json_or_too_large_is_refused(sim: Remote) -> None:
    broken = httpx.post(f"{sim.base_url}/chat/completions", content=b'{"model": ', timeout=10)
    huge = httpx.post(f"{sim.base_url}/chat/completions", content=b" " * (65 * 2**20), timeout=30)

    assert "could not parse the JSON body" in broken.json()["error"]["message"]
    assert huge.status_code == 413


def test_a_get_where_a_post_belongs_is_refused(sim: Remote) -> None:
    assert httpx.get(f"{sim.base_url}/chat/completions", timeout=10).status_code == 405


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, None),
        ({"authorization": "Bearer sk-wrong-wrong"}, "invalid_api_key"),
        ({"api-key": "x"}, "invalid_api_key"),
    ],
)
def test_a_wrong_key_is_refused_and_never_shown_whole(headers: dict[str, str], code: str | None) -> None:
    with running(writer=nobody, key="sk-right", tokens="approx") as remote:
        reply = post(remote, "/v1/chat/completions", CHAT, headers=headers)
        models = httpx.get(f"{remote.base_url}/models", headers=headers, timeout=10)
        right = post(remote, "/v1/chat/completions", CHAT, headers={"authorization": "Bearer sk-right"})

    assert (reply.status_code, models.status_code, right.status_code) == (401, 401, 200)
    assert reply.json()["error"]["code"] == code
    assert "sk-wrong-wrong" not in reply.text


def test_over_the_quota_is_a_429_that_says_when_to_come_back() -> None:
    with running(writer=nobody, rpm=2, tpm=100_000, tokens="approx") as remote:
        replies = [chat(remote, f"Call {number}.") for number in range(3)]
        stats = remote.stats()

    assert [reply.status_code for reply in replies] == [200, 200, 429]
    first, last = replies[0].headers, replies[2].headers
    assert first["x-ratelimit-limit-requests"] == "2"
    assert first["x-ratelimit-remaining-requests"] == "1"
    assert first["x-ratelimit-limit-tokens"] == "100000"
    assert first["x-ratelimit-reset-requests"].endswith("s")
    assert first["x-request-id"].startswith("req_")
    assert first["openai-processing-ms"].isdigit()
    assert 25 <= int(last["retry-after"]) <= 30
    assert int(last["retry-after-ms"]) == pytest.approx(30_000, abs=5_000)
    error = replies[2].json()["error"]
    assert (error["type"], error["code"]) == ("requests", "rate_limit_exceeded")
    assert "Please try again in " in error["message"]
    assert stats["by_status"] == {"200": 2, "429": 1}
    assert stats["windows"]["requests_60s"] == 2


def test_tokens_are_charged_as_prompt_and_completion_together() -> None:
    with running(writer=nobody, tpm=1000, burst=60) as remote:
        began = time.monotonic()
        replies = [chat(remote), chat(remote, "Say good-bye.")]
        come_back = 1000 / 60 * (time.monotonic() - began)
        too_large = chat(remote, "word " * 1500)

    left = int(replies[1].headers["x-ratelimit-remaining-tokens"])
    unused = 1000 - sum(reply.json()["usage"]["total_tokens"] for reply in replies)
    assert unused - 1 <= left <= unused + come_back + 1
    assert too_large.status_code == 429
    assert "Request too large" in too_large.json()["error"]["message"]
    assert "retry-after" not in too_large.headers


def test_limits_and_faults_change_while_it_runs() -> None:
    with running(writer=nobody, tokens="approx") as remote:
        assert chat(remote).status_code == 200
        assert remote.limit(rpm=1, burst=60) == {"rpm": 1, "tpm": None, "burst": 60.0}
        assert [chat(remote).status_code for _ in range(2)] == [200, 429]
        assert remote.limit(rpm=None)["rpm"] is None
        remote.fail("404")
        assert chat(remote).status_code == 404
        remote.fail()
        assert chat(remote).status_code == 200


@pytest.mark.parametrize(
    ("path", "body"),
    [("/limits", {"rpm": 0}), ("/limits", {"rps": 1}), ("/limits", []), ("/faults", {"fail": ["nope"]}),
     ("/faults", {"fail": "500"}), ("/faults", {})],
)  # fmt: skip
def test_a_change_that_cannot_be_read_changes_nothing_and_says_why(sim: Remote, path: str, body: Any) -> None:
    reply = post(sim, path, body)

    assert reply.status_code == 400
    assert reply.json()["error"]["message"]
    assert chat(sim).status_code == 200


def test_the_book_counts_what_was_asked_and_billed_by_fingerprint() -> None:
    with running(writer=nobody, fail=["500:1"], tokens="approx") as remote:
        for text in ("a", "a", "a", "b"):
            chat(remote, text)
        post(remote, "/v1/embeddings", EMBED | {"input": ["x", "y", "x"]})
        stats = remote.stats()
        brief = remote.stats(brief=True)
        remote.reset()
        after = remote.stats()

    assert stats["requests"] == 5
    assert stats["by_status"] == {"200": 4, "500": 1}
    assert stats["inputs"] == 4 + 3
    assert (stats["unique"], stats["duplicates"]) == (4, 2)
    assert sorted(stats["by_fingerprint"].values()) == [1, 1, 2, 2]
    assert sorted(stats["asked_by_fingerprint"].values()) == [1, 1, 2, 3]
    assert stats["faults"] == {"500": 1}
    assert sum(stats["per_second"]["requests"]) == 5
    assert "by_fingerprint" not in brief
    assert (after["requests"], after["unique"], after["by_fingerprint"]) == (0, 0, {})


def test_the_order_of_fields_does_not_change_a_fingerprint() -> None:
    with running(writer=nobody, tokens="approx") as remote:
        post(remote, "/v1/chat/completions", CHAT)
        post(remote, "/v1/chat/completions", dict(reversed(CHAT.items())))
        post(remote, "/v1/chat/completions", CHAT | {"temperature": 0.5})
        stats = remote.stats()

    assert (stats["unique"], stats["duplicates"]) == (2, 1)


def test_a_client_that_goes_away_is_billed_all_the_same() -> None:
    with running(writer=nobody, latency="30", tokens="approx") as remote:
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{remote.base_url}/chat/completions", json=CHAT, timeout=0.3)
        stats = remote.stats()

    assert (stats["unique"], stats["in_flight"], stats["abandoned"]) == (1, 0, 1)
    assert stats["by_status"] == {"499": 1}


def test_the_official_client_raises_its_own_errors() -> None:
    faults = {"400": openai.BadRequestError, "401": openai.AuthenticationError, "403": openai.PermissionDeniedError,
              "404": openai.NotFoundError, "409": openai.ConflictError, "422": openai.UnprocessableEntityError,
              "429": openai.RateLimitError, "429-quota": openai.RateLimitError,
              "500": openai.InternalServerError, "502": openai.InternalServerError,
              "content-filter": openai.BadRequestError}  # fmt: skip
    raised = {}
    with running(writer=nobody) as remote, openai.OpenAI(base_url=remote.base_url, api_key="k", max_retries=0) as api:
        for name in faults:
            remote.fail(name)
            with pytest.raises(openai.APIStatusError) as caught:
                api.chat.completions.create(**CHAT)
            raised[name] = type(caught.value)

    assert raised == faults
