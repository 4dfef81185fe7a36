import struct
from base64 import b64decode

import pytest
from stand_ins.openai import OpenAIStandIn, TokenLimit, vector_of

from kitestring.errors import AuthError, ConfigError, TransientError
from kitestring.http import Bearer, Retries, Session
from kitestring.testing.stand_in import Faults, Quota

pytestmark = pytest.mark.slow

MODEL = "text-embedding-3-small"


def opened(server, **more):
    return Session(base_url=server.base_url, auth=Bearer("sk-larkspur"), **more)


def embed(session, inputs, **more):
    return session.request("POST", "/embeddings", json={"model": MODEL, "input": inputs, **more}).json()


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


def test_similar_texts_are_near_and_others_far():
    a = vector_of("The password reset email never arrives", 1536)
    b = vector_of("No email arrives after resetting a password", 1536)
    c = vector_of("Barcode scanner misreads shiny labels", 1536)
    assert cosine(a, a) == pytest.approx(1, abs=1e-5)
    assert cosine(a, b) > 0.4 > 0.2 > cosine(a, c)


def test_floats_and_base64_carry_the_same_vectors():
    with OpenAIStandIn() as server, opened(server) as session:
        (plain,) = embed(session, "hello world")["data"]
        (packed,) = embed(session, ["hello world"], encoding_format="base64")["data"]
        assert struct.unpack("<1536f", b64decode(packed["embedding"])) == pytest.approx(plain["embedding"])
        assert len(embed(session, "x", dimensions=256)["data"][0]["embedding"]) == 256
        assert server.inputs == ["hello world", "hello world", "x"]
        assert server.models[MODEL] == 3


@pytest.mark.parametrize(
    ("inputs", "more", "sentence"),
    [
        (["x"] * 2049, {}, "at most 2048"),
        (["y" * 4000] * 301, {}, "max 300000 tokens per request"),
        (["z" * 40_000], {}, "maximum context length is 8192"),
        ([""], {}, "empty text"),
        ([], {}, "invalid"),
        (["x"], {"dimensions": 5000}, "at most 1536"),
        (["x"], {"dimensions": 5, "model": "text-embedding-ada-002"}, "does not support"),
    ],
)
def test_the_documented_limits_of_a_request_are_enforced(inputs, more, sentence):
    with OpenAIStandIn() as server, opened(server) as session:
        with pytest.raises(ConfigError, match=sentence):
            embed(session, inputs, **more)
        assert server.inputs == []


def test_a_wrong_key_is_refused_and_azures_header_is_taken():
    with OpenAIStandIn() as server:
        with Session(base_url=server.base_url, auth=Bearer("wrong")) as session, pytest.raises(AuthError):
            embed(session, "x")
        with Session(base_url=server.url, headers={"api-key": "sk-larkspur"}) as session:
            path = "/openai/deployments/mine/embeddings"
            answer = session.request("POST", path, params={"api-version": "2024-10-21"}, json={"input": ["x"]})
            assert answer.json()["model"] == "mine"


@pytest.mark.parametrize("limits", [{"limits": (Quota(2, 0.3),)}, {"token_limit": TokenLimit(25, 3.0)}])
def test_limits_of_requests_or_tokens_cost_time_only(limits):
    with OpenAIStandIn(**limits) as server, opened(server) as session:
        for n in range(3):
            embed(session, [f"text number {n} " * 3])
        assert len(server.inputs) == 3
        assert [c.status for c in server.requests] == [200, 200, 429, 200]


def test_faults_cost_time_only():
    with OpenAIStandIn(faults=Faults(seed=1, server_error=0.3)) as server, opened(server) as session:
        for n in range(4):
            embed(session, [f"text number {n}"])
        assert len(server.inputs) == 4
        assert 503 in {c.status for c in server.requests}


def test_tokens_beyond_the_limit_are_refused_at_once_where_nobody_retries():
    with OpenAIStandIn(token_limit=TokenLimit(5)) as server, opened(server, policy=Retries(attempts=1)) as session:
        with pytest.raises(TransientError) as caught:
            embed(session, "far too many words for the limit")
        assert caught.value.retry_after_s == 60
