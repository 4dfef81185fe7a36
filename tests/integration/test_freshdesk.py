import logging
from pathlib import Path

import pytest
from manifest_cases import assert_golden_requests, counted
from reading import read
from stand_ins.freshdesk import FreshdeskStandIn

from kitestring.errors import AuthError, ConfigError
from kitestring.registry import source
from kitestring.testing.stand_in import Faults, Limit, Quota

GOLDEN = Path(__file__).parent.parent / "golden" / "requests" / "freshdesk.txt"

EXPECTED = {
    "tickets": 230, "conversations": 219, "satisfaction_ratings": 12, "time_entries": 1, "solution_articles": 121,
    "solution_article_translations": 2, "solution_folders": 6, "solution_categories": 2, "canned_responses": 1,
    "canned_response_folders": 1, "discussion_categories": 1, "discussion_forums": 1, "discussion_topics": 1,
    "discussion_comments": 1, "contacts": 130, "companies": 3, "agents": 3, "groups": 3, "roles": 3, "products": 3,
    "ticket_fields": 2, "surveys": 1, "business_hours": 1, "email_configs": 1, "email_mailboxes": 1,
    "scenario_automations": 1, "skills": 1, "sla_policies": 1, "settings": 1,
}  # fmt: skip


@pytest.fixture
def server():
    with FreshdeskStandIn() as server:
        yield server


@pytest.fixture
def freshdesk(server):
    actual_source = source("freshdesk", server.config)
    yield actual_source
    actual_source.close()


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


def test_folders_inside_folders_are_read_with_their_articles(server, freshdesk):
    folders = {
        row["id"]: (row["category_id"], row["parent_folder_id"]) for row in read(freshdesk, "solution_folders")[0]
    }
    assert folders == {11: (1, None), 12: (2, None), 21: (1, 11), 31: (1, 21), 32: (1, 21), 41: (1, 31)}
    assert {row["title"] for row in read(freshdesk, "solution_articles")[0] if row["folder_id"] == 41} == {"Deep down"}
    paths = [call.path for call in server.requests]
    assert not [path for path in paths if path.endswith(("/12/subfolders", "/32/subfolders", "/41/subfolders"))]


def test_a_category_that_lists_what_is_inside_its_folders_doubles_nothing(server, freshdesk):
    server.lists["solutions/categories/1/folders"] += [server.folders[21], server.folders[31]]
    rows, _ = read(freshdesk, "solution_folders")
    assert sorted(row["id"] for row in rows) == [11, 12, 21, 31, 32, 41]
    articles, _ = read(freshdesk, "solution_articles")
    assert len(articles) == 121


def test_articles_of_other_languages_are_read_by_folder(server, freshdesk):
    rows, _ = read(freshdesk, "solution_article_translations")
    assert {(row["id"], row["language"]): row["title"] for row in rows} == {
        (2000, "de"): "Auf Deutsch",
        (4100, "es"): "En el fondo",
    }
    server.settings["supported_languages"] = []
    assert read(freshdesk, "solution_article_translations")[0] == []


def test_a_list_of_the_deleted_that_minds_only_its_filter_is_read_once():
    class Forgetful(FreshdeskStandIn):
        def ticket_list(self, call):
            if call.param("filter"):
                call.params.pop("updated_since", None)
                return self._page(call, [t for t in self.tickets.values() if t[call.param("filter")]])
            return super().ticket_list(call)

    with Forgetful() as server:
        for number in range(1, 221):
            server.tickets[number]["deleted"] = True
        freshdesk = source("freshdesk", server.config)
        rows, state = read(freshdesk, "tickets")
        assert len({row["id"] for row in rows if row["deleted"] and row.get("_ab_cdc_deleted_at")}) == 220
        server.touch_ticket(6, spam=True)
        rows, _ = read(freshdesk, "tickets", state)
        assert {row["id"] for row in rows if row["updated_at"] > "2025-10-31T18:00:00Z"} == {6}
        assert len(rows) < 12


def test_a_list_of_the_deleted_that_minds_only_the_time_marks_no_living_ticket():
    class Careless(FreshdeskStandIn):
        def ticket_list(self, call):
            if call.param("updated_since"):
                call.params.pop("filter", None)
                since = call.param("updated_since")
                return self._page(call, sorted((t for t in self.tickets.values() if t["updated_at"] >= since),
                                               key=lambda t: (t["updated_at"], t["id"])))  # fmt: skip
            return super().ticket_list(call)

    with Careless() as server:
        rows, _ = read(source("freshdesk", server.config), "tickets")
        assert {row["id"] for row in rows} == set(server.tickets)
        assert {row["id"] for row in rows if row.get("_ab_cdc_deleted_at")} == {
            ticket["id"] for ticket in server.tickets.values() if ticket["deleted"] or ticket["spam"]
        }


def test_a_rating_that_is_changed_late_arrives(server):
    freshdesk = source("freshdesk", server.config)
    _, state = read(freshdesk, "satisfaction_ratings")
    server.ratings[-3]["feedback"] = "On reflection: no."
    rows, _ = read(freshdesk, "satisfaction_ratings", state)
    assert "On reflection: no." in {row["feedback"] for row in rows}
    freshdesk = source("freshdesk", {**server.config, "ratings_lookback_in_days": 0})
    assert len(read(freshdesk, "satisfaction_ratings", state)[0]) == 1


@pytest.mark.parametrize(
    ("options", "limits"),
    [
        ({}, [20, 20, 200]),
        ({"plan": "pro"}, [100, 100, 400]),
        ({"plan": "growth", "list_requests_per_minute": 5}, [5, 5, 200]),
        ({"requests_per_minute": 700}, [200, 200, 700]),
        ({"rate_limit_plan": {"plan_type": "enterprise"}}, [200, 200, 700]),
        ({"rate_limit_plan": "something else"}, [20, 20, 200]),
        ({"rate_limit_plan": "Pro Plan"}, [100, 100, 400]),
        (
            {"rate_limit_plan": {"plan_type": "custom", "general_rate_limit": 90, "tickets_rate_limit": 30}},
            [30, 30, 90],
        ),
        ({"rate_limit_plan": {}, "subscription_tier": "enterprise"}, [200, 200, 700]),
    ],
)
def test_lists_of_tickets_and_contacts_keep_the_limits_that_the_plan_gives_them(options, limits):
    freshdesk = source("freshdesk", {"domain": "larkspur.freshdesk.com", "api_key": "key", **options})
    assert [budget.calls for budget in freshdesk.connection.budgets] == limits


@pytest.mark.slow
def test_the_lists_own_limit_is_kept_without_a_429():
    with FreshdeskStandIn(tickets=90, limits=(Limit(20, 60.0, on="/tickets$"), Limit(200, 60.0))) as server:
        config = {
            k: v for k, v in server.config.items() if k not in ("requests_per_minute", "list_requests_per_minute")
        }
        freshdesk = source("freshdesk", config)
        for _ in range(6):
            read(freshdesk, "tickets")
        assert {call.status for call in server.requests} == {200}


def test_an_exhausted_limit_is_waited_for_and_costs_no_record():
    with FreshdeskStandIn(limits=(Quota(6, 1.0),)) as server:
        rows, _ = read(source("freshdesk", server.config), "solution_articles")
        more, _ = read(source("freshdesk", server.config), "tickets")
        assert (len(rows), len({row["id"] for row in more})) == (121, 230)
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
