import logging
from pathlib import Path

import pytest
from manifest_cases import assert_golden_requests, counted
from reading import read

from kitestring.errors import AuthError, ConfigError
from kitestring.registry import source
from kitestring.testing.freshdesk import FreshdeskStandIn
from kitestring.testing.stand_in import Faults, Limit

GOLDEN = Path(__file__).parent.parent / "golden" / "requests" / "freshdesk.txt"

EXPECTED = {
    "tickets": 230, "conversations": 219, "satisfaction_ratings": 12, "time_entries": 1, "solution_articles": 120,
    "solution_folders": 2, "solution_categories": 2, "canned_responses": 1, "canned_response_folders": 1,
    "discussion_categories": 1, "discussion_forums": 1, "discussion_topics": 1, "discussion_comments": 1,
    "contacts": 130, "companies": 3, "agents": 3, "groups": 3, "roles": 3, "products": 3, "ticket_fields": 2,
}  # fmt: skip


@pytest.fixture
def server():
    with FreshdeskStandIn() as server:
        yield server


@pytest.fixture
def freshdesk(server):
    found = source("freshdesk", server.config)
    yield found
    found.close()


def test_every_stream_is_read_completely_and_fits_its_declared_fields(freshdesk):
    assert counted(freshdesk) == EXPECTED


def test_the_requests_are_the_golden_ones(server, freshdesk):
    assert_golden_requests(server, freshdesk, GOLDEN)


def test_a_second_read_brings_only_what_changed_and_what_was_deleted(server, freshdesk):
    states = {name: read(freshdesk, name)[1] for name in ("tickets", "conversations", "contacts")}
    server.touch_ticket(5, subject="Changed")
    server.touch_ticket(6, deleted=True)
    server.reply(8, "One more thought.")
    seen = len(server.requests)
    rows = {name: read(freshdesk, name, state)[0] for name, state in states.items()}
    since = "2025-10-31T18:00:00Z"
    fresh = {row["id"]: row.get("_ab_cdc_deleted_at") for row in rows["tickets"] if row["updated_at"] > since}
    assert fresh == {5: None, 6: "2025-10-31T18:02:00Z", 8: None}
    assert [row["body"] for row in rows["conversations"] if row["updated_at"] > since] == ["One more thought."]
    assert len(rows["tickets"]) < 12
    assert len(server.requests) - seen < 20


def test_tickets_in_the_trash_and_spam_are_marked_as_deleted(freshdesk):
    rows, _ = read(freshdesk, "tickets")
    marked = {row["id"] for row in rows if row.get("_ab_cdc_deleted_at")}
    assert marked == {row["id"] for row in rows if row["deleted"] or row["spam"]}
    assert marked


def test_a_page_that_one_second_fills_is_followed_by_its_next_number(server, freshdesk):
    for ticket in server.tickets.values():
        ticket["updated_at"] = "2025-03-01T00:00:00Z"
    assert len({row["id"] for row in read(freshdesk, "tickets")[0]}) == 230


def test_a_ticket_that_changes_while_pages_are_read_hides_no_other():
    class Busy(FreshdeskStandIn):
        def _page(self, call, rows):
            answer = super()._page(call, rows)
            if call.path.endswith("/tickets") and len(rows) > 100:
                self.touch_ticket(1 + len(self.requests))
            return answer

    with Busy() as server:
        rows, _ = read(source("freshdesk", server.config), "tickets")
        assert {row["id"] for row in rows} == set(server.tickets)


def test_an_exhausted_limit_is_waited_for_and_costs_no_record():
    with FreshdeskStandIn(limits=(Limit(6, 1.0),)) as server:
        rows, _ = read(source("freshdesk", server.config), "solution_articles")
        more, _ = read(source("freshdesk", server.config), "tickets")
        assert (len(rows), len({row["id"] for row in more})) == (120, 230)
        assert 429 in {call.status for call in server.requests}


def test_faults_cost_time_but_no_record():
    with FreshdeskStandIn(faults=Faults(seed=3, server_error=0.05, drop=0.03, truncated=0.05)) as server:
        assert len(read(source("freshdesk", server.config), "contacts")[0]) == 130


def test_a_wrong_key_is_an_auth_error_that_does_not_show_it(server):
    with pytest.raises(AuthError, match="API key is not accepted") as caught:
        source("freshdesk", {**server.config, "api_key": "not-the-key"}).check()
    assert "not-the-key" not in str(caught.value)


def test_a_missing_right_is_an_error_with_the_way_out():
    with FreshdeskStandIn(forbidden=("agents",)) as server, pytest.raises(ConfigError, match="deselect the stream"):
        read(source("freshdesk", server.config), "agents")


def test_what_the_plan_lacks_is_empty_and_that_is_told(caplog):
    caplog.set_level(logging.WARNING)
    with FreshdeskStandIn(lacks=("discussions",)) as server:
        assert read(source("freshdesk", server.config), "discussion_comments")[0] == []
    assert "plan does not include" in caplog.text


def test_an_address_without_help_desk_is_a_config_error(server):
    server.lists.pop("groups")
    with pytest.raises(ConfigError, match="check the domain"):
        read(source("freshdesk", server.config), "groups")


def test_the_form_refuses_a_domain_of_ones_own(server):
    with pytest.raises(ConfigError, match=r"acme\.freshdesk\.com"):
        source("freshdesk", {**server.config, "domain": "support.acme.com"})
