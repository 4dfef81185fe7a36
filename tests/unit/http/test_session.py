"""Calls of a session: bodies, answers, streams, redirects, credentials and the log."""

import json
import logging
import pickle
import threading
import time
from contextlib import nullcontext
from urllib.parse import quote

import pytest
from http_api import Api, Eager

from kitestring.errors import AuthError, ConfigError, ConnectorError, TransientError
from kitestring.http import (
    Basic,
    Bearer,
    Request,
    Response,
    Session,
)
from kitestring.testing.stand_in import Answer, Faults


def test_connections_are_used_again(api, session):
    for _ in range(20):
        session.get("/a")
    assert len(api.requests) == 20
    assert api.connections == 1


def test_threads_share_the_session(api, session):
    def work():
        for _ in range(10):
            assert session.get("/a")["path"] == "/a"

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(api.requests) == 80
    assert api.connections <= 8


def test_parameters_repeat_lists_leave_out_none_and_write_booleans_as_json_does(api, session):
    got = session.get("/a", {"id": [1, 2], "none": None, "flag": True, "q": "a b&c"})
    assert got["params"] == {"id": ["1", "2"], "flag": ["true"], "q": ["a b&c"]}
    session.get("/a?x=1", {"y": 2})
    assert api.requests[-1].params == {"x": ["1"], "y": ["2"]}


def test_bodies_are_json_form_or_bytes(api, session):
    assert session.request("POST", "/a", json={"n": 1}).json()["body"] == '{"n":1}'
    assert api.requests[-1].headers["content-type"] == "application/json"
    assert session.request("POST", "/a", form={"a": "x y", "b": [1, 2]}).json()["body"] == "a=x%20y&b=1&b=2"
    assert api.requests[-1].headers["content-type"] == "application/x-www-form-urlencoded"
    headers = {"Content-Type": "text/csv"}
    assert session.request("POST", "/a", body=b"1,2", headers=headers).json()["body"] == "1,2"
    assert api.requests[-1].headers["content-type"] == "text/csv"


def test_the_user_agent_names_kitestring(api, session):
    assert session.get("/a")["headers"]["user-agent"].startswith("kitestring/")


def test_response_headers_compare_without_case(api, session):
    api.answers = [Answer(200, {}, {"X-Next-Page": "2"})]
    response = session.request("GET", "/a")
    assert response.headers["x-next-page"] == response.headers["X-NEXT-PAGE"] == "2"
    assert response.status == 200
    assert response.elapsed_s > 0


def test_gzip_is_unpacked_and_text_follows_the_charset(api, session):
    import gzip

    api.answers = [
        Answer(200, gzip.compress(b'{"a": 1}'), {"Content-Encoding": "gzip"}),
        Answer(200, "Käse".encode("latin-1"), {"Content-Type": "text/plain; charset=ISO-8859-1"}),
    ]
    assert session.get("/a") == {"a": 1}
    assert session.request("GET", "/a").text == "Käse"


def test_a_body_that_is_too_large_is_refused_before_it_is_in_memory(api, session, monkeypatch):
    import gzip

    monkeypatch.setenv("KITESTRING_LARGEST_RESPONSE_MB", "0.01")
    api.answers = [
        Answer(200, b"x" * 20_000),
        Answer(200, gzip.compress(b"x" * 2_000_000), {"Content-Encoding": "gzip"}),
        Answer(200, b"x" * 20_000),
        Answer(200, b"x" * 10_000),
    ]
    for _ in range(2):
        with pytest.raises(ConnectorError, match=r"GET http://127.0.0.1:\d+/a answers with more than 0.01 MB at once"):
            session.request("GET", "/a")
    streamed = session.request("GET", "/a", stream=True)
    with pytest.raises(ConnectorError, match="at once"):
        streamed.body  # noqa: B018
    assert session.request("GET", "/a").body == b"x" * 10_000
    assert len(api.requests) == 4, "none of them is tried again"


@pytest.mark.parametrize("name", ["observe", "learn"])  # the second is its name until 0.2
def test_who_signs_may_learn_from_the_answer_that_no_wait_is_needed(api, session, name):
    class Two:
        secrets = ("one", "two")
        tokens = ["one", "two"]

        def apply(self, request):
            request.headers["Authorization"] = self.tokens[0]

        def refresh(self, response):
            return False

        def observe(self, request, response):
            if response.status != 429:
                return False
            self.tokens = self.tokens[1:]
            return True

    if name != "observe":
        setattr(Two, name, Two.observe)
        del Two.observe
    api.answers = [Answer(429, {}, {"Retry-After": "300"})]
    began = time.monotonic()
    with pytest.warns(DeprecationWarning, match="Two.learn is `observe`") if name == "learn" else nullcontext():
        assert session.request("GET", "/a", auth=Two()).status == 200
    assert [call.headers["authorization"] for call in api.requests] == ["one", "two"]
    assert time.monotonic() - began < 200


def test_basic_and_bearer_credentials_are_sent(api):
    with Session(base_url=api.url, auth=Basic("a", "b")) as session:
        assert session.get("/a")["headers"]["authorization"] == "Basic YTpi"
        got = session.get("/a", auth=Bearer("tok-en"))
        assert got["headers"]["authorization"] == "Bearer tok-en"


class Renewed:
    """Credentials that expire once."""

    def __init__(self, renews: bool) -> None:
        self.token, self.renews, self.refreshes = "old", renews, 0

    def apply(self, request: Request) -> None:
        request.params["key"] = self.token

    def refresh(self, response: Response) -> bool:
        self.refreshes += 1
        self.token = "new"
        return self.renews


@pytest.mark.parametrize(("renews", "answers", "sent"), [(True, 1, 2), (True, 2, 2), (False, 1, 1)])
def test_a_401_renews_the_credentials_once(api, renews, answers, sent):
    auth = Renewed(renews)
    api.answers = [Answer(401, {"error": "expired"})] * answers
    with Session(base_url=api.url, auth=auth) as session:
        if renews and answers == 1:
            assert session.get("/a")["params"] == {"key": ["new"]}
        else:
            with pytest.raises(AuthError):
                session.get("/a")
    assert len(api.requests) == sent
    assert auth.refreshes == 1


def test_a_stream_is_read_in_pieces_and_frees_its_connection(api, session):
    body = bytes(range(256)) * 4000
    api.answers = [Answer(200, body), Answer(200, body)]
    response = session.request("GET", "/a", stream=True)
    pieces = list(response.chunks(10_000))
    assert len(pieces) > 10
    assert b"".join(pieces) == body
    assert session.request("GET", "/a", stream=True).body == body
    session.get("/a")
    assert api.connections == 1


def test_a_stream_that_breaks_off_is_a_transient_error(api, session):
    api.answers = [Answer(200, b"x" * 100_000)]
    api.faults.next("truncated")
    response = session.request("GET", "/a", stream=True)
    with pytest.raises(TransientError, match="broke off while its answer was read"):
        list(response.chunks())


def test_a_streamed_refusal_still_carries_the_vendors_words(api, session):
    api.answers = [Answer(404, {"error": "no such file"})]
    with pytest.raises(ConfigError, match="no such file"):
        session.request("GET", "/a", stream=True)


def test_redirects_are_followed_and_credentials_stay_with_their_host(api):
    with Api() as other, Session(base_url=api.url, auth=Bearer("secret-token"), headers={"X-Api-Key": "k"}) as session:
        api.answers = [Answer(302, None, {"Location": "/b?x=1"}), Answer(200, {"ok": 1})]
        assert session.request("GET", "/a").url == f"{api.url}/b?x=1"
        assert api.requests[-1].headers["authorization"] == "Bearer secret-token"
        api.answers = [Answer(307, None, {"Location": f"{other.url}/c"})]
        session.request("POST", "/a", json={"n": 1})
        assert other.requests[-1].method == "POST"
        assert other.requests[-1].body == b'{"n":1}'
        assert not {"authorization", "x-api-key"} & set(other.requests[-1].headers)
        api.answers = [Answer(303, None, {"Location": "/d"})]
        session.request("POST", "/a", json={"n": 1})
        assert (api.requests[-1].method, api.requests[-1].body) == ("GET", b"")
        api.answers = [Answer(302, None, {"Location": "/a"})] * 20
        with pytest.raises(ConfigError, match="redirects more than 10 times"):
            session.get("/a")


SECRET = "s3cr3t+value/with=signs"


def test_secrets_stand_in_no_log_and_no_error(api, caplog):
    caplog.set_level(logging.DEBUG)
    auth = Basic("me", "pass-word-1")
    with Session(base_url=api.url, policy=Eager(attempts=2), auth=auth, secrets=[SECRET]) as session:
        session.hide("hidden-later")
        session.get("/a", {"api_key": "in-the-query", "q": SECRET, "other": "hidden-later", "page": 3})
        api.answers = [Answer(400, {"error": f"bad key {SECRET}", "message": "pass-word-1 and hidden-later"})]
        with pytest.raises(ConfigError) as caught:
            session.get("/a", {"token": "in-the-query"})
        api.faults.next("not_json")
        api.answers = [Answer(500, {"error": SECRET})] * 2
        with pytest.raises(TransientError) as transient:
            session.get(f"/{quote(SECRET, safe='')}", {"token": "in-the-query"})
    seen = caplog.text + json.dumps([{k: str(v) for k, v in vars(r).items()} for r in caplog.records])
    seen += str(caught.value) + str(caught.value.fields) + str(transient.value)
    cause = transient.value.__cause__
    while cause is not None:
        seen += str(cause)
        cause = cause.__cause__
    for secret in (SECRET, "s3cr3t%2Bvalue%2Fwith%3Dsigns", "pass-word-1", "hidden-later", "in-the-query", "Basic "):
        assert secret not in seen
    assert "page=3" in seen
    assert "**********" in str(caught.value)


def test_what_a_look_at_the_answer_finds_is_final_and_masked(api):
    def refuse(response):
        raise ConfigError(f"no good: {response.json()['params']}", hint=f"not {SECRET}")

    with Session(base_url=api.url, secrets=[SECRET]) as session, pytest.raises(ConfigError, match="no good") as caught:
        session.request("GET", "/a", params={"q": SECRET}, verify=refuse)
    assert SECRET not in str(caught.value) + caught.value.hint
    assert len(api.requests) == 1


def test_a_request_is_logged_with_status_time_and_attempt(api, session, caplog):
    caplog.set_level(logging.DEBUG, "kitestring.http")
    api.faults.next("server_error")
    session.get("/a")
    records = [r for r in caplog.records if r.levelno == logging.DEBUG]
    assert [(r.method, r.status, r.attempt) for r in records] == [("GET", 503, 1), ("GET", 200, 2)]
    assert all(r.ms > 0 for r in records)


def test_a_wait_is_logged_with_its_reason(api, session, caplog):
    caplog.set_level(logging.INFO, "kitestring.http")
    api.answers = [Answer(429, {}, {"Retry-After": "0.05"})]
    session.get("/a")
    (record,) = caplog.records
    assert (record.seconds, record.reason) == (0.05, "rate limit")
    assert "waiting 0.1 s before GET" in record.getMessage() or "waiting 0.0 s" in record.getMessage()


def test_errors_survive_pickling(api, session):
    api.answers = [Answer(404, {"error": "gone"})]
    with pytest.raises(ConfigError) as caught:
        session.get("/a")
    second = pickle.loads(pickle.dumps(caught.value))
    assert (str(second), second.hint, second.fields) == (str(caught.value), caught.value.hint, {"status": 404})


def test_many_faults_cost_time_but_no_answer():
    faults = Faults(seed=3, rate_limit=0.05, server_error=0.1, drop=0.1, truncated=0.05, not_json=0.01, retry_after_s=0)
    with Api(faults=faults) as api, Session(base_url=api.url, policy=Eager(attempts=20)) as session:
        for n in range(200):
            assert session.get("/a", {"n": n})["params"] == {"n": [str(n)]}
        assert len(api.requests) > 250
