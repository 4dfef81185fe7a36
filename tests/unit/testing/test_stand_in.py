import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kitestring.errors import ConfigError, TransientError
from kitestring.http import Retries, Session, UnreadableError
from kitestring.testing.stand_in import Answer, Call, Faults, Limit, Quota, StandIn, route

ONCE = Retries(attempts=1)
TESTS = Path(__file__).parents[2]


class Weather(StandIn):
    @route("GET", "/days/{day}")
    def day(self, call: Call, day: str):
        return {"day": day, "celsius": 21}

    @route("POST", "/days")
    def add(self, call: Call):
        return Answer(201, call.json())


def test_routes_take_segments_a_json_ending_and_escapes():
    with Weather() as weather, Session(base_url=weather.url) as session:
        assert session.get("/days/monday")["day"] == "monday"
        assert session.get("/days/monday.json")["day"] == "monday"
        assert session.get("/days/a%2Fb")["day"] == "a/b"
        assert session.request("POST", "/days", json={"x": 1}).status == 201
        with pytest.raises(ConfigError, match="404"):
            session.get("/nights")
        with pytest.raises(ConfigError, match="405"):
            session.get("/days")


def test_the_journal_keeps_calls_with_their_status():
    with Weather() as weather, Session(base_url=weather.url) as session:
        session.get("/days/a", {"z": 1, "b": [2, 3]})
        session.request("POST", "/days", json={})
        assert [c.line() for c in weather.requests] == ["GET /days/a?b=2&b=3&z=1", "POST /days"]
        assert [c.status for c in weather.calls("/days")] == [200, 201]
        assert len(weather.calls("/days", "POST")) == 1


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("rate_limit", "429"),
        ("server_error", "503"),
        ("drop", "broke off"),
        ("truncated", "broke off"),
        ("not_json", "is not JSON"),
    ],
)
def test_the_next_call_fails_as_it_was_told_and_only_on_its_path(kind, sentence):
    with Weather() as weather, Session(base_url=weather.url, policy=ONCE) as session:
        weather.faults.next(kind, on="/days/b")
        session.get("/days/a")
        if kind == "not_json":  # such a page is asked for once more
            weather.faults.next(kind, on="/days/b")
        with pytest.raises((TransientError, UnreadableError), match=sentence):
            session.get("/days/b")
        session.get("/days/b")


def test_an_unknown_fault_is_refused():
    with pytest.raises(ValueError, match="'rain' is not one of"):
        Faults().next("rain")


def test_shares_of_faults_hold_over_many_calls():
    faults = Faults(seed=9, server_error=0.2, drop=0.1, on="/days")
    drawn = [faults.draw("/days/x") for _ in range(2000)]
    assert 340 < drawn.count("server_error") < 460
    assert 150 < drawn.count("drop") < 250
    assert faults.draw("/else") is None


def test_a_limit_answers_429_and_tells_when():
    with Weather(limits=(Limit(2, 3000),)) as weather, Session(base_url=weather.url, policy=ONCE) as session:
        assert session.request("GET", "/days/a").headers["x-ratelimit-remaining"] == "1"
        session.get("/days/a")
        with pytest.raises(TransientError) as caught:
            session.get("/days/a")
        assert 2000 < caught.value.retry_after_s <= 3000


def test_a_quota_runs_out_however_slow_the_client_is():
    with Weather(limits=(Quota(2, 0.05),)) as weather, Session(base_url=weather.url) as session:
        for _ in range(5):
            time.sleep(0.06)
            session.get("/days/a")
        assert [call.status for call in weather.requests] == [200, 200, 429, 200, 200, 429, 200]


def test_a_closed_server_hangs_up_and_can_start_again():
    weather = Weather()
    with weather, Session(base_url=weather.url, policy=ONCE) as session:
        session.get("/days/a")
        weather.close()
        with pytest.raises(TransientError):
            session.get("/days/a")
        weather.start()
        with Session(base_url=weather.url) as second:
            second.get("/days/a")
    with pytest.raises(RuntimeError, match="not started"):
        _ = weather.url


@pytest.mark.parametrize(
    "module",
    ["kitestring.testing.zendesk", "stand_ins.github", "stand_ins.openai", "stand_ins.notion", "stand_ins.asana"],
)
def test_a_stand_in_can_be_started_by_hand(module):
    command = [sys.executable, "-m", module, "--port", "0"]
    with subprocess.Popen(command, cwd=TESTS, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            url = process.stdout.readline().strip()
            assert re.fullmatch(r"http://127\.0\.0\.1:\d+", url)
            with Session(base_url=url, policy=Answering(), proxy="") as session:
                assert session.request("GET", "/nowhere").status in (401, 404)
            process.send_signal(signal.SIGINT)
            assert "1 requests" in process.communicate()[1]
        finally:
            process.kill()


class Answering(Retries):
    """Takes every answer, and waits for a server that is still starting."""

    def judge(self, attempt, response, error):
        from kitestring.http import Return

        return Return() if response is not None else super().judge(attempt, response, error)


def test_the_stand_ins_do_not_need_pytest():
    code = (
        "import sys, kitestring.testing, kitestring.testing.zendesk, stand_ins.github, "
        "stand_ins.openai; sys.exit('pytest' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=TESTS, check=False).returncode == 0
