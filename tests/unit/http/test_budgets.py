"""Budgets of calls: they spread calls over time and follow what a server reports."""

import threading
import time

import pytest
from http_api import Api, Eager

from kitestring.http import (
    Budget,
    Session,
)
from kitestring.testing.stand_in import Limit


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


class LimitReply:
    def __init__(self, left, reset_s):
        self.reported_limits = (left, reset_s)


def reported_limits(response):
    return response.reported_limits


def test_the_server_can_take_calls_away_but_give_none():
    budget = Budget(10, 60.0, read=reported_limits)
    budget.update(LimitReply(None, None))
    budget.update(LimitReply(2, None))
    assert [budget.reserve() for _ in range(2)] == [0, 0]
    assert budget.reserve() > 50
    other = Budget(2, 60.0, read=reported_limits)
    other.update(LimitReply(100, 5.0))
    assert [other.reserve() for _ in range(2)] == [0, 0]
    assert other.reserve() > 50


def test_nothing_left_closes_a_budget_until_the_reset():
    budget = Budget(10, 60.0, read=reported_limits)
    budget.update(LimitReply(0, 5.0))
    assert 4.5 < budget.reserve() <= 5.0
    budget.update(LimitReply(0, 2.0))
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


def test_a_budget_keeps_the_server_from_ever_saying_429():
    with Api(limits=(Limit(4, 0.3),)) as api, Session(base_url=api.url, budgets=[Budget(4, 1.0)]) as session:
        for _ in range(10):
            session.get("/a")
        assert {c.status for c in api.requests} == {200}
