import contextlib
from collections import Counter

import pytest

from kitestring.errors import AuthError, ConfigError, TransientError
from kitestring.http import Basic, Bearer, Retries, Session
from kitestring.testing.help_desk import HelpDesk
from kitestring.testing.stand_in import Faults
from kitestring.testing.zendesk import ZendeskStandIn

pytestmark = pytest.mark.slow


@pytest.fixture
def zendesk():
    with ZendeskStandIn(export_page=150) as server:
        yield server


@pytest.fixture
def session(zendesk):
    with Session(base_url=zendesk.url, auth=Basic("agent@larkspur.example/token", "larkspur-token")) as session:
        yield session


def export(session, start=0):
    page = session.get("/api/v2/incremental/tickets/cursor.json", {"start_time": start})
    rows = page["tickets"]
    while not page["end_of_stream"]:
        page = session.get("/api/v2/incremental/tickets/cursor.json", {"cursor": page["after_cursor"]})
        rows += page["tickets"]
    return rows, page["after_cursor"]


def test_the_help_desk_is_varied_and_the_same_from_every_seed():
    desk, second, other = HelpDesk(), HelpDesk(), HelpDesk(seed=2)
    tickets = list(desk.tickets.values())
    assert tickets == list(second.tickets.values())
    assert tickets != list(other.tickets.values())
    assert len(tickets) == 400
    assert len({t["description"] for t in tickets}) == 400
    assert len({t["subject"] for t in tickets}) > 350
    assert len({t["organization_id"] for t in tickets}) == 12
    assert set(Counter(t["status"] for t in tickets)) == {
        *("new", "open", "pending", "hold", "solved", "closed", "deleted"),
    }
    assert len(desk.articles) == 60
    assert all("<h2>" in a["body"] and "<ol>" in a["body"] and a["html_url"] for a in desk.articles.values())
    assert any("<pre>" in a["body"] for a in desk.articles.values())


def test_twenty_thousand_tickets_are_as_varied():
    tickets = HelpDesk(tickets=20_000).tickets.values()
    assert len({t["description"] for t in tickets}) > 19_900


def test_the_export_tells_every_ticket_once_deleted_ones_too(zendesk, session):
    rows, _ = export(session)
    assert len(rows) == 400
    assert len({r["id"] for r in rows}) == 400
    assert sum(r["status"] == "deleted" for r in rows) > 5
    assert len(zendesk.calls("cursor")) == 3


def test_a_change_appears_behind_the_cursor(zendesk, session):
    _, cursor = export(session)
    zendesk.touch_ticket(5, subject="Changed")
    zendesk.delete_ticket(6)
    added = zendesk.add_ticket("New one", "Something is wrong")
    page = session.get("/api/v2/incremental/tickets/cursor.json", {"cursor": cursor})
    assert [(t["id"], t["status"]) for t in page["tickets"]][1:] == [(6, "deleted"), (added["id"], "new")]
    assert page["tickets"][0]["subject"] == "Changed"
    assert page["end_of_stream"]


def test_articles_change_by_metadata_or_by_text(zendesk, session):
    def changed(since):
        return session.get("/api/v2/help_center/incremental/articles.json", {"start_time": since})["articles"]

    first, second = list(zendesk.desk.articles)[:2]
    body = zendesk.desk.articles[first]["body"]
    since = zendesk.desk.now + 1
    zendesk.edit_article_metadata(first)
    zendesk.shrink_article(second)
    item, two = changed(since)
    assert (item["id"], item["body"]) == (first, body)
    assert any(label.startswith("reviewed") for label in item["label_names"])
    assert two["id"] == second
    assert len(two["body"]) < 300


def test_time_based_exports_can_be_followed_to_their_end(zendesk, session):
    zendesk.export_page = 100
    address, seen = f"{zendesk.url}/api/v2/incremental/ticket_events.json?start_time=0&include=comment_events", set()
    for _ in range(200):
        page = session.get(address)
        seen |= {e["id"] for e in page["ticket_events"]}
        if page["end_of_stream"]:
            break
        address = page["next_page"]
    assert seen == {e["id"] for e in zendesk.desk.ticket_events()}
    comments = [c for e in page["ticket_events"] for c in e["child_events"] if c["event_type"] == "Comment"]
    assert all(c["body"] for c in comments)


def test_lists_are_paged_by_cursor_or_by_number(session):
    page = session.get("/api/v2/users.json", {"page[size]": 25})
    names = [u["name"] for u in page["users"]]
    while page["meta"]["has_more"]:
        page = session.get(page["links"]["next"])
        names += [u["name"] for u in page["users"]]
    assert len(names) == 66
    numbered = session.get("/api/v2/users.json", {"page": 2, "per_page": 60})
    assert (len(numbered["users"]), numbered["next_page"], numbered["count"]) == (6, None, 66)
    with pytest.raises(ConfigError, match="too deep"):
        session.get("/api/v2/tickets.json", {"page": 101, "per_page": 100})


def test_both_kinds_of_credentials_open_it_and_others_do_not(zendesk):
    with Session(base_url=zendesk.url, auth=Bearer("larkspur-oauth")) as session:
        assert session.get("/api/v2/users/me.json")["user"]["role"] == "admin"
    with (
        Session(base_url=zendesk.url, auth=Basic("agent@larkspur.example/token", "wrong-token")) as session,
        pytest.raises(AuthError, match="Couldn't authenticate you"),
    ):
        session.get("/api/v2/tickets.json")


def test_what_the_plan_lacks_is_not_found_and_what_is_forbidden_is_refused():
    with (
        ZendeskStandIn(lacks=["satisfaction_ratings"], forbidden=["ticket_forms"]) as zendesk,
        Session(base_url=zendesk.url, auth=Bearer("larkspur-oauth")) as session,
    ):
        with pytest.raises(ConfigError, match="404"):
            session.get("/api/v2/satisfaction_ratings.json")
        with pytest.raises(AuthError, match="do not have access"):
            session.get("/api/v2/ticket_forms.json")


def test_a_ticket_can_be_created_and_an_empty_one_is_refused(zendesk, session):
    body = {"ticket": {"subject": "Printer", "comment": {"body": "It burns."}, "organization_id": 3003}}
    created = session.request("POST", "/api/v2/tickets.json", json=body)
    assert created.status == 201
    ticket = created.json()["ticket"]
    assert (ticket["subject"], ticket["status"], ticket["organization_id"]) == ("Printer", "new", 3003)
    assert session.get(f"/api/v2/tickets/{ticket['id']}/comments.json")["comments"][0]["body"] == "It burns."
    with pytest.raises(ConfigError, match="cannot be blank"):
        session.request("POST", "/api/v2/tickets.json", json={"ticket": {"subject": "Printer"}})


def test_a_ticket_is_created_once_for_one_idempotency_key(zendesk, session):
    def create(key, subject="Printer"):
        body = {"ticket": {"subject": subject, "comment": {"body": "It burns."}}}
        return session.request("POST", "/api/v2/tickets.json", json=body, headers={"Idempotency-Key": key})

    first, second, other = create("one"), create("one"), create("two")
    assert [first.status, second.status, other.status] == [201, 201, 201]
    assert first.json() == second.json()
    assert [answer.headers["x-idempotency-lookup"] for answer in (first, second, other)] == ["miss", "hit", "miss"]
    assert len(zendesk.desk.tickets) == 402
    with pytest.raises(ConfigError, match="don't match the given idempotency key"):
        create("one", "Another printer")


def test_the_documented_limits_answer_429_with_a_time(zendesk):
    with (
        ZendeskStandIn(documented_limits=True) as limited,
        Session(base_url=limited.url, auth=Bearer("larkspur-oauth"), policy=Retries(attempts=1)) as session,
    ):
        for _ in range(10):
            session.get("/api/v2/incremental/organizations.json", {"start_time": 0})
        with pytest.raises(TransientError) as caught:
            session.get("/api/v2/incremental/organizations.json", {"start_time": 0})
        assert 50 < caught.value.retry_after_s <= 60
        assert int(session.request("GET", "/api/v2/tags.json").headers["x-rate-limit-remaining"]) < 700


def test_faults_follow_their_seed():
    def statuses():
        with (
            ZendeskStandIn(tickets=3, faults=Faults(seed=5, server_error=0.3)) as zendesk,
            Session(base_url=zendesk.url, auth=Bearer("larkspur-oauth")) as session,
        ):
            for _ in range(12):
                with contextlib.suppress(TransientError):
                    session.get("/api/v2/groups.json", policy=Retries(attempts=1))
            return [c.status for c in zendesk.requests]

    first = statuses()
    assert first == statuses()
    assert 503 in first
    assert 200 in first


def test_an_article_can_be_opened_where_its_address_points(zendesk):
    article = next(iter(zendesk.desk.articles.values()))
    path = "/hc/" + article["html_url"].partition("/hc/")[2]
    with Session(base_url=zendesk.url) as session:
        assert article["title"] in session.request("GET", path).text
