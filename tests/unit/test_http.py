import json
import logging
import pickle
import re
import socket
import ssl
import threading
import time
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from urllib.parse import quote

import pytest

from kitestring.backoff import backoff_s
from kitestring.current_stream import STREAM
from kitestring.errors import AuthError, Cancelled, ConfigError, ConnectorError, TransientError
from kitestring.http import (
    Basic,
    Bearer,
    Budget,
    Request,
    Response,
    Retries,
    Retry,
    Return,
    Session,
    Tls,
    requested_wait_s,
)
from kitestring.http.message import UnreadableError
from kitestring.http.retry import vendor_message
from kitestring.testing.stand_in import Answer, Call, Faults, Limit, StandIn, route

CERTIFICATE = Path(__file__).parent / "http_certificates" / "loopback.pem"


class Api(StandIn):
    """Answers what a test puts into `answers`, else what it was asked."""

    def __init__(self, **more):
        super().__init__(**more)
        self.answers: list[Answer] = []

    @route("GET", "/{anything}")
    @route("POST", "/{anything}")
    def any(self, call: Call, anything: str):
        if self.answers:
            return self.answers.pop(0)
        return {"path": call.path, "params": call.params, "headers": dict(call.headers), "body": call.body.decode()}


class Eager(Retries):
    """The default policy without pauses of its own: what a server asks for still counts."""

    def judge(self, attempt, response, error):
        verdict = super().judge(attempt, response, error)
        return Retry(0.0, verdict.reason) if isinstance(verdict, Retry) and verdict.after_s is None else verdict


@pytest.fixture
def api():
    with Api() as server:
        yield server


@pytest.fixture
def session(api):
    with Session(base_url=api.url, policy=Eager(), proxy="") as session:
        yield session


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


def test_server_errors_are_retried_then_succeed(api, session):
    api.faults.next("server_error", times=3)
    assert session.get("/a")["path"] == "/a"
    assert [c.status for c in api.requests] == [503, 503, 503, 200]


def test_server_errors_end_as_transient_error(api, session):
    api.faults.next("server_error", times=9)
    with pytest.raises(TransientError, match=r"answered 503 at attempt 6: an answer in .* bytes"):
        session.get("/a")
    assert len(api.requests) == 6


@pytest.mark.parametrize("kind", ["text/html", "text/plain", "application/json", "application/problem+json"])
@pytest.mark.parametrize("status", [500, 502, 503])
def test_the_text_of_a_server_error_stands_in_no_error_and_no_log(api, session, caplog, kind, status):
    caplog.set_level(logging.DEBUG)
    text = '{"message": "Traceback: the-inner-secret"}' if "json" in kind else "<h1>the-inner-secret</h1>"
    api.answers = [Answer(status, text, {"Content-Type": kind}) for _ in range(9)]
    with pytest.raises(TransientError) as told:
        session.get("/a")
    assert f"of {len(text)} bytes" in str(told.value)
    assert "inner-secret" not in f"{told.value} {caplog.text}"


def test_a_page_in_html_is_no_explanation_whatever_it_begins_with(api, session):
    for body, kind in (("<!-- x --><center>no</center>", ""), ("  <center>no", "text/plain"), ("no", "text/html")):
        api.answers = [Answer(404, body, {"Content-Type": kind})]
        with pytest.raises(ConfigError, match=r"answered 404: an answer in .* bytes"):
            session.get("/a")


def warnings_of(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_who_is_tried_again_for_long_says_so_with_stream_reason_and_times(api, caplog, monkeypatch):
    monkeypatch.setattr("kitestring.http.session.QUIET_S", 0.3)
    monkeypatch.setattr("kitestring.http.session.backoff_s", lambda attempt: 0.2)
    caplog.set_level(logging.INFO)
    api.answers = [Answer(500, "no") for _ in range(5)]
    token = STREAM.set("tickets")
    try:
        with Session(base_url=api.url, proxy="") as session:
            session.get("/a")
    finally:
        STREAM.reset(token)
    (said,) = warnings_of(caplog)  # not at each of the five attempts
    assert re.fullmatch(
        rf"stream tickets: GET {api.url}/a waits since \d\d:\d\d:\d\d: status 500; "
        r"the next try is at \d\d:\d\d:\d\d",
        said,
    )


def test_a_long_wait_for_a_budget_is_told_and_a_short_one_is_not(api, caplog, monkeypatch):
    caplog.set_level(logging.INFO)
    for quiet_s, count in ((0.1, 1), (10.0, 0)):
        monkeypatch.setattr("kitestring.http.session.QUIET_S", quiet_s)
        caplog.clear()
        with Session(base_url=api.url, proxy="", budgets=[Budget(1, 0.3)]) as session:
            session.get("/a")
            session.get("/a")
        said = warnings_of(caplog)
        assert len(said) == count
        assert all("budget of 1 calls per 0.3 s" in one for one in said)


def test_one_attempt_means_one_request(api, session):
    api.faults.next("server_error")
    with pytest.raises(TransientError):
        session.request("POST", "/a", json={}, policy=Retries(attempts=1))
    assert len(api.requests) == 1


@pytest.mark.parametrize("kind", ["drop", "truncated"])
def test_a_broken_answer_is_retried(api, session, kind):
    api.faults.next(kind, times=2)
    assert session.get("/a")["path"] == "/a"
    assert len(api.requests) == 3


def test_a_page_that_is_not_json_is_asked_for_once_more_then_fails_without_its_text(api, session):
    api.faults.next("not_json", times=1)
    assert session.get("/a")["path"] == "/a"
    api.requests.clear()
    api.faults.next("not_json", times=9)
    with pytest.raises(UnreadableError, match=r"answered 200 with text/html of 98 bytes that is no JSON") as caught:
        session.get("/a")
    assert "doctype" not in str(caught.value)
    assert "login page" in caught.value.hint
    assert len(api.requests) == 2


def test_retry_after_in_seconds_is_obeyed(api, session):
    api.answers = [Answer(429, {"error": "slow down"}, {"Retry-After": "0.3"})]
    began = time.monotonic()
    session.get("/a")
    assert time.monotonic() - began >= 0.29


def test_retry_after_as_a_date_counts_from_the_servers_clock():
    server_now = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)
    headers = {
        "date": format_datetime(server_now, usegmt=True),
        "retry-after": format_datetime(server_now + timedelta(seconds=90), usegmt=True),
    }
    assert requested_wait_s(headers) == 90


def test_rate_limit_resets_are_epochs_or_seconds_and_only_count_when_nothing_remains():
    now = int(time.time())
    assert requested_wait_s({"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(now + 30)}) == pytest.approx(
        31, abs=1.5
    )
    assert requested_wait_s({"x-ratelimit-reset": str((now + 30) * 1000)}) == pytest.approx(31, abs=1.5)
    assert requested_wait_s({"ratelimit-remaining": "0", "ratelimit-reset": "42"}) == 42
    assert requested_wait_s({"ratelimit": "limit=100, remaining=0, reset=7"}) == 7
    assert requested_wait_s({"ratelimit": '"default";r=0;t=9'}) == 9
    assert requested_wait_s({"x-ratelimit-remaining": "12", "x-ratelimit-reset": str(now + 30)}) is None
    assert requested_wait_s({"retry-after": "soon"}) is None
    assert requested_wait_s({}) is None


def test_a_rate_limit_is_not_held_against_the_attempts(api, session):
    api.answers = [Answer(429, {}, {"Retry-After": "0.01"})] * 12
    assert session.get("/a")["path"] == "/a"
    assert len(api.requests) == 13


def test_a_403_with_an_exhausted_limit_is_a_rate_limit(api, session):
    api.answers = [
        Answer(
            403, {"message": "API rate limit exceeded"}, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "0.01"}
        ),
    ]
    assert session.get("/a")["path"] == "/a"


def test_a_wait_beyond_the_limit_is_an_error_that_names_it(api, session):
    api.answers = [Answer(429, {"error": "come back tomorrow"}, {"Retry-After": "86400"})]
    with pytest.raises(TransientError, match=r"asking to wait 86400 s: come back tomorrow") as caught:
        session.get("/a")
    assert caught.value.retry_after_s == 86400
    assert len(api.requests) == 1


def test_the_sum_of_waits_is_limited(api):
    api.answers = [Answer(429, {}, {"Retry-After": "0.1"})] * 9
    with Session(base_url=api.url, max_wait_s=0.25) as session, pytest.raises(TransientError, match="would wait"):
        session.get("/a")
    assert len(api.requests) == 3


def test_backoff_grows_and_is_spread():
    assert all(0 <= backoff_s(1) <= 1 for _ in range(50))
    assert max(backoff_s(4) for _ in range(200)) > 4
    assert all(backoff_s(40) <= 60 for _ in range(50))
    assert len({backoff_s(3) for _ in range(10)}) == 10


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, AuthError), (403, AuthError), (404, ConfigError), (400, ConfigError), (422, ConfigError)],
)
def test_a_refusal_is_final_and_repeats_the_vendors_words(api, session, status, error):
    api.answers = [Answer(status, {"error": {"title": "Forbidden fruit", "message": "not for you"}})]
    with pytest.raises(error, match=f"answered {status}: not for you: Forbidden fruit") as caught:
        session.get("/a")
    assert caught.value.hint
    assert len(api.requests) == 1


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"error": "invalid_grant", "error_description": "token expired"}, "token expired: invalid_grant"),
        ({"errors": [{"detail": "no such field"}, {"detail": "bad date"}]}, "no such field; bad date"),
        ({"details": {"base": [{"description": "Subject: cannot be blank"}]}}, "Subject: cannot be blank"),
        ("<html><style>x{}</style><h1>Bad  gateway</h1></html>", "an answer in text/plain of 52 bytes"),
        ("Bad  gateway", "Bad gateway"),
        ({}, "no explanation"),
        ("", "no explanation"),
    ],
)
def test_the_vendors_sentence_is_found_where_apis_put_it(api, session, body, said):
    api.answers = [Answer(200, body)]
    assert vendor_message(session.request("GET", "/a")) == said


def test_basic_and_bearer_credentials_are_sent(api):
    with Session(base_url=api.url, auth=Basic("a", "b")) as session:
        assert session.get("/a")["headers"]["authorization"] == "Basic YTpi"
        got = session.get("/a", auth=Bearer("tok-en"))
        assert got["headers"]["authorization"] == "Bearer tok-en"


class Renewed:
    """Credentials that expire once."""

    def __init__(self, renews: bool) -> None:
        self.token, self.renews, self.asked = "old", renews, 0

    def apply(self, request: Request) -> None:
        request.params["key"] = self.token

    def refresh(self, response: Response) -> bool:
        self.asked += 1
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
    assert auth.asked == 1


def test_a_budget_spreads_calls_over_threads(api):
    budget = Budget(5, 0.3, matches=lambda request: request.path.startswith("/limited"))
    times, lock = [], threading.Lock()
    with Session(base_url=api.url, budgets=[budget]) as session:

        def work():
            for _ in range(3):
                session.get("/limited")
                with lock:
                    times.append(time.monotonic())

        began = time.monotonic()
        session.get("/free")
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    arrivals = sorted(c.at for c in api.calls("/limited"))
    assert len(arrivals) == 12
    assert max(times) - began >= 0.6
    # A busy machine makes a call arrive late, never early: none comes before the window that has room for it.
    assert all(arrival - began >= 0.3 * (number // 5) - 0.01 for number, arrival in enumerate(arrivals))


def test_a_budget_counts_retries_too(api):
    api.faults.next("server_error", times=2)
    with Session(base_url=api.url, policy=Eager(), budgets=[Budget(1, 0.1)]) as session:
        began = time.monotonic()
        session.get("/a")
        assert time.monotonic() - began >= 0.2


def test_a_budget_needs_calls_and_a_window():
    with pytest.raises(ValueError, match="not 0 per 1 s"):
        Budget(0, 1)


def test_a_call_can_weigh_more_than_one():
    budget = Budget(4, 60.0)
    assert budget.reserve(weight=3) == 0
    assert budget.reserve(weight=1) == 0
    assert 59 < budget.reserve(weight=2) <= 60
    assert 59 < budget.reserve(weight=9) <= 120  # never more than the whole window


class Said:
    def __init__(self, left, reset_s):
        self.told = (left, reset_s)


def told(response):
    return response.told


def test_the_server_can_take_calls_away_but_give_none():
    budget = Budget(10, 60.0, read=told)
    budget.update(Said(None, None))
    budget.update(Said(2, None))
    assert [budget.reserve() for _ in range(2)] == [0, 0]
    assert budget.reserve() > 50
    other = Budget(2, 60.0, read=told)
    other.update(Said(100, 5.0))
    assert [other.reserve() for _ in range(2)] == [0, 0]
    assert other.reserve() > 50


def test_nothing_left_closes_a_budget_until_the_reset():
    budget = Budget(10, 60.0, read=told)
    budget.update(Said(0, 5.0))
    assert 4.5 < budget.reserve() <= 5.0
    budget.update(Said(0, 2.0))
    assert 4.5 < budget.reserve() <= 5.0


def test_a_session_tells_its_budget_what_the_server_says(api):
    heard = []
    budget = Budget(
        5, 60.0, lambda request: request.path == "/a", read=lambda r: heard.append(r.status) or (None, None)
    )
    with Session(base_url=api.url, budgets=[budget]) as session:
        session.get("/a")
        session.get("/b")
    assert heard == [200]


def test_a_connection_can_be_kept_alive_by_probes(api):
    import socket

    with Session(base_url=api.url, keep_alive=True) as session, Session(base_url=api.url) as plain:
        found = []
        for one in (session, plain):
            one.get("/a")
            connection = next(iter(one._connections))
            found.append(connection.sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))
    assert found == [1, 0]


def test_a_budget_keeps_the_server_from_ever_saying_429():
    with Api(limits=(Limit(4, 0.3),)) as api, Session(base_url=api.url, budgets=[Budget(4, 0.33)]) as session:
        for _ in range(10):
            session.get("/a")
        assert {c.status for c in api.requests} == {200}


def test_a_slow_answer_times_out_and_is_retried(api):
    api.faults.next("slow")
    api.faults.slow_s = 5
    with Session(base_url=api.url, timeout_s=0.1, policy=Eager()) as session:
        assert session.get("/a")["path"] == "/a"
    assert len(api.requests) == 2


def test_a_timeout_says_how_long_it_waited(api):
    api.faults.next("slow")
    api.faults.slow_s = 5
    with (
        Session(base_url=api.url, timeout_s=0.1, policy=Retries(attempts=1)) as session,
        pytest.raises(TransientError, match=r"GET http://127.0.0.1:\d+/a did not answer within 0.1 s"),
    ):
        session.get("/a?token=abcdef")


def test_a_refused_connection_names_the_host(api, session):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(TransientError, match=f"127.0.0.1:{port} refuses the connection: .*refused"):
        session.get(f"http://127.0.0.1:{port}/a")


@pytest.mark.parametrize("address", ["ftp://example.org/a", "a/b", "http://["])
def test_an_unusable_address_is_a_config_error(address):
    with Session(proxy="") as session, pytest.raises(ConfigError, match="address"):
        session.get(address)


def test_closing_wakes_a_wait(api):
    api.answers = [Answer(429, {}, {"Retry-After": "60"})]
    session = Session(base_url=api.url)
    caught = []

    def work():
        try:
            session.get("/a")
        except Cancelled as error:
            caught.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    while not api.requests or not api.requests[0].status:
        time.sleep(0.01)
    time.sleep(0.05)
    session.close()
    thread.join(2)
    assert len(caught) == 1
    with pytest.raises(Cancelled):
        session.get("/a")


@pytest.mark.parametrize("tls", [False, True])
def test_closing_ends_a_read_from_a_silent_server(tls):
    context = None
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE)
    with Api(tls=context) as api:
        api.faults.slow_s = 600
        session = Session(base_url=api.url, tls=Tls(ca_file=str(CERTIFICATE)), proxy="")
        session.get("/a")
        api.faults.next("slow")
        caught = []

        def work():
            try:
                session.get("/a")
            except Cancelled as error:
                caught.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        while len(api.requests) < 2:
            time.sleep(0.01)
        session.close()
        thread.join(300)
        assert len(caught) == 1


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
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.hint, again.fields) == (str(caught.value), caught.value.hint, {"status": 404})


def test_a_proxy_carries_the_call(api):
    with Api() as proxy:
        proxy.answers = []
        user = proxy.url.replace("http://", "http://me:pass-word-1@")
        with Session(base_url="http://nowhere.invalid", proxy=user, policy=Retries(attempts=1)) as session:
            # The stand-in is no proxy: that it was asked, with the whole address, is what counts.
            session.request("GET", "/a", policy=Accepting())
        (call,) = proxy.requests
        assert call.path == "/a"
        assert call.headers["host"] == "nowhere.invalid"
        assert call.headers["proxy-authorization"].startswith("Basic ")


def test_the_environments_proxy_is_used_unless_no_proxy_names_the_host(api, monkeypatch):
    with Api() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        with Session() as session:
            session.get(api.url + "/a")
            session.request("GET", "http://nowhere.invalid/b", policy=Accepting())
        assert [c.path for c in api.requests] == ["/a"]
        assert [c.path for c in proxy.requests] == ["/b"]


def test_a_proxy_that_is_down_is_named_as_the_cause():
    with (
        Session(proxy="http://127.0.0.1:9", policy=Retries(attempts=1)) as session,
        pytest.raises(TransientError, match="proxy") as caught,
    ):
        session.get("http://nowhere.invalid/a")
    assert "proxy" in caught.value.hint


class Accepting:
    """Takes every response."""

    def judge(self, attempt, response, error):
        return Return()


@pytest.fixture
def secure():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    with Api(tls=context) as server:
        yield server


def test_an_unknown_certificate_is_a_config_error_and_not_retried(secure):
    with (
        Session(proxy="") as session,
        pytest.raises(ConfigError, match="certificate that is not trusted") as caught,
    ):
        session.get(secure.url + "/a")
    assert "ca_file" in caught.value.hint


def test_a_private_authority_is_trusted_when_given(secure):
    with Session(tls=Tls(ca_file=str(CERTIFICATE)), proxy="") as session:
        assert session.get(secure.url + "/a")["path"] == "/a"


def test_an_authority_can_come_from_the_environment(secure, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    with Session(proxy="") as session:
        assert session.get(secure.url + "/a")["path"] == "/a"


def test_verification_can_be_switched_off_and_says_so(secure, caplog):
    with Session(tls=Tls(verify=False), proxy="") as session:
        assert session.get(secure.url + "/a")["path"] == "/a"
    assert "not verified" in caplog.text


def test_a_client_certificate_is_shown():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    context.load_verify_locations(CERTIFICATE)
    context.verify_mode = ssl.CERT_REQUIRED
    with Api(tls=context) as server:
        tls = Tls(ca_file=str(CERTIFICATE), client_cert=str(CERTIFICATE))
        with Session(tls=tls, proxy="") as session:
            assert session.get(server.url + "/a")["path"] == "/a"
        without = Tls(ca_file=str(CERTIFICATE))
        with Session(tls=without, proxy="", policy=Retries(attempts=1)) as session, pytest.raises(TransientError):
            session.get(server.url + "/a")


def test_a_certificate_file_that_is_none_is_a_config_error(tmp_path):
    (tmp_path / "ca.pem").write_text("nothing")
    with Session(tls=Tls(ca_file=str(tmp_path / "ca.pem"))) as session, pytest.raises(ConfigError, match=r"ca\.pem"):
        session.get("https://127.0.0.1:9/")


def test_many_faults_cost_time_but_no_answer():
    faults = Faults(seed=3, rate_limit=0.05, server_error=0.1, drop=0.1, truncated=0.05, not_json=0.01, retry_after_s=0)
    with Api(faults=faults) as api, Session(base_url=api.url, policy=Eager(attempts=20)) as session:
        for n in range(200):
            assert session.get("/a", {"n": n})["params"] == {"n": [str(n)]}
        assert len(api.requests) > 250
