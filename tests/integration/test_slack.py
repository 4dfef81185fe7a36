import logging
from pathlib import Path

import pytest
from manifest_cases import assert_golden_requests, counted
from reading import read

from kitestring.errors import ConfigError
from kitestring.registry import source
from kitestring.testing.slack import SlackStandIn
from kitestring.testing.stand_in import Faults
from kitestring.types import DELETED_AT

GOLDEN = Path(__file__).parent.parent / "golden" / "requests" / "slack.txt"
EXPECTED = {"channels": 4, "channel_messages": 40, "threads": 39, "users": 40}


@pytest.fixture
def server():
    with SlackStandIn() as server:
        yield server


@pytest.fixture
def slack(server):
    found = source("slack", server.config)
    yield found
    found.close()


def test_every_stream_is_read_completely_and_fits_its_declared_fields(slack):
    assert counted(slack) == EXPECTED


def test_the_requests_are_the_golden_ones():
    with SlackStandIn(messages=9, page=2) as server:
        assert_golden_requests(server, source("slack", server.config), GOLDEN)


def test_a_second_read_brings_what_is_new_and_the_last_days_again(server, slack):
    states = {name: read(slack, name)[1] for name in ("channel_messages", "threads")}
    older = server.messages["C0"][-2]
    server.reply(older, "One more word.")
    server.post("C1", "Something new")
    seen = len(server.requests)
    messages, _ = read(slack, "channel_messages", states["channel_messages"])
    assert "Something new" in {row["text"] for row in messages}
    assert len(messages) < 15
    replies, _ = read(slack, "threads", states["threads"])
    assert "One more word." in {row["text"] for row in replies}
    assert len(replies) < 15
    assert len(server.requests) - seen < 25


def test_a_read_without_lookback_brings_only_what_is_new(server):
    slack = source("slack", {**server.config, "lookback_window": 0})
    _, state = read(slack, "channel_messages")
    server.post("C1", "Something new")
    last = {row["ts"] for rows in server.messages.values() for row in rows[-2:]}
    rows, _ = read(slack, "channel_messages", state)
    assert "Something new" in {row["text"] for row in rows}
    assert {row["ts"] for row in rows} <= last


def test_each_channel_has_a_state_of_its_own(slack):
    _, state = read(slack, "channel_messages")
    assert {one["partition"]["channel"] for one in state["states"]} >= {"C0", "C1", "C2"}


def test_a_state_of_airbytes_connector_is_taken_over(server, slack):
    ts = server.messages["C0"][5]["ts"]
    state = {"states": [{"partition": {"channel": "C0", "parent_slice": {}}, "cursor": {"float_ts": ts}}]}
    rows, _ = read(source("slack", {**server.config, "lookback_window": 0}), "channel_messages", state)
    assert min(row["ts"] for row in rows if row["channel_id"] == "C0") == ts


def test_threads_hold_the_replies_and_not_the_message(server, slack):
    rows, _ = read(slack, "threads")
    assert {row["ts"] for row in rows}.isdisjoint({m["ts"] for rows in server.messages.values() for m in rows})


def test_a_tombstone_is_a_deletion(server, slack):
    gone = next(m for m in server.messages["C1"] if m.get("reply_count"))
    server.delete(gone)
    rows, _ = read(slack, "channel_messages")
    assert [row["ts"] for row in rows if row.get(DELETED_AT)] == [gone["ts"]]


def test_a_channel_that_the_app_has_not_joined_is_left_out_with_a_warning(slack, caplog):
    caplog.set_level(logging.WARNING)
    rows, _ = read(slack, "channel_messages")
    assert {row["channel_id"] for row in rows} == {"C0", "C1", "C2"}
    assert "not a member of this channel" in caplog.text


def test_private_channels_are_read_only_where_asked_for(server):
    slack = source(
        "slack", {**server.config, "include_private_channels": False, "channel_filter": ["general", "secret"]}
    )
    assert [row["name"] for row in read(slack, "channels")[0]] == ["general"]


def test_limits_cost_time_but_no_record():
    with SlackStandIn(page=4, faults=Faults(seed=5, rate_limit=0.2, retry_after_s=0)) as server:
        slack = source("slack", server.config)
        assert len(read(slack, "channel_messages")[0]) == 40
        assert 429 in {call.status for call in server.requests}


def test_a_wrong_token_is_an_error_that_does_not_show_it(server):
    slack = source("slack", {**server.config, "credentials": {"api_token": "not-the-token"}})
    with pytest.raises(ConfigError, match=r"refuses the token \(invalid_auth") as caught:
        slack.check()
    assert "not-the-token" not in str(caught.value)


def test_a_missing_scope_is_an_error_with_the_way_out():
    with SlackStandIn(lacks=("users:read",)) as server:
        slack = source("slack", server.config)
        with pytest.raises(ConfigError, match=r"lacks the scope users:read.*deselect the stream"):
            read(slack, "users")
