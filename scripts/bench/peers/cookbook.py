"""The OpenAI Cookbook's parallel request script, in the form in which the package ``parareq`` ships it.

Runs in a virtual environment of its own. Limits are set so high that they never count.
"""

import importlib
import json
import logging
import sys
import tempfile
import time
import types
from pathlib import Path

import tiktoken

from scripts.bench.peers.measure import MODEL, Measured, arguments, cpu_s, messages, tell

_NO_LIMIT = 10_000_000.0
_ENCODING = "cl100k_base"
_WARM = 100


def _processor() -> type:
    # The package takes its default key from a module of its author's that was never published.
    secret = types.ModuleType("synthgpt.secret")
    vars(secret)["OPENAI_API_KEY"] = "simulated"
    sys.modules |= {"synthgpt": types.ModuleType("synthgpt"), "synthgpt.secret": secret}
    processor: type = importlib.import_module("parareq.parareq").APIRequestProcessor
    return processor


def main(url: str, count: int) -> Measured:
    tiktoken.get_encoding(_ENCODING).encode("loaded before anything is measured")
    with tempfile.TemporaryDirectory() as directory:
        _run(url, Path(directory) / "warm.jsonl", _WARM)
        cpu, wall = cpu_s(), time.perf_counter()
        _run(url, Path(directory) / "all.jsonl", count)
        return Measured(calls=count, cpu_s=cpu_s() - cpu, wall_s=time.perf_counter() - wall)


def _run(url: str, asked: Path, count: int) -> None:
    asked.write_text("".join(json.dumps({"model": MODEL, "messages": messages(i)}) + "\n" for i in range(count)))
    answers = asked.with_suffix(".answers.jsonl")
    processor = _processor()(
        requests_filepath=str(asked),
        save_filepath=str(answers),
        request_url="https://simulated/v1/chat/completions",  # it reads no http
        api_key="simulated",
        max_requests_per_minute=_NO_LIMIT,
        max_tokens_per_minute=_NO_LIMIT,
        token_encoding_name=_ENCODING,
        max_attempts=5,
        logging_level=logging.ERROR,
    )
    processor.request_url = f"{url}/chat/completions"
    processor.run()
    answered = sum(isinstance(json.loads(line)[1], dict) for line in answers.read_text().splitlines())
    if answered != count:
        raise SystemExit(f"{answered} of {count} calls answered")


if __name__ == "__main__":
    tell(main(*arguments()))
