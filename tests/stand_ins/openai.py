"""A stand-in for OpenAI's embeddings API, and for the servers that copy it (Azure, vLLM, Ollama, TEI).

Vectors are hashed bags of words: the same text gives the same vector, and texts that share words lie near each other.
Facts: platform.openai.com/docs/api-reference/embeddings and /guides/rate-limits, read 2026-11.
"""

from __future__ import annotations

import re
import threading
import time
from array import array
from base64 import b64encode
from collections import Counter, deque
from collections.abc import Callable
from functools import lru_cache
from hashlib import blake2b
from math import ceil, log1p, sqrt
from typing import Any, ClassVar

from kitestring.testing.stand_in import Answer, Call, Faults, Limit, StandIn, route, serve
from stand_ins.command_line import argument_parser

DIMENSIONS = {"text-embedding-3-small": 1536, "text-embedding-3-large": 3072, "text-embedding-ada-002": 1536}
MAX_INPUTS = 2048
MAX_REQUEST_TOKENS = 300_000
MAX_INPUT_TOKENS = 8192
API_KEY = "sk-larkspur"
TOKEN = re.compile(r"\w+")


def estimated_tokens(text: str) -> int:
    """About what a tokenizer counts, never much more: a quarter of the UTF-8 bytes."""
    return max(1, len(text.encode()) // 4)


class TokenLimit:
    """At most `tokens` in any `per_s` seconds."""

    def __init__(self, tokens: int, per_s: float = 60.0) -> None:
        self.tokens = tokens
        self.per_s = per_s
        self._spent: deque[tuple[float, int]] = deque()
        self._lock = threading.Lock()

    def take(self, tokens: int) -> float:
        """0 if the tokens may be spent now, else the seconds until they may."""
        with self._lock:
            now = time.monotonic()
            while self._spent and now - self._spent[0][0] >= self.per_s:
                self._spent.popleft()
            over = sum(n for _, n in self._spent) + tokens - self.tokens
            if over <= 0:
                self._spent.append((now, tokens))
                return 0.0
            for at, n in self._spent:
                over -= n
                if over <= 0:
                    return at + self.per_s - now
            return self.per_s


class OpenAIStandIn(StandIn):
    """The embeddings API on 127.0.0.1; an SDK's base URL is `server.base_url`.

    `dimension` is that of every model it does not know. `limits` are requests, `token_limit` tokens in a window; beyond
    them it answers 429 with Retry-After. What it answered is counted in `inputs` (texts, in order of arrival), `tokens`
    and `models`. `count` measures texts; the default is an estimate that errs on the small side.
    """

    name: ClassVar[str] = "OpenAI stand-in"

    def __init__(
        self,
        *,
        api_key: str = API_KEY,
        dimension: int = 1536,
        count: Callable[[str], int] = estimated_tokens,
        token_limit: TokenLimit | None = None,
        port: int = 0,
        faults: Faults | None = None,
        limits: tuple[Limit, ...] = (),
    ) -> None:
        super().__init__(port=port, faults=faults, limits=limits)
        self.api_key = api_key
        self.dimension = dimension
        self.count = count
        self.token_limit = token_limit
        self.inputs: list[str] = []
        self.tokens = 0
        self.models: Counter[str] = Counter()
        self._counting = threading.Lock()

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    def authorize(self, call: Call) -> Answer | None:
        if self.api_key in (call.headers.get("authorization", "").removeprefix("Bearer "), call.headers.get("api-key")):
            return None
        return self.refuse(401, "Incorrect API key provided. You can find your API key in your account.")

    def refuse(self, status: int, message: str) -> Answer:
        kinds = {401: "invalid_request_error", 429: "requests", 503: "server_error", 500: "server_error"}
        codes = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}
        error = {"message": message, "type": kinds.get(status, "invalid_request_error"), "param": None}
        return Answer(status, {"error": {**error, "code": codes.get(status)}})

    def rate_headers(self, limit: Limit, remaining: int, reset_s: float) -> dict[str, str]:
        return {
            "x-ratelimit-limit-requests": str(limit.calls),
            "x-ratelimit-remaining-requests": str(remaining),
            "x-ratelimit-reset-requests": f"{ceil(reset_s * 1000)}ms",
        }

    def rate_limited(self, wait_s: float) -> Answer:
        answer = self.refuse(429, "Rate limit reached for requests. Please try again later.")
        answer.headers["Retry-After"] = str(ceil(wait_s))
        answer.headers["retry-after-ms"] = str(ceil(wait_s * 1000))
        return answer

    @route("GET", "/v1/models")
    def list_models(self, call: Call) -> Any:
        return {"object": "list", "data": [{"id": m, "object": "model", "owned_by": "larkspur"} for m in DIMENSIONS]}

    @route("POST", "/openai/deployments/{deployment}/embeddings")
    def azure_embeddings(self, call: Call, deployment: str) -> Any:
        if "api-version" not in call.params:
            return self.refuse(404, "Resource not found")
        return self.embeddings(call, deployment)

    @route("POST", "/v1/embeddings")
    def embeddings(self, call: Call, deployment: str = "") -> Any:
        try:
            body = call.json()
            text_input = body["input"]
            model = deployment or body["model"]
        except (ValueError, KeyError, TypeError):
            return self.refuse(400, "We could not parse the JSON body of your request: model and input are needed.")
        inputs = (
            [text_input]
            if isinstance(text_input, str) or (text_input and isinstance(text_input[0], int))
            else text_input
        )
        if not isinstance(inputs, list) or not inputs:
            return self.refuse(400, "'$.input' is invalid. Please check the API reference.")
        if any(text == "" or not isinstance(text, str | list) for text in inputs):
            return self.refuse(400, "'$.input' is invalid: it holds an empty text or something that is not text.")
        if len(inputs) > MAX_INPUTS:
            return self.refuse(400, f"'$.input' is invalid: {len(inputs)} inputs, at most {MAX_INPUTS} are allowed.")
        counts = [self.count(text) if isinstance(text, str) else len(text) for text in inputs]
        if max(counts) > MAX_INPUT_TOKENS:
            return self.refuse(
                400,
                f"This model's maximum context length is {MAX_INPUT_TOKENS} tokens, however you requested "
                f"{max(counts)} tokens. Please reduce your prompt.",
            )
        total = sum(counts)
        if total > MAX_REQUEST_TOKENS:
            return self.refuse(
                400, f"Requested {total} tokens, max {MAX_REQUEST_TOKENS} tokens per request (max_tokens_per_request)."
            )
        full = DIMENSIONS.get(model, self.dimension)
        dimension = body.get("dimensions") or full
        if dimension != full and model == "text-embedding-ada-002":
            return self.refuse(400, "This model does not support specifying dimensions.")
        if not 1 <= dimension <= full:
            return self.refuse(400, f"Invalid value for 'dimensions' = {dimension}. Must be at most {full}.")
        if self.token_limit is not None and (wait_s := self.token_limit.take(total)) > 0:
            return self.rate_limited(wait_s)
        texts = [text if isinstance(text, str) else " ".join(map(str, text)) for text in inputs]
        with self._counting:
            self.inputs.extend(texts)
            self.tokens += total
            self.models[model] += 1
        encode = _base64 if body.get("encoding_format") == "base64" else _floats
        return {
            "object": "list",
            "model": model,
            "data": [
                {"object": "embedding", "index": i, "embedding": encode(vector_of(text, dimension))}
                for i, text in enumerate(texts)
            ],
            "usage": {"prompt_tokens": total, "total_tokens": total},
        }


def vector_of(text: str, dimension: int) -> array[float]:
    """The text as a vector of length 1: each word, and the beginning of each long one, votes for a place and a sign."""
    vector = array("f", bytes(4 * dimension))
    tokens = Counter(TOKEN.findall(text.lower()))
    for token, times in tokens.items():
        weight = 1 + log1p(times - 1)
        for term in {token, token[:5]}:
            place, sign = _place(term)
            vector[place % dimension] += sign * weight
    length = sqrt(sum(v * v for v in vector if v))
    if length == 0:
        vector[_place(text)[0] % dimension] = length = 1.0
    return array("f", [v / length for v in vector])


@lru_cache(maxsize=100_000)
def _place(text: str) -> tuple[int, float]:
    number = int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")
    return number >> 1, 1.0 if number & 1 else -1.0


def _floats(vector: array[float]) -> list[float]:
    return vector.tolist()


def _base64(vector: array[float]) -> str:
    return b64encode(vector.tobytes()).decode()


def main() -> None:
    parser = argument_parser()
    parser.add_argument("--dimension", type=int, default=1536, help="of models that are not OpenAI's")
    options = parser.parse_args()
    serve(OpenAIStandIn(dimension=options.dimension, port=options.port))


if __name__ == "__main__":
    main()
