"""What Zendesk has beside tickets and people: surveys, side conversations, files, identities, logs."""

import pytest
from reading import read

from kitestring.errors import ConnectorError
from kitestring.registry import source
from kitestring.testing.help_desk import HelpDesk, records
from kitestring.testing.zendesk import ZendeskStandIn
from kitestring.types import Suspicion

pytestmark = pytest.mark.slow


@pytest.fixture
def zendesk():
    with ZendeskStandIn(desk=HelpDesk(tickets=60)) as server:
        yield server


@pytest.fixture
def support(zendesk):
    actual_source = source("zendesk_support", zendesk.config)
    yield actual_source
    actual_source.close()


def test_an_offered_survey_is_a_record_and_its_late_answer_arrives(zendesk, support):
    ticket, later = (t["id"] for t in zendesk.desk.live_tickets()[:2])
    zendesk.desk.offer(ticket)
    zendesk.desk.now += 20 * 86400
    zendesk.desk.offer(later)
    zendesk.desk.rate(later, "bad", "Too slow.")
    rows, state = read(support, "survey_responses")
    assert not any(isinstance(row, Suspicion) for row in rows)
    assert "answered_at" not in {row["ticket_id"]: row for row in rows}[ticket]
    zendesk.desk.rate(ticket, "good", "Thank you, it works again.")
    rows, _ = read(support, "survey_responses", state)
    (response,) = [row for row in rows if row["ticket_id"] == ticket]
    assert (response["rating"], response["comment"]) == (5, "Thank you, it works again.")
    assert response["answered_at"].startswith("2025-11-20")


def test_side_conversations_are_asked_for_where_a_ticket_changed(zendesk, support):
    zendesk.delete_ticket(40)
    rows, state = read(support, "side_conversations")
    assert {row["ticket_id"] for row in rows} == {20, 60}
    assert not zendesk.calls("/tickets/40/")
    events, event_state = read(support, "side_conversation_events")
    assert {row["body"] for row in events if row["type"] == "reply"} == {
        "Yes: case 20 is known to us.",
        "Yes: case 60 is known to us.",
    }
    zendesk.touch_ticket(20, comment="Any news from the supplier?")
    seen = len(zendesk.requests)
    assert {row["ticket_id"] for row in read(support, "side_conversations", state)[0]} == {20, 60}
    assert {row["ticket_id"] for row in read(support, "side_conversation_events", event_state)[0]} == {20, 60}
    paths = [call.path for call in zendesk.requests[seen:] if "side_conversations" in call.path]
    assert len(paths) < 8, "the changed ticket and the last one of before, not all sixty"


def test_the_files_of_comments_know_their_ticket(zendesk, support):
    rows, _ = read(support, "ticket_attachments")
    assert {(row["ticket_id"], row["file_name"]) for row in rows} == {
        (number, f"screenshot-{number}.png") for number in range(9, 61, 9)
    }
    assert all(row["created_at"] and row["audit_id"] == row["ticket_id"] * 1000 for row in rows)


def test_identities_come_with_the_users_that_they_belong_to(zendesk, support):
    rows, _ = read(support, "user_identities")
    truth = [row["id"] for user in zendesk.desk.users for row in records.identities(zendesk.desk, user)]
    assert sorted(row["id"] for row in rows) == sorted(truth)
    zendesk.leaves_out = {"/incremental/users": "identities"}
    with pytest.raises(ConnectorError, match="without the identities"):
        read(support, "user_identities")


def test_audit_logs_are_read_until_the_last_sync(zendesk, support):
    rows, state = read(support, "audit_logs")
    assert sorted(row["id"] for row in rows) == sorted(row["id"] for row in records.audit_logs(zendesk.desk))
    second, _ = read(support, "audit_logs", state)
    assert len(second) == 1


def test_both_lists_of_attribute_definitions_are_kept_apart(support):
    rows, _ = read(support, "attribute_definitions")
    assert {(row["condition"], row["subject"]) for row in rows} == {
        ("all", "brand"),
        ("all", "priority"),
        ("any", "brand"),
    }
    assert not any("all_conditions" in row for row in rows)


@pytest.mark.parametrize("name", ["sla_policies", "schedules", "custom_roles", "ticket_forms", "account_attributes"])
def test_short_lists_follow_the_number_of_their_next_page(zendesk, support, name, monkeypatch):
    key = {"account_attributes": "attributes"}.get(name, name)

    def answer(call):
        page = int(call.param("page", "1"))
        following = f"{zendesk.url}{call.path}?page={page + 1}&per_page=100" if page < 3 else None
        return {key: [{"id": page}], "next_page": following, "count": 3}

    monkeypatch.setattr(zendesk, "_routes", [("GET", pattern(), lambda call: answer(call))])
    monkeypatch.setattr(zendesk, "authorize", lambda call: None)
    support = source("zendesk_support", {**zendesk.config, "credentials": BASIC})
    assert [row["id"] for row in read(support, name)[0]] == [1, 2, 3]


BASIC = {"credentials": "api_token", "email": "agent@larkspur.example", "api_token": "larkspur-token"}


def pattern():
    import re

    return re.compile(".*")
