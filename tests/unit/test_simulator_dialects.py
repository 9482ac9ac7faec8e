"""How the three providers write the same thing."""

import random
import statistics

import pytest

from core.errors import InputError
from scripts.simulator.dialects import ANTHROPIC, AZURE, OPENAI, error_body, go_duration, retry_headers
from scripts.simulator.latency import parse_latency
from scripts.simulator.limits import Level
from scripts.simulator.refusals import Refusal
from scripts.simulator.routes import Endpoint, find_route

LEVELS = [Level(dimension="requests", limit=600, remaining=599, reset_s=0.1)]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0ms"), (0.012, "12ms"), (0.9994, "999ms"), (8.64, "8.64s"), (59.9999, "1m0s"), (360, "6m0s"),
     (61.5, "1m1.5s"), (3600, "1h0m0s"), (7325.25, "2h2m5.25s")],
)  # fmt: skip
def test_durations_are_written_as_go_does(seconds: float, text: str) -> None:
    assert go_duration(seconds) == text


def test_retry_after_is_rounded_up_so_that_nobody_comes_too_early() -> None:
    assert retry_headers(1.0001) == {"retry-after": "2", "retry-after-ms": "1001"}
    assert retry_headers(0.25) == {"retry-after": "1", "retry-after-ms": "250"}


def test_openai_tells_limit_rest_and_time_to_full() -> None:
    assert OPENAI.limits(LEVELS, 0.0) == {
        "x-ratelimit-limit-requests": "600",
        "x-ratelimit-remaining-requests": "599",
        "x-ratelimit-reset-requests": "100ms",
    }


def test_azure_says_minus_one_where_it_counts_nothing() -> None:
    headers = AZURE.limits(LEVELS, 0.0)

    assert headers["x-ratelimit-remaining-requests"] == "599"
    assert headers["x-ratelimit-remaining-tokens"] == headers["x-ratelimit-limit-tokens"] == "-1"


def test_anthropic_tells_the_reset_as_a_date() -> None:
    assert ANTHROPIC.limits(LEVELS, 1_700_000_000.0) == {
        "anthropic-ratelimit-requests-limit": "600",
        "anthropic-ratelimit-requests-remaining": "599",
        "anthropic-ratelimit-requests-reset": "2023-11-14T22:13:20Z",
    }


def test_each_writes_errors_in_its_own_shape() -> None:
    refusal = Refusal(status=429, message="Slow down.", type="requests", code="rate_limit_exceeded")

    assert OPENAI.error(refusal, "1")["error"] == {
        "message": "Slow down.",
        "type": "requests",
        "param": None,
        "code": "rate_limit_exceeded",
    }
    assert AZURE.error(refusal, "1") == {"error": {"code": "rate_limit_exceeded", "message": "Slow down."}}
    assert ANTHROPIC.error(refusal, "1") == {
        "type": "error",
        "error": {"type": "rate_limit_error", "message": "Slow down."},
        "request_id": "1",
    }


def test_azure_tells_why_content_was_filtered() -> None:
    error = AZURE.error(Refusal(status=400, message="Filtered.", code="content_filter"), "1")["error"]

    assert error["innererror"]["code"] == "ResponsibleAIPolicyViolation"


def test_a_gateway_sends_a_page() -> None:
    body, content_type = error_body(OPENAI, Refusal(status=502, message="", page=True), "1")

    assert content_type == "text/html"
    assert b"502 Bad Gateway" in body


@pytest.mark.parametrize(
    ("path", "endpoint", "name"),
    [
        ("/v1/chat/completions", Endpoint.CHAT, ""),
        ("/v1/embeddings", Endpoint.EMBEDDINGS, ""),
        ("/v1/messages", Endpoint.MESSAGES, ""),
        ("/v1/models", Endpoint.MODELS, ""),
        ("/v1/models/meta-llama/Llama-3", Endpoint.MODELS, "meta-llama/Llama-3"),
        ("/openai/deployments/mine/chat/completions", Endpoint.CHAT, "mine"),
        ("/openai/deployments/mine/embeddings", Endpoint.EMBEDDINGS, "mine"),
        ("/openai/v1/chat/completions", Endpoint.CHAT, ""),
    ],
)
def test_paths_lead_to_their_endpoint(path: str, endpoint: Endpoint, name: str) -> None:
    route = find_route(path)

    assert route is not None
    assert (route.endpoint, route.name) == (endpoint, name)


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/chat/completions/", "/openai/deployments//embeddings", "/v2/embeddings"]
)
def test_other_paths_lead_nowhere(path: str) -> None:
    assert find_route(path) is None


@pytest.mark.parametrize(
    ("spec", "median", "mean"),
    [("0.2", 0.2, 0.2), ("lognormal:0.5,0.5", 0.5, 0.5665), ("heavy:0.1,0.05,20", 0.1, 0.195)],
)
def test_latencies_have_the_median_and_mean_they_promise(spec: str, median: float, mean: float) -> None:
    rng, latency = random.Random(7), parse_latency(spec)

    drawn = [latency.draw(rng) for _ in range(20_000)]

    assert statistics.median(drawn) == pytest.approx(median, rel=0.03)
    assert statistics.mean(drawn) == pytest.approx(mean, rel=0.05)


@pytest.mark.parametrize(
    "spec", ["", "x", "-1", "nan", "lognormal:1", "heavy:1,2,3", "gauss:1,2", "0.1,0.2", "heavy:1,0.1"]
)
def test_a_latency_that_cannot_be_read_is_refused(spec: str) -> None:
    with pytest.raises(InputError):
        parse_latency(spec)
