"""Attempts after a failure: what is retried, how long a session waits, and what an error says."""

import logging
import re
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from kitestring.backoff import backoff_s
from kitestring.current_stream import STREAM
from kitestring.errors import AuthError, ConfigError, TransientError
from kitestring.http import (
    Budget,
    Retries,
    Session,
    requested_wait_s,
)
from kitestring.http.message import UnreadableError
from kitestring.http.retry import vendor_message
from kitestring.testing.stand_in import Answer


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
    with pytest.raises(TransientError) as caught:
        session.get("/a")
    assert f"of {len(text)} bytes" in str(caught.value)
    assert "inner-secret" not in f"{caught.value} {caplog.text}"


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
    (output,) = warnings_of(caplog)  # not at each of the five attempts
    assert re.fullmatch(
        rf"stream tickets: GET {api.url}/a waits since \d\d:\d\d:\d\d: status 500; "
        r"the next try is at \d\d:\d\d:\d\d",
        output,
    )


def test_a_wait_for_the_sources_own_limit_is_logged_and_is_no_warning(api, caplog, monkeypatch):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr("kitestring.http.session.QUIET_S", 0.1)
    with Session(base_url=api.url, proxy="", budgets=[Budget(1, 0.3)]) as session:
        session.get("/a")
        session.get("/a")
    assert not warnings_of(caplog)
    (line,) = [record.getMessage() for record in caplog.records if "waiting" in record.getMessage()]
    assert re.fullmatch(rf"waiting 0\.\d s before GET {api.url}/a: the limit of 1 calls per 0.3 s is reached", line)


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
    with pytest.raises(UnreadableError, match=r"answered 200 with text/html of 98 bytes that is not JSON") as caught:
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
    ("body", "sentence"),
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
def test_the_vendors_sentence_is_found_where_apis_put_it(api, session, body, sentence):
    api.answers = [Answer(200, body)]
    assert vendor_message(session.request("GET", "/a")) == sentence
