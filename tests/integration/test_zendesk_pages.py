"""Zendesk's pages: what says that more follow, and what happens where nothing does."""

import pytest
from reading import read

from kitestring.errors import ConnectorError
from kitestring.registry import source
from kitestring.testing.help_desk import HelpDesk
from kitestring.testing.stand_in import Answer
from kitestring.testing.zendesk import ZendeskStandIn

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def zendesk():
    with ZendeskStandIn(desk=HelpDesk(tickets=100, articles=130)) as server:
        yield server


@pytest.fixture(scope="module")
def support(zendesk):
    actual_source = source("zendesk_support", zendesk.config)
    yield actual_source
    actual_source.close()


@pytest.mark.parametrize("feed", [False, True])
def test_ticket_audits_are_read_to_the_end_in_both_shapes_of_their_pages(zendesk, support, feed, monkeypatch):
    monkeypatch.setattr(zendesk, "audits_as_feed", feed)
    seen = len(zendesk.calls("ticket_audits"))
    rows, state = read(support, "ticket_audits")
    assert sorted(row["id"] for row in rows) == sorted(row["id"] for row in zendesk.desk.all_audits())
    assert len(rows) > 250
    assert len(zendesk.calls("ticket_audits")) - seen == -(-len(rows) // 100)
    second, _ = read(support, "ticket_audits", state)
    assert {row["created_at"] for row in second} == {max(row["created_at"] for row in rows)}


class OldestFirst(ZendeskStandIn):
    """`ticket_audits` with the oldest first: `after_cursor` leads on, and is there on the last page."""

    def feed(self, call, key, rows):
        rows = rows[::-1]
        start = int(call.param("cursor", "0"))
        page = rows[start : start + 100]
        return {key: page, "after_cursor": str(start + len(page)), "before_cursor": None, "before_url": None}


def test_ticket_audits_may_begin_with_the_oldest():
    with OldestFirst(tickets=100) as zendesk:
        zendesk.audits_as_feed = True
        rows, _ = read(source("zendesk_support", zendesk.config), "ticket_audits")
        assert sorted(row["id"] for row in rows) == sorted(row["id"] for row in zendesk.desk.all_audits())


@pytest.mark.parametrize(
    ("stream", "path", "mark"),
    [
        ("ticket_audits", "/ticket_audits", "meta"),
        ("ticket_audits", "/ticket_audits", "meta.after_cursor"),
        ("article_translations", "/help_center/articles", "meta"),
        ("article_translations", "/help_center/articles", "meta.after_cursor"),
        ("tickets", "/incremental/tickets", "end_of_stream"),
        ("tickets", "/incremental/tickets", "after_cursor"),
        ("ticket_metrics", "/incremental/tickets", "end_of_stream"),
        ("ticket_comments", "/incremental/ticket_events", "end_of_stream"),
        ("ticket_events", "/incremental/ticket_events", "end_time"),
        ("users", "/incremental/users", "end_of_stream"),
        ("organizations", "/incremental/organizations", "end_of_stream"),
        ("ticket_metric_events", "/incremental/ticket_metric_events", "end_of_stream"),
    ],
)
def test_a_page_that_does_not_say_whether_more_follow_is_an_error_and_never_the_last(
    zendesk, support, stream, path, mark, monkeypatch
):
    monkeypatch.setattr(zendesk, "export_page", 20)
    monkeypatch.setattr(zendesk, "leaves_out", {path: mark})
    with pytest.raises(ConnectorError, match=r"so that nobody can tell|names no cursor"):
        read(support, stream)


def test_a_short_list_without_a_mark_is_whole(zendesk, support, monkeypatch):
    monkeypatch.setattr(zendesk, "leaves_out", {"/groups": "meta"})
    assert len(read(support, "groups")[0]) == 3


@pytest.mark.parametrize(("following", "whole"), [(None, True), ("https://larkspur.zendesk.com/x?page=2", False)])
def test_a_list_that_knows_no_cursors_is_whole_where_it_says_so(zendesk, support, monkeypatch, following, whole):
    fields = [{"id": number, "title": f"Field {number}"} for number in range(150)]
    answer = {"ticket_fields": fields, "count": 150, "next_page": following, "previous_page": None}
    read(support, "groups")  # which gets a token
    monkeypatch.setattr(zendesk, "_routed", lambda call: Answer(200, answer))
    if whole:
        assert len(read(support, "ticket_fields")[0]) == 150
    else:
        with pytest.raises(ConnectorError, match="so that nobody can tell"):
            read(support, "ticket_fields")


def test_a_list_that_leaves_has_more_out_is_read_until_it_names_no_cursor(zendesk, support, monkeypatch):
    monkeypatch.setattr(zendesk, "leaves_out", {"/help_center/articles": "meta.has_more"})
    assert len(read(support, "article_translations")[0]) == 130


def test_a_rating_that_is_given_weeks_after_its_offer_arrives(zendesk, support):
    ticket, later = (t["id"] for t in zendesk.desk.live_tickets()[:2])
    zendesk.desk.offer(ticket)
    zendesk.desk.now += 20 * 86400
    zendesk.desk.offer(later)
    rows, state = read(support, "satisfaction_ratings")
    assert {r["ticket_id"]: r["score"] for r in rows}[ticket] == "offered"
    zendesk.desk.rate(ticket, "good", "Thank you, it works again.")
    rows, _ = read(support, "satisfaction_ratings", state)
    (rating,) = [row for row in rows if row["ticket_id"] == ticket]
    assert (rating["score"], rating["comment"]) == ("good", "Thank you, it works again.")


def test_how_far_ratings_look_back_is_an_option(zendesk):
    support = source("zendesk_support", {**zendesk.config, "ratings_lookback_days": 3})
    _, state = read(support, "satisfaction_ratings")
    seen = len(zendesk.requests)
    read(support, "satisfaction_ratings", state)
    since = int(zendesk.requests[seen].param("start_time"))
    assert since == int(state["created_at"]) - 3 * 86400
