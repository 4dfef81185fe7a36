import logging
import time
from pathlib import Path

import pytest
from manifest_cases import assert_golden_requests, counted
from reading import read
from stand_ins.slack import TOKEN, SlackStandIn

from kitestring.errors import AuthError, ConfigError, KitestringError
from kitestring.registry import source
from kitestring.testing.stand_in import Faults
from kitestring.types import DELETED_AT

GOLDEN = Path(__file__).parent.parent / "golden" / "requests" / "slack.txt"
EXPECTED = {"channels": 4, "channel_messages": 40, "threads": 39, "users": 40, "channel_members": 40}


@pytest.fixture
def server():
    with SlackStandIn() as server:
        yield server


@pytest.fixture
def quiet():
    """A workspace in which nobody has said anything."""
    with SlackStandIn(messages=0) as server:
        yield server


@pytest.fixture
def slack(server):
    actual_source = source("slack", server.config)
    yield actual_source
    actual_source.close()


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
    assert {single_state["partition"]["channel"] for single_state in state["states"]} >= {"C0", "C1", "C2"}


def test_a_state_of_airbytes_connector_is_taken_over(server, slack):
    ts = server.messages["C0"][5]["ts"]
    state = {"states": [{"partition": {"channel": "C0", "parent_slice": {}}, "cursor": {"float_ts": ts}}]}
    rows, _ = read(source("slack", {**server.config, "lookback_window": 0}), "channel_messages", state)
    assert min(row["ts"] for row in rows if row["channel_id"] == "C0") == ts


def test_threads_hold_the_replies_and_not_the_message(server, slack):
    rows, _ = read(slack, "threads")
    assert {row["ts"] for row in rows}.isdisjoint({m["ts"] for rows in server.messages.values() for m in rows})


def replies_calls(server, seen):
    return [call.param("ts") for call in server.requests[seen:] if call.path.endswith("conversations.replies")]


def test_a_late_reply_to_a_message_of_weeks_ago_arrives_and_no_other_thread_is_asked(server, slack):
    _, state = read(slack, "threads")
    old = server.messages["C1"][-9]
    assert old["reply_count"] > 0
    assert float(server.messages["C1"][-1]["ts"]) - float(old["ts"]) > 20 * 86_400
    server.reply(old, "Three weeks later: solved.")
    seen = len(server.requests)
    rows, state = read(slack, "threads", state)
    assert [row["text"] for row in rows] == ["Three weeks later: solved."]
    assert replies_calls(server, seen) == [old["ts"]]
    seen = len(server.requests)
    assert read(slack, "threads", state)[0] == []
    assert replies_calls(server, seen) == []


def test_a_configuration_of_airbytes_with_its_lookback_of_zero_days_gets_every_reply(server):
    config = {
        **server.config, "start_date": "2024-01-01T00:00:00Z", "lookback_window": 0, "join_channels": True,
        "channel_filter": [], "credentials": {"option_title": "API Token Credentials", "api_token": TOKEN},
    }  # fmt: skip
    slack = source("slack", config)
    _, state = read(slack, "threads")
    for number in range(3):
        last = server.messages["C1"][-1 - number]
        server.reply(last, f"One more word {number}")
        rows, state = read(slack, "threads", state)
        assert f"One more word {number}" in {row["text"] for row in rows}


def test_each_channel_goes_on_from_its_own_last_reply(server, slack):
    _, state = read(slack, "threads")
    for _ in range(6):
        server.reply(server.post("C1", "busy"), "busy too")
    _, state = read(slack, "threads", state)
    quiet = next(message for message in reversed(server.messages["C0"]) if not message.get("reply_count"))
    server.reply(quiet, "The quiet channel wakes up.")
    assert [row["text"] for row in read(slack, "threads", state)[0]] == ["The quiet channel wakes up."]


def test_replies_that_come_while_the_history_is_read_come_with_the_next_sync(server, slack):
    """The state is no later than the sync's start, although a later reply was seen."""
    now = int(time.time())
    message = server.post("C0", "Now")
    other = server.post("C0", "Now too")
    message["ts"], other["ts"] = f"{now - 50}.000100", f"{now - 40}.000100"
    server.now = now + 60
    server.reply(other, "later than the sync began")
    _, state = read(slack, "threads")
    server.now = now - 30
    server.reply(message, "earlier than that, and after the page was read")
    texts = {row["text"] for row in read(slack, "threads", state)[0]}
    assert "earlier than that, and after the page was read" in texts


@pytest.mark.parametrize("stream", ["channel_messages", "threads"])
def test_a_channel_that_refused_the_app_brings_its_whole_history_and_nothing_else_is_read_again(server, stream):
    slack = source("slack", {**server.config, "lookback_window": 0})
    first = server.post("C3", "Before anybody invited the app")
    server.reply(first, "An old reply")
    _, state = read(slack, stream)
    server.channels[3]["is_member"] = True
    seen = len(server.requests)
    rows, _ = read(slack, stream, state)
    new = [row["text"] for row in rows if row["channel_id"] == "C3"]
    expected = {
        "channel_messages": ["Before anybody invited the app"],
        "threads": ["An old reply"],
    }
    assert sorted(new) == sorted(expected[stream])
    assert len(rows) - len(new) <= 3, "each channel's last message at most"
    assert len(replies_calls(server, seen)) == (1 if stream == "threads" else 0)


@pytest.mark.parametrize("stream", ["channel_messages", "threads"])
def test_a_channel_joined_later_brings_its_whole_history_and_nothing_else_is_read_again(server, stream):
    slack = source("slack", {**server.config, "lookback_window": 0})
    first = server.post("C3", "Before anybody invited the app")
    server.reply(first, "An old reply")
    private = server.add_channel("board", is_private=True)
    server.channels.pop()
    _, state = read(slack, stream)
    server.channels[3]["is_member"] = True
    server.channels.append(
        {"id": private, "name": "board", "is_private": True, "is_member": True, "is_archived": False}
    )
    server.now -= 30 * 86_400
    server.reply(server.post(private, "A private beginning"), "A private reply")
    server.now += 30 * 86_400
    seen = len(server.requests)
    rows, _ = read(slack, stream, state)
    new = [row["text"] for row in rows if row["channel_id"] in ("C3", private)]
    expected = {
        "channel_messages": ["Before anybody invited the app", "A private beginning"],
        "threads": ["An old reply", "A private reply"],
    }
    assert sorted(new) == sorted(expected[stream])
    assert len(rows) - len(new) <= 3, "each channel's last message at most"
    assert len(replies_calls(server, seen)) == (2 if stream == "threads" else 0)


def test_a_state_of_threads_that_an_earlier_version_wrote_is_taken_over(server, slack):
    """Before, a channel stood at its last message with replies, and the start of all replies was one for all."""
    parents = {
        channel: max(replied)
        for channel, rows in server.messages.items()
        if (replied := [m["ts"] for m in rows if m.get("reply_count")])
    }
    last = max(reply["ts"] for thread in server.replies.values() for reply in thread)
    state = {
        "use_global_cursor": True,
        "state": {"float_ts": str(float(last))},
        "lookback_window": 1,
        "parent_state": {
            "channel_messages": {
                "use_global_cursor": False,
                "states": [
                    {"partition": {"channel": channel, "parent_slice": {}}, "cursor": {"float_ts": str(float(ts))}}
                    for channel, ts in parents.items()
                ],
                "state": {"float_ts": str(max(map(float, parents.values())))},
                "lookback_window": 1,
                "parent_state": {},
            }
        },
    }
    late = server.messages["C0"][-5]
    server.reply(late, "A late one")
    seen = len(server.requests)
    rows, after = read(slack, "threads", state)
    assert "A late one" in {row["text"] for row in rows}
    assert len(replies_calls(server, seen)) <= 4
    seen = len(server.requests)
    assert read(slack, "threads", after)[0] == []
    assert replies_calls(server, seen) == []


def test_replies_of_the_last_days_are_read_again_for_their_edits(server):
    slack = source("slack", {**server.config, "reply_lookback_window": 2})
    server.now = int(time.time()) - 86_400 - 3_600
    message = server.post("C0", "It is down")
    message["ts"] = f"{server.now - 86_400 * 40}.000100"
    server.messages["C0"].sort(key=lambda m: m["ts"])
    server.now = int(time.time()) - 3_600
    reply = server.reply(message, "It is up")
    slack_40 = source("slack", {**server.config, "reply_lookback_window": 2, "lookback_window": 60})
    _, state = read(slack_40, "threads")
    reply.update(text="It is up again", edited={"user": "U2", "ts": "1"})
    assert [row["text"] for row in read(slack_40, "threads", state)[0]] == ["It is up again"]
    assert read(source("slack", {**server.config, "reply_lookback_window": 0}), "threads", state)[0] == []
    slack.close()


def rendered(server, text, **more):
    message = server.post("C0", text, **more)
    rows, _ = read(source("slack", server.config), "channel_messages")
    return next(row["text_rendered"] for row in rows if row["ts"] == message["ts"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ask <@U3> or <@U5|five>", "Ask @ada or @User 5"),
        ("<@U999> left, <@U998|eve> too", "@U999 left, @eve too"),
        ("see <#C1> and <#C1|help> and <#C99|>", "see #support and #help and #C99"),
        ("<!subteam^S1> <!subteam^S9|@ops> <!subteam^S8> <!here>", "@on-call @ops @S8 @here"),
        ("<https://a.example/?x=1&amp;y=2|the page>", "the page (https://a.example/?x=1&y=2)"),
        ("<https://a.example> <mailto:a@b.example|a@b.example>", "https://a.example a@b.example"),
        ("a &lt;b&gt; &amp;amp; c", "a <b> &amp; c"),
        ("<!date^1392734382^{date}|Feb 18>, half < open", "Feb 18, half < open"),
        ("42", "42"),
        ("'yes'", "'yes'"),
        ('"no" &amp; ("maybe")', '"no" & ("maybe")'),
        ("('a', 1)", "('a', 1)"),
        ("u'x'", "u'x'"),
        ("word " * 40 + "\\n'end'", "word " * 40 + "\\n'end'"),
        ("", ""),
    ],
)
def test_a_text_is_rendered_with_names_links_and_signs(quiet, text, expected):
    assert rendered(quiet, text) == expected


def test_a_bot_that_says_all_in_blocks_and_attachments_is_heard(quiet):
    elements = [{"type": "text", "text": "by "}, {"type": "user", "user_id": "U3"}]
    section = {"type": "rich_text_section", "elements": elements}
    blocks = [
        {"type": "header", "text": {"type": "plain_text", "text": "Deploy failed"}},
        {"type": "section", "text": {"type": "mrkdwn", "text": "on *prod* &amp; <#C1>"},
         "fields": [{"type": "mrkdwn", "text": "Build"}, {"type": "plain_text", "text": "1234"}]},
        {"type": "context", "elements": [{"type": "mrkdwn", "text": "ten minutes ago"}]},
        {"type": "rich_text", "elements": [section, {"type": "rich_text_list", "elements": [section]}]},
        {"type": "table", "rows": [[{"type": "raw_text", "text": "host"}, {"type": "raw_text", "text": "kite-7"}]]},
        {"type": "actions", "elements": [{"type": "button", "text": {"type": "plain_text", "text": "Retry"}}]},
        {"type": "divider"}, None,
    ]  # fmt: skip
    attachments = [
        {"title": "Incident", "title_link": "https://i.example", "text": "was <@U3>",
         "fields": [{"title": "Sev", "value": "1"}]},
        {"fallback": "Only a fallback"}, "odd",
    ]  # fmt: skip
    assert rendered(quiet, "", bot_id="B1", blocks=blocks, attachments=attachments).split("\n") == [
        "Deploy failed", "on *prod* & #support", "Build", "1234", "ten minutes ago", "by @ada", "host kite-7",
        "Incident (https://i.example)", "was @ada", "Sev: 1", "Only a fallback",
    ]  # fmt: skip


def test_what_a_person_wrote_is_not_said_twice_and_files_have_their_names(quiet):
    block = {
        "type": "rich_text",
        "elements": [{"type": "rich_text_section", "elements": [{"type": "text", "text": "Hi"}]}],
    }
    assert rendered(quiet, "Hi", blocks=[block], files=[{"title": "report.pdf"}]) == "Hi\nreport.pdf"


def test_names_are_asked_for_once_and_only_where_a_message_has_one(server):
    slack = source("slack", server.config)
    read(slack, "channel_messages")
    assert server.calls("users.list") == []
    for _ in range(3):
        server.post("C0", "<@U3> <@U4>")
    read(slack, "channel_messages")
    assert len(server.calls("users.list")) == 3, "three pages of the list, once"


def test_messages_come_without_names_where_the_token_may_not_read_people(caplog):
    with SlackStandIn(messages=3, lacks=("users:read", "usergroups:read")) as server:
        assert rendered(server, "<@U3> <!subteam^S1>") == "@U3 @S1"
    assert "ids of users are not replaced with names" in caplog.text
    assert "lacks the scope users:read" in caplog.text


def test_the_app_joins_public_channels_where_it_is_told_to(server):
    server.post("C3", "Public all the time")
    assert not server.calls("join")
    slack = source("slack", {**server.config, "join_channels": True})
    rows, state = read(slack, "channel_messages")
    assert "Public all the time" in {row["text"] for row in rows}
    assert [call.body for call in server.calls("conversations.join")] == [b"channel=C3"]
    server.post("C3", "And later")
    rows, _ = read(
        source("slack", {**server.config, "join_channels": True, "lookback_window": 0}), "channel_messages", state
    )
    assert "And later" in {row["text"] for row in rows if row["channel_id"] == "C3"}
    assert len(rows) <= 5
    assert len(server.calls("conversations.join")) == 1


def test_a_token_that_may_not_join_reads_what_it_read_before(caplog):
    with SlackStandIn(lacks=("channels:join",)) as server:
        slack = source("slack", {**server.config, "join_channels": True})
        rows, _ = read(slack, "channel_messages")
        assert {row["channel_id"] for row in rows} == {"C0", "C1", "C2"}
    assert "cannot join a channel (missing_scope channels:join)" in caplog.text


def test_tokens_that_rotate_are_renewed_once_for_all_streams_and_the_pair_is_kept():
    with SlackStandIn(rotating=True) as server:
        config = server.rotating_config
        slack = source("slack", config)
        kept = []
        slack.on_config(kept.append)
        for name in ("channel_messages", "threads", "users"):
            read(slack, name)
        assert len(server.tokens.refreshes) == 1, "there was no expiry, so it is renewed at once"
        credentials = kept[-1]["credentials"]
        assert credentials["refresh_token"] != config["credentials"]["refresh_token"]
        assert server.tokens.allows(credentials["access_token"])
        assert credentials["token_expiry_date"] > "2026"
        assert len(read(source("slack", {**server.config, "credentials": credentials}), "users")[0]) == 40
        assert len(server.tokens.refreshes) == 1, "the kept pair is good for 12 hours"


def test_a_token_that_ended_before_its_time_is_renewed_and_the_call_made_again():
    with SlackStandIn(rotating=True) as server:
        slack = source("slack", server.rotating_config)
        read(slack, "users")
        server.tokens.end_access()
        assert len(read(slack, "users")[0]) == 40
        assert len(server.tokens.refreshes) == 2


def test_a_refresh_token_that_was_used_is_an_error_with_the_way_out():
    with SlackStandIn(rotating=True) as server:
        config = server.rotating_config
        read(source("slack", config), "users")
        config["credentials"].update(refresh_token="used-before", token_expiry_date="", access_token="old")
        with pytest.raises(AuthError, match=r"returned no access_token \(invalid_refresh_token\)"):
            read(source("slack", config), "users")


@pytest.mark.parametrize(
    "credentials",
    [
        {"api_token": TOKEN},
        {"option_title": "API Token Credentials", "api_token": TOKEN},
        {
            "option_title": "Default OAuth2.0 authorization",
            "access_token": TOKEN,
            "client_id": "a",
            "client_secret": "b",
        },
        {"option_title": "Default OAuth2.0 authorization", "access_token": TOKEN, "refresh_token": ""},
    ],
)
def test_tokens_that_do_not_end_go_on_in_every_form_of_the_configuration(server, credentials):
    assert len(read(source("slack", {**server.config, "credentials": credentials}), "users")[0]) == 40


def test_a_token_of_an_organisation_reads_the_workspace_that_team_id_names():
    with SlackStandIn(team="T1") as server:
        slack = source("slack", {**server.config, "team_id": "T1"})
        assert len(read(slack, "channel_messages")[0]) == 40
        assert len(read(slack, "users")[0]) == 40
        with pytest.raises(ConfigError, match="needs the option team_id"):
            read(source("slack", server.config), "users")


def test_a_tombstone_is_a_deletion(server, slack):
    removed = next(m for m in server.messages["C1"] if m.get("reply_count"))
    server.delete(removed)
    rows, _ = read(slack, "channel_messages")
    assert [row["ts"] for row in rows if row.get(DELETED_AT)] == [removed["ts"]]


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


@pytest.mark.parametrize(
    ("lost", "message"), [("response_metadata", "names no cursor"), ("all", "sent a full page without has_more")]
)
def test_a_page_that_lost_its_mark_ends_the_stream_instead_of_being_the_last(lost, message):
    class Forgetful(SlackStandIn):
        def _listed(self, call, key, rows):
            page = super()._listed(call, key, rows)
            page.pop("response_metadata")
            if lost == "all":
                page.pop("has_more")
            return page

    with Forgetful(messages=1_000, page=200) as server, pytest.raises(KitestringError, match=message):
        read(source("slack", {**server.config, "channel_filter": ["general"]}), "channel_messages")


def test_limits_and_faults_cost_time_but_no_record():
    with SlackStandIn(page=4, faults=Faults(seed=5, rate_limit=0.2, retry_after_s=0)) as server:
        server.faults.next("server_error", on="conversations.history")
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
