"""Embedders behind HTTP, against a server on loopback that keeps the vendors' rules."""

from __future__ import annotations

import base64
import hashlib
import logging
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from stand_ins.openai import OpenAIStandIn, TokenLimit
from stand_ins.openai import vector_of as stand_in_vector

from kitestring.config import Config, choice
from kitestring.errors import AuthError, Cancelled, ConfigError, TransientError
from kitestring.http import Budget
from kitestring.testing.stand_in import Answer, Call, Faults, Limit, StandIn, route
from kitestring.vector.embedders import Embedding, embedding_retries
from kitestring.vector.tokenizer import cl100k

pytestmark = pytest.mark.slow

KEY = "sk-secret-of-the-test"
DIMENSIONS = {"text-embedding-ada-002": 1536, "text-embedding-3-small": 1536, "text-embedding-3-large": 3072}


def vector_of(text: str, dimension: int) -> list[float]:
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")
    return [float(value) for value in np.random.default_rng(seed).standard_normal(dimension).astype(np.float32)]


class Vendors(StandIn):
    """OpenAI, Azure and Cohere with the limits of their embedding endpoints."""

    most_inputs = 2048
    most_request_tokens = 300_000
    knows_base64 = True
    no_credit = False
    hold: threading.Event | None = None
    dimension = 8

    def authorize(self, call: Call) -> Answer | None:
        if KEY in (call.headers.get("authorization", "").removeprefix("Bearer "), call.headers.get("api-key")):
            return None
        return self.refuse(401, "Incorrect API key provided")

    def refuse(self, status: int, message: str) -> Answer:
        return Answer(status, {"error": {"message": message, "type": "invalid_request_error", "code": None}})

    @route("POST", "/v1/embeddings")
    def openai(self, call: Call) -> Any:
        body = call.json()
        return self.embeddings(body, body.get("dimensions") or DIMENSIONS.get(body["model"], self.dimension))

    @route("POST", "/openai/deployments/{deployment}/embeddings")
    def azure(self, call: Call, deployment: str) -> Any:
        if call.param("api-version") != "2024-10-21":
            return self.refuse(404, "Resource not found")
        body = call.json()
        return self.embeddings(body, body.get("dimensions", 1536))

    def embeddings(self, body: dict[str, Any], dimension: int) -> Any:
        if self.hold is not None:
            self.hold.wait(300)
        if self.no_credit:
            return Answer(429, {"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}})
        texts = body["input"]
        if len(texts) > self.most_inputs:
            return Answer(413, {"error": f"batch size {len(texts)} > maximum allowed batch size {self.most_inputs}"})
        counts = [cl100k().count(text) for text in texts]
        if not all(texts) or max(counts) > 8191:
            return self.refuse(400, "This model's maximum context length is 8192 tokens")
        if sum(counts) > self.most_request_tokens:
            return self.refuse(400, "Requested more than 300000 tokens")
        data = []
        for index, text in enumerate(texts):
            value: Any = vector_of(text, dimension)
            if self.knows_base64 and body.get("encoding_format") == "base64":
                value = base64.b64encode(np.asarray(value, dtype="<f4").tobytes()).decode()
            data.append({"object": "embedding", "index": index, "embedding": value})
        return {"object": "list", "data": data[::-1], "usage": {"total_tokens": sum(counts)}}

    @route("POST", "/v1/embed")
    def cohere_first(self, call: Call) -> Any:
        body = call.json()
        if len(body["texts"]) > 96 or "input_type" in body:
            return Answer(400, {"message": "invalid request: total number of texts must be at most 96"})
        return {"embeddings": [vector_of(text, 1024) for text in body["texts"]]}

    @route("POST", "/v2/embed")
    def cohere_second(self, call: Call) -> Any:
        body = call.json()
        if len(body["texts"]) > 96 or body["embedding_types"] != ["float"]:
            return Answer(400, {"message": "invalid request"})
        size = body.get("output_dimension", 1536)
        return {"embeddings": {"float": [vector_of(body["input_type"] + text, size) for text in body["texts"]]}}


class Chosen(Config):
    embedding: Embedding = choice("mode")


def build(mode: str, **values: Any) -> Any:
    return Chosen.load({"embedding": {"mode": mode, **values}}).embedding


@pytest.fixture
def vendors() -> Iterator[Vendors]:
    with Vendors() as server:
        yield server


@pytest.fixture(autouse=True)
def quick_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kitestring.http.session.backoff_s", lambda attempt: 0.001)


def compatible(server: StandIn, **values: Any) -> Any:
    return build(
        "openai_compatible",
        **{"base_url": f"{server.url}/v1", "api_key": KEY, "dimensions": 8, "model_name": "small", **values},
    )


def openai(server: StandIn, **values: Any) -> Any:
    return build("openai", **{"openai_key": KEY, "base_url": f"{server.url}/v1", **values})


def expected(texts: list[str], dimension: int) -> Any:
    return np.asarray([vector_of(text, dimension) for text in texts], dtype=np.float32)


def test_vectors_come_back_in_the_order_of_the_texts(vendors: Vendors) -> None:
    texts = [f"text {number}" for number in range(40)]
    vectors = openai(vendors).embed(texts)
    assert vectors.dtype == np.float32
    assert np.array_equal(vectors, expected(texts, 1536))
    assert vendors.requests[0].json()["encoding_format"] == "base64"


def test_servers_that_do_not_know_base64_are_understood(vendors: Vendors) -> None:
    vendors.knows_base64 = False
    assert np.allclose(openai(vendors).embed(["a", "b"]), expected(["a", "b"], 1536))


def test_no_texts_need_no_request(vendors: Vendors) -> None:
    assert openai(vendors).embed([]).shape == (0, 1536)
    assert vendors.requests == []


def test_requests_are_filled_to_the_api_s_limits(vendors: Vendors) -> None:
    embedder = compatible(vendors)
    embedder.embed([str(number) for number in range(5000)])
    assert sorted(len(call.json()["input"]) for call in vendors.requests) == [904, 2048, 2048]
    vendors.requests.clear()
    long = "word " * 7000
    openai(vendors).embed([long] * 50)
    counts = [len(call.json()["input"]) for call in vendors.requests]
    assert sorted(counts) == [8, 42], "42 x 7,001 tokens are the most below 300,000"


def test_several_requests_are_in_flight_and_no_more_than_allowed(vendors: Vendors) -> None:
    vendors.hold = threading.Event()
    embedder = compatible(vendors, batch_size=1, concurrency=3)
    thread = threading.Thread(target=embedder.embed, args=(["a", "b", "c", "d", "e"],))
    thread.start()
    deadline = time.monotonic() + 300
    while len(vendors.requests) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)
    assert len(vendors.requests) == 3
    vendors.hold.set()
    thread.join()
    assert len(vendors.requests) == 5


def test_a_text_longer_than_the_model_takes_is_cut_with_a_figure(
    vendors: Vendors, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "kitestring.vector"):
        openai(vendors).embed(["word " * 9000, "short"])
    sent = vendors.requests[0].json()["input"]
    assert cl100k().count(sent[0]) == 8191
    (record,) = caplog.records
    assert (record.texts, record.tokens_lost) == (1, 9001 - 8191)  # type: ignore[attr-defined]


def test_an_empty_question_and_lone_surrogates_are_sent_as_something_the_api_takes(vendors: Vendors) -> None:
    assert openai(vendors).embed(["", "a\ud800"]).shape == (2, 1536)


def test_a_server_that_takes_fewer_texts_is_asked_for_fewer(vendors: Vendors) -> None:
    vendors.most_inputs = 32
    embedder = compatible(vendors)
    texts = [str(number) for number in range(200)]
    assert np.array_equal(embedder.embed(texts), expected(texts, 8))
    vendors.requests.clear()
    embedder.embed(texts)
    assert all(call.status == 200 for call in vendors.requests), "it remembers"


def test_a_text_in_which_the_server_counts_more_tokens_is_cut_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    class Small(Vendors):
        @route("POST", "/v1/embeddings")
        def openai(self, call: Call) -> Any:
            texts = call.json()["input"]
            longest = max(len(text) for text in texts)
            if longest > 512:
                return Answer(413, {"error": f"`inputs` must have less than 512 tokens. Given: {longest}"})
            return self.embeddings(call.json(), 8)

    with Small() as server:
        embedder = compatible(server)
        texts = ["short", "x" * 700, *map(str, range(20))]
        vectors = embedder.embed(texts)
        assert np.array_equal(vectors, expected(["short", "x" * 448, *map(str, range(20))], 8))
        server.requests.clear()
        embedder.embed(list(map(str, range(50))))
        assert len(server.requests) == 1, "the number of texts was not the reason"
    assert [(r.characters, r.kept) for r in caplog.records if hasattr(r, "kept")] == [(700, 560), (560, 448)]


def test_rate_limits_and_server_errors_cost_time_but_no_text() -> None:
    # Requests go side by side, so that the seed does not say which of them fails: 12 faults in a row must be rare.
    faults = Faults(
        seed=3, rate_limit=0.15, server_error=0.1, drop=0.05, truncated=0.05, not_json=0.05, retry_after_s=0
    )
    with Vendors(faults=faults) as server:
        embedder = compatible(server, batch_size=2)
        texts = [str(number) for number in range(200)]
        assert np.array_equal(embedder.embed(texts), expected(texts, 8))
        assert len(server.requests) > 130


def test_retry_after_is_obeyed() -> None:
    with Vendors(faults=Faults(retry_after_s=1)) as server:
        server.faults.next("rate_limit")
        began = time.monotonic()
        openai(server).embed(["a"])
        assert time.monotonic() - began >= 1


def test_a_server_that_stays_broken_is_given_up_after_more_than_ten_attempts() -> None:
    with Vendors(faults=Faults(server_error=1.0)) as server:
        with pytest.raises(TransientError, match="answered 5"):
            openai(server).embed(["a"])
        assert len(server.requests) == embedding_retries.ATTEMPTS > 10


def test_a_wrong_key_is_an_auth_error_that_does_not_show_the_key(vendors: Vendors) -> None:
    embedder = openai(vendors, openai_key="sk-wrong-one")
    with pytest.raises(AuthError) as caught:
        embedder.check()
    assert "sk-wrong-one" not in str(caught.value) + repr(caught.value.fields)
    assert len(vendors.requests) == 1


def test_an_account_without_credit_is_not_retried(vendors: Vendors) -> None:
    vendors.no_credit = True
    with pytest.raises(ConfigError, match="no credit"):
        openai(vendors).check()
    assert len(vendors.requests) == 1


def test_another_dimension_than_configured_is_a_config_error_with_both_numbers(vendors: Vendors) -> None:
    embedder = compatible(vendors, dimensions=384)
    with pytest.raises(ConfigError, match="8 dimensions, the configuration says 384"):
        embedder.check()


def test_an_answer_that_holds_no_vectors_is_another_kind_of_server() -> None:
    class Other(StandIn):
        @route("POST", "/v1/embeddings")
        def other(self, call: Call) -> Any:
            return {"hello": "world"}

    with Other() as server:
        with pytest.raises(ConfigError, match=r"JSON without vectors.*hello"):
            openai(server).embed(["a"])
        assert len(server.requests) == 1


def test_a_check_does_not_keep_the_user_waiting_for_a_broken_server() -> None:
    with Vendors(faults=Faults(server_error=1.0)) as server:
        with pytest.raises(TransientError):
            openai(server).check()
        assert len(server.requests) == 2


def test_vectors_that_are_not_finite_are_fetched_again() -> None:
    class Hiccup(StandIn):
        @route("POST", "/v1/embeddings")
        def embed(self, call: Call) -> Any:
            value = 1.0 if len(self.requests) > 1 else float("nan")
            data = base64.b64encode(np.full(1536, value, dtype="<f4").tobytes()).decode()
            return {"data": [{"index": 0, "embedding": data}]}

    with Hiccup() as server:
        assert openai(server).embed(["a"])[0, 0] == 1.0
        assert len(server.requests) == 2


def test_close_cancels_callers_at_once_and_the_next_call_starts_over(vendors: Vendors) -> None:
    vendors.hold = threading.Event()
    embedder = openai(vendors)
    raised: list[BaseException] = []

    def work() -> None:
        try:
            embedder.embed(["a"])
        except Cancelled as error:
            raised.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    while not vendors.requests:
        time.sleep(0.005)
    embedder.close()
    thread.join(300)
    assert not thread.is_alive()
    assert len(raised) == 1
    vendors.hold.set()
    assert embedder.embed(["a"]).shape == (1, 1536)


def close_after(embedder: Any, server: Vendors, answers: int) -> None:
    """Closes the embedder when so many requests are answered, and it has had the time to send one more."""
    while sum(call.status != 0 for call in list(server.requests)) < answers:
        time.sleep(0.01)
    time.sleep(0.3)
    embedder.close()


def test_close_wakes_a_caller_that_waits_for_a_rate_limit() -> None:
    with Vendors(faults=Faults(rate_limit=1.0, retry_after_s=600)) as server:
        embedder = openai(server)
        threading.Thread(target=close_after, args=(embedder, server, 1)).start()
        began = time.monotonic()
        with pytest.raises(Cancelled):
            embedder.embed(["a"])
        assert time.monotonic() - began < 300


def test_requests_per_minute_are_shared_by_all_threads() -> None:
    with Vendors(limits=(Limit(3, 60.0),)) as server:
        embedder = compatible(server, batch_size=1, requests_per_minute=3)
        threading.Thread(target=close_after, args=(embedder, server, 3)).start()
        with pytest.raises(Cancelled):
            embedder.embed(["a", "b", "c", "d"])
        assert [call.status for call in server.requests] == [200, 200, 200]


def test_a_budget_never_lets_more_tokens_into_a_window() -> None:
    budget = Budget(100, 1000.0)
    waits = [budget.reserve(weight=40) for _ in range(6)]
    assert waits[:2] == [0.0, 0.0]
    assert [round(wait / 1000, 1) for wait in waits[2:]] == [1.0, 1.0, 2.0, 2.0]
    assert Budget(10, 1.0).reserve(weight=500) == 0.0


def test_a_budget_frees_what_is_over() -> None:
    budget = Budget(100, 0.05)
    assert budget.reserve(weight=100) == 0.0
    time.sleep(0.06)
    assert budget.reserve(weight=100) == 0.0


def test_tokens_per_minute_hold_requests_back(vendors: Vendors) -> None:
    embedder = compatible(vendors, batch_size=1, tokens_per_minute=10)
    threading.Timer(0.5, embedder.close).start()
    with pytest.raises(Cancelled):
        embedder.embed(["one two three four five", "six seven eight nine ten", "eleven"])
    assert len(vendors.requests) == 2


@pytest.mark.parametrize(("model", "dimensions"), [("text-embedding-3-small", 512), ("text-embedding-3-large", None)])
def test_openai_s_newer_models_can_shorten_their_vectors(vendors: Vendors, model: str, dimensions: int | None) -> None:
    embedder = openai(vendors, model=model, dimensions=dimensions)
    assert embedder.embed(["a"]).shape == (1, embedder.dimension) == (1, dimensions or 3072)
    assert embedder.model_name == f"{model}:{dimensions or 3072}"


def test_ada_cannot_shorten_its_vectors() -> None:
    with pytest.raises(ConfigError, match="ada-002 makes 1536 dimensions and cannot make 512"):
        build("openai", openai_key=KEY, dimensions=512)
    with pytest.raises(ConfigError, match="at most 1536"):
        build("openai", openai_key=KEY, model="text-embedding-3-small", dimensions=3072)


def test_azure_addresses_its_deployment(vendors: Vendors) -> None:
    embedder = build(
        "azure_openai", openai_key=KEY, api_base=f"{vendors.url}/", deployment="my embedder", batch_size=16
    )
    texts = [str(number) for number in range(20)]
    assert np.array_equal(embedder.embed(texts), expected(texts, 1536))
    assert {call.path for call in vendors.requests} == {"/openai/deployments/my%20embedder/embeddings"}
    assert sorted(len(call.json()["input"]) for call in vendors.requests) == [4, 16]


def test_cohere_sends_96_texts_and_tells_questions_from_documents(vendors: Vendors) -> None:
    texts = [str(number) for number in range(200)]
    old = build("cohere", cohere_key=KEY, base_url=vendors.url)
    assert np.allclose(old.embed(texts), expected(texts, 1024))
    assert sorted(len(call.json()["texts"]) for call in vendors.requests) == [8, 96, 96]
    new = build("cohere", cohere_key=KEY, base_url=vendors.url, model="embed-v4.0", dimensions=256)
    assert np.allclose(new.embed(["a"])[0], vector_of("search_documenta", 256))
    assert np.allclose(new.embed_query("a"), vector_of("search_querya", 256))


def test_cohere_refuses_dimensions_its_model_does_not_have() -> None:
    with pytest.raises(ConfigError, match="makes 256 or 512 or 1024 or 1536 dimensions, not 100"):
        build("cohere", cohere_key=KEY, model="embed-v4.0", dimensions=100)


def test_limits_of_requests_and_tokens_with_faults_lose_nothing() -> None:
    texts = [f"ticket {number}: the printer on floor {number % 7} is on fire" for number in range(300)]
    with OpenAIStandIn(
        count=cl100k().count,
        limits=(Limit(20, 0.5),),
        token_limit=TokenLimit(2000, 0.5),
        faults=Faults(seed=5, server_error=0.2, drop=0.1, rate_limit=0.1, retry_after_s=0),
    ) as server:
        embedder = build(
            "openai_compatible", base_url=server.base_url, api_key=server.api_key, dimensions=1536, batch_size=8
        )
        vectors = embedder.embed(texts)
        assert {call.status for call in server.requests} >= {200, 429}
    assert all(
        np.allclose(vector, stand_in_vector(text, 1536), atol=1e-6) for text, vector in zip(texts, vectors, strict=True)
    )
