import logging
import time
from pathlib import Path

import orjson
import pytest
from reading import golden, read

from kitestring.errors import AuthError, ConfigError
from kitestring.registry import source
from kitestring.testing.help_desk import HelpDesk
from kitestring.testing.stand_in import Faults
from kitestring.testing.zendesk import ZendeskStandIn
from kitestring.types import DELETED_AT, SyncMode

GOLDEN = Path(__file__).parent.parent / "golden" / "requests" / "zendesk_support.txt"

EXPECTED = {
    "tickets": 400, "ticket_comments": 1269, "ticket_events": 1269, "ticket_audits": 1216, "ticket_metrics": 384,
    "ticket_metric_events": 751, "satisfaction_ratings": 61, "deleted_tickets": 16, "users": 66, "organizations": 12,
    "groups": 3, "group_memberships": 6, "organization_memberships": 60, "ticket_fields": 9, "ticket_forms": 2,
    "user_fields": 1, "organization_fields": 2, "brands": 1, "tags": 19, "macros": 15, "views": 4, "triggers": 2,
    "automations": 0, "sla_policies": 1, "schedules": 1, "custom_roles": 0, "articles": 60, "sections": 12,
    "categories": 3, "topics": 2, "posts": 6, "article_translations": 60, "article_comments": 27,
    "article_attachments": 10, "article_votes": 784, "article_comment_votes": 28, "post_comments": 6, "post_votes": 7,
    "post_comment_votes": 2, "ticket_attachments": 44, "side_conversations": 20, "side_conversation_events": 40,
    "survey_responses": 61, "ticket_skips": 9, "ticket_activities": 9, "user_identities": 83, "audit_logs": 66,
    "account_attributes": 2, "attribute_definitions": 3,
}  # fmt: skip


@pytest.fixture
def zendesk():
    with ZendeskStandIn() as server:
        yield server


@pytest.fixture
def support(zendesk):
    actual_source = source("zendesk_support", zendesk.config)
    yield actual_source
    actual_source.close()


@pytest.fixture(scope="module")
def everything():
    """Every stream of the catalog with all its records."""
    with ZendeskStandIn() as zendesk:
        support = source("zendesk_support", zendesk.config)
        return [(stream, read(support, stream.name)[0]) for stream in support.discover()]


def test_every_stream_is_read_completely(everything):
    results = {}
    for stream, rows in everything:
        assert stream.primary_key, stream.name
        results[stream.name] = len({tuple(row[key[0]] for key in stream.primary_key) for row in rows})
    assert results == EXPECTED


def test_records_fit_the_declared_fields(everything):
    undeclared = {
        stream.name: {k for row in rows for k in row} - set(stream.schema["properties"]) for stream, rows in everything
    }
    # What the sample help desk adds on top of the documented fields, and what the schemas leave out, is nothing.
    assert {name: keys for name, keys in undeclared.items() if keys} == {}


def test_the_requests_are_the_golden_ones():
    lines = []
    with ZendeskStandIn(desk=HelpDesk(tickets=60, articles=10), export_page=50) as zendesk:
        support = source("zendesk_support", zendesk.config)
        for stream in support.discover():
            seen = len(zendesk.requests)
            _, state = read(support, stream.name)
            lines.append(f"# {stream.name}")
            lines += [call.line() for call in zendesk.requests[seen:]]
            if SyncMode.incremental in stream.sync_modes:
                seen = len(zendesk.requests)
                read(support, stream.name, state)
                lines.append("# … again")
                lines += [call.line() for call in zendesk.requests[seen:]]
    assert "\n".join(lines) + "\n" == golden(GOLDEN, lines)


def test_deleted_tickets_are_deletions_and_others_are_not(zendesk, support):
    rows, state = read(support, "tickets")
    for row in rows:
        assert (row.get(DELETED_AT) is not None) == (row["status"] == "deleted")
    zendesk.delete_ticket(1)
    rows, _ = read(support, "tickets", state)
    (removed,) = [row for row in rows if row["id"] == 1]
    assert removed[DELETED_AT] == removed["updated_at"]
    assert DELETED_AT in support.discover().get("tickets").schema["properties"]


def test_a_second_read_brings_only_what_changed(zendesk, support):
    states = {}
    for name in ("tickets", "articles", "ticket_comments", "users"):
        _, states[name] = read(support, name)
    zendesk.touch_ticket(7, comment="One more word from us.")
    added = zendesk.add_ticket("Something new", "It broke.")
    article = next(iter(zendesk.desk.articles))
    zendesk.shrink_article(article)

    def new(name, since):
        rows, _ = read(support, name, states[name])
        return [row for row in rows if row[since[0]] > since[1]]

    assert [t["id"] for t in new("tickets", ("generated_timestamp", zendesk.desk.now - 500))][-2:] == [7, added["id"]]
    assert [a["id"] for a in new("articles", ("updated_at", "2025-10-31"))] == [article]
    bodies = [c["body"] for c in new("ticket_comments", ("created_at", "2025-10-31T18:00:00Z"))]
    assert bodies == ["One more word from us.", "It broke."]


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("tickets", {"generated_timestamp": 1759276800}),
        ("ticket_comments", {"created_at": "2025-10-01T00:00:00Z"}),
        ("articles", {"updated_at": "2025-02-01T00:00:00Z"}),
    ],
)
def test_a_state_of_airbytes_connector_is_taken_over(zendesk, support, name, state):
    (cursor, value), total = next(iter(state.items())), len(read(support, name)[0])
    rows, _ = read(support, name, state)
    assert 0 < len(rows) < total
    assert all(row[cursor] >= value for row in rows)


def test_the_last_minute_which_zendesk_withholds_is_not_asked_for(zendesk, support):
    state = {"generated_timestamp": str(int(time.time()) - 20)}
    seen = len(zendesk.requests)
    assert read(support, "tickets", state) == ([], state)
    assert len(zendesk.requests) == seen


def test_comments_know_their_ticket_and_when_they_were_written(support):
    rows, _ = read(support, "ticket_comments")
    for row in rows:
        assert row["ticket_id"] == row["id"] // 1000
        assert row["created_at"]
        assert row["body"]


@pytest.mark.parametrize("faults", [{"rate_limit": 0.2, "retry_after_s": 0}, {"server_error": 0.1, "drop": 0.1}])
def test_faults_cost_time_but_no_record(faults):
    with ZendeskStandIn(export_page=40, faults=Faults(seed=4, **faults)) as zendesk:
        support = source("zendesk_support", zendesk.config)
        rows, _ = read(support, "tickets")
        assert sorted(row["id"] for row in rows) == list(range(1, 401))
        assert len(zendesk.requests) > 10


def test_a_wrong_token_is_an_auth_error_that_does_not_show_it(zendesk):
    credentials = {"credentials": "api_token", "email": "agent@larkspur.example", "api_token": "not-the-token"}
    support = source("zendesk_support", {**zendesk.config, "credentials": credentials})
    with pytest.raises(AuthError, match="401: Couldn't authenticate you") as caught:
        support.check()
    assert "not-the-token" not in str(caught.value)


def test_a_wrong_subdomain_is_a_config_error_and_never_an_empty_sync():
    with ZendeskStandIn(lacks=["/api/v2"]) as zendesk:
        # The page of a help desk that does not exist is not the API's JSON.
        zendesk.refuse = lambda status, message: zendesk_page(status)
        support = source("zendesk_support", zendesk.config)
        for check in (support.check, lambda: read(support, "articles"), lambda: read(support, "tags")):
            with pytest.raises(ConfigError, match="there is no help desk at"):
                check()


def zendesk_page(status):
    from kitestring.testing.stand_in import Answer

    return Answer(status, b"<html><h1>Help Center Closed</h1></html>", {"Content-Type": "text/html"})


def test_what_the_plan_lacks_is_left_out_with_a_warning(caplog):
    caplog.set_level(logging.WARNING)
    with ZendeskStandIn(lacks=["slas", "help_center"]) as zendesk:
        support = source("zendesk_support", zendesk.config)
        assert read(support, "sla_policies")[0] == []
        assert read(support, "articles")[0] == []
    assert "plan does not include" in caplog.text


def test_what_is_forbidden_is_an_error_with_the_way_out():
    with ZendeskStandIn(forbidden=["macros"]) as zendesk:
        support = source("zendesk_support", zendesk.config)
        with pytest.raises(ConfigError, match="deselect the stream"):
            read(support, "macros")


def test_the_start_date_limits_what_is_read(zendesk):
    support = source("zendesk_support", {**zendesk.config, "start_date": "2025-08-01T00:00:00Z"})
    rows, _ = read(support, "tickets")
    assert 50 < len(rows) < 250
    assert min(row["updated_at"] for row in rows) >= "2025-08-01"


@pytest.mark.parametrize("subdomain", ["larkspur", "larkspur.zendesk.com", "https://larkspur.zendesk.com/"])
def test_a_subdomain_may_be_pasted_with_its_address(zendesk, subdomain):
    support = source("zendesk_support", {**zendesk.config, "subdomain": subdomain})
    support.check()


def test_the_documented_limit_of_exports_is_kept_without_a_429():
    with ZendeskStandIn(export_page=80, documented_limits=True) as zendesk:
        support = source("zendesk_support", zendesk.config)
        read(support, "tickets")
        read(support, "users")
        assert {c.status for c in zendesk.requests} == {200}
        assert len(zendesk.calls("/incremental/")) == 6


def test_a_cut_emoji_in_a_ticket_keeps_no_other_ticket_from_arriving(zendesk, support):
    ticket = next(iter(zendesk.desk.tickets.values()))
    ticket["subject"] = orjson.Fragment(b'"cut \\ud83d"')
    rows, _ = read(support, "tickets")
    assert len(rows) == EXPECTED["tickets"]
    assert "cut \ufffd" in [row["subject"] for row in rows]
