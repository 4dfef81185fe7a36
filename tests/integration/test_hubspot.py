from pathlib import Path

import pytest
from manifest_cases import assert_golden_requests, counted
from reading import read
from stand_ins.hubspot import HubSpotStandIn

from kitestring.errors import AuthError, ConfigError, KitestringError
from kitestring.registry import source
from kitestring.testing.stand_in import Answer, Faults, Quota

GOLDEN = Path(__file__).parent.parent / "golden" / "requests" / "hubspot.txt"

EXPECTED = {
    "tickets": 450, "engagements_notes": 230, "engagements_emails": 30, "engagements_calls": 20,
    "engagements_meetings": 10, "engagements_tasks": 25, "contacts": 320, "companies": 40, "deals": 60,
    "products": 15, "line_items": 12, "ticket_pipelines": 1, "deal_pipelines": 1, "owners": 132, "leads": 8,
    "goals": 3, "forms": 2, "form_submissions": 121, "marketing_emails": 130, "campaigns": 1, "contact_lists": 123,
    "engagements_communications": 6, "engagements_postal_mail": 2, "feedback_submissions": 9,
    "conversation_threads": 230, "conversation_messages": 231,
    "email_events": 1100, "subscription_changes": 40,
    "contacts_property_history": 320, "companies_property_history": 40, "deals_property_history": 60,
    "email_subscriptions": 1, "workflows": 1,
}  # fmt: skip


@pytest.fixture
def server():
    with HubSpotStandIn() as server:
        yield server


@pytest.fixture
def hubspot(server):
    actual_source = source("hubspot", server.config)
    yield actual_source
    actual_source.close()


def test_every_stream_is_read_completely_and_fits_its_declared_fields(hubspot):
    assert counted(hubspot) == EXPECTED


def test_the_requests_are_the_golden_ones(server, hubspot):
    assert_golden_requests(server, hubspot, GOLDEN, r'(?<="highValue":")\d+|(?<="inputs":\[).*(?=\])')


def test_all_properties_of_the_account_are_read_and_nothing_else(hubspot):
    rows, _ = read(hubspot, "tickets")
    assert {tuple(sorted(row["properties"])) for row in rows} == {
        ("content", "hs_object_id", "our_own_field", "subject")
    }


def test_a_second_read_brings_only_what_changed(server, hubspot):
    states = {name: read(hubspot, name)[1] for name in ("tickets", "contacts")}
    server.touch("tickets", 5, subject="Changed")
    server.touch("contacts", 7)
    rows = {name: read(hubspot, name, state)[0] for name, state in states.items()}
    assert {name: results[0]["id"] for name, results in rows.items()} == {"tickets": "5", "contacts": "7"}
    assert max(map(len, rows.values())) < 4


def test_more_results_than_a_search_gives_are_read_completely():
    with HubSpotStandIn(most=200) as server:
        assert len(read(source("hubspot", server.config), "tickets")[0]) == 450


def test_a_search_that_does_not_tell_of_further_pages_is_read_to_its_end():
    class Silent(HubSpotStandIn):
        def search(self, call, kind):
            answer = super().search(call, kind)
            answer.pop("paging", None)
            return answer

    with Silent() as server:
        assert len(read(source("hubspot", server.config), "tickets")[0]) == 450


def test_records_tell_what_they_are_tied_to(hubspot):
    tickets = {row["id"]: row["associations"] for row in read(hubspot, "tickets")[0]}
    assert tickets["5"] == {"contacts": ["5"], "companies": ["5"], "deals": ["5"]}
    assert tickets["301"] == {"contacts": ["301"], "companies": [], "deals": []}
    notes = {row["id"]: row["associations"] for row in read(hubspot, "engagements_notes")[0]}
    assert notes["7"] == {"contacts": ["7"], "companies": [], "deals": [], "tickets": ["7"]}
    assert notes["8"] == {"contacts": [], "companies": [], "deals": [], "tickets": []}


def test_what_comes_in_several_parts_is_put_together(server, hubspot):
    server.associations["tickets", "contacts"] = {3: list(range(1, 9)), 300: [1, 2, 3, 4], 301: [9]}
    tied = {row["id"]: row["associations"]["contacts"] for row in read(hubspot, "tickets")[0]}
    assert {number: ids for number, ids in tied.items() if ids} == {
        "3": [str(n) for n in range(1, 9)],
        "300": ["1", "2", "3", "4"],
        "301": ["9"],
    }


def test_a_scope_that_only_the_other_side_needs_leaves_the_records_readable(caplog):
    with HubSpotStandIn(forbidden=("tickets/deals/",)) as server:
        rows, _ = read(source("hubspot", server.config), "tickets")
    assert len(rows) == 450
    assert {tuple(row["associations"]) for row in rows} == {("contacts", "companies")}
    assert caplog.text.count("what records are tied to is not read") == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "half",
    [
        {"results": [], "errors": [{"category": "INTERNAL_ERROR", "message": "try later"}]},
        {"status": "COMPLETE"},
        {},
        {"results": None},
    ],
)
def test_an_answer_that_holds_only_a_part_is_never_taken_for_the_whole(half):
    class Half(HubSpotStandIn):
        failures = 1

        def association_list(self, call, kind, other):
            if not self.failures:
                return super().association_list(call, kind, other)
            self.failures -= 1
            return Answer(207, half)

    with Half() as server:
        rows, _ = read(source("hubspot", server.config), "engagements_calls")
        assert not server.failures
    assert {row["id"] for row in rows if row["associations"]["contacts"]} == {str(n) for n in range(1, 20, 2)}


def test_associations_can_be_left_out(server):
    rows, _ = read(source("hubspot", {**server.config, "associations": False}), "tickets")
    assert not [row for row in rows if "associations" in row]
    assert not server.calls("/associations/")


def test_what_was_deleted_is_marked_once(server, hubspot):
    _, state = read(hubspot, "contacts")
    server.delete("contacts", 9)
    rows, state = read(hubspot, "contacts", state)
    assert [(row["id"], row["_ab_cdc_deleted_at"]) for row in rows if row["archived"]] == [
        ("9", "2025-10-31T18:10:00.000Z")
    ]
    server.delete("contacts", 10)
    server.touch("contacts", 12)
    rows, state = read(hubspot, "contacts", state)
    assert {row["id"] for row in rows if row["archived"]} == {"9", "10"}
    assert "9" not in {row["id"] for row in read(hubspot, "contacts", state)[0]}
    owners, _ = read(hubspot, "owners")
    assert [row["id"] for row in owners if row.get("_ab_cdc_deleted_at")] == ["131", "132"]


def test_a_state_without_the_lists_of_deletions_goes_on_where_it_was(server, hubspot):
    server.touch("tickets", 4)
    old = {"updatedAt": "2025-10-31T18:10:00.000Z"}
    server.touch("tickets", 5)
    server.delete("tickets", 6)
    rows, state = read(hubspot, "tickets", old)
    assert {row["id"]: row["archived"] for row in rows} == {"4": False, "5": False, "6": True}
    assert {part["partition"]["list"] for part in state["states"]} == {"current", "archived"}
    server.touch("tickets", 7)
    hubspot = source("hubspot", {**server.config, "deletions": False})
    assert {row["id"] for row in read(hubspot, "tickets", state)[0]} == {"5", "7"}


def test_an_e_mail_in_the_trash_is_marked_as_deleted(server, hubspot):
    server.emails[5].update(archived=True, deletedAt="2025-06-01T00:00:00.000Z")
    rows, _ = read(hubspot, "marketing_emails")
    assert {row["id"]: row["_ab_cdc_deleted_at"] for row in rows if row["archived"]} == {
        "5": "2025-06-01T00:00:00.000Z"
    }


def test_submissions_of_forms_are_read_until_those_that_were_read_before(server, hubspot):
    rows, state = read(hubspot, "form_submissions")
    assert {row["formId"] for row in rows} == {"form-1", "form-2"}
    late = server.submit("form-1")
    seen = len(server.requests)
    rows, state = read(hubspot, "form_submissions", state)
    assert late["conversionId"] in {row["id"] for row in rows}
    assert len(rows) < 6
    assert len(server.requests) - seen == 3
    del server.submissions["form-2"]
    assert len(read(hubspot, "form_submissions", state)[0]) < 6


def test_a_form_that_is_made_later_brings_its_whole_history(server, hubspot):
    _, state = read(hubspot, "form_submissions")
    server.forms.append({**server.forms[0], "id": "form-3"})
    server.submissions["form-3"] = [{**server.submissions["form-1"][0], "conversionId": f"old-{n}"} for n in range(60)]
    rows, _ = read(hubspot, "form_submissions", state)
    assert len([row for row in rows if row["formId"] == "form-3"]) == 60
    assert len(rows) < 65


def test_messages_and_comments_of_the_inbox_arrive_with_their_threads(server, hubspot):
    states = {name: read(hubspot, name)[1] for name in ("conversation_threads", "conversation_messages")}
    server.add_message("5", "Ask the night shift.", kind="COMMENT")
    server.add_message("7", "It starts now.")
    seen = len(server.requests)
    rows = {name: read(hubspot, name, state)[0] for name, state in states.items()}
    assert "7" in {row["id"] for row in rows["conversation_threads"]}
    assert "It starts now." in {row["text"] for row in rows["conversation_messages"]}
    assert len(server.requests) - seen < 8
    server.add_message("5", "Thank you.")
    texts = {row["text"] for row in read(hubspot, "conversation_messages", states["conversation_messages"])[0]}
    assert {"Ask the night shift.", "Thank you."} <= texts


@pytest.mark.slow
def test_a_thread_that_gets_a_message_while_pages_are_read_hides_no_other():
    class Busy(HubSpotStandIn):
        def thread_list(self, call):
            answer = super().thread_list(call)
            if len(answer["results"]) == 100:
                self.add_message(str(1 + len(self.requests)), "One more.")
            return answer

    with Busy() as server:
        rows, _ = read(source("hubspot", server.config), "conversation_threads")
        assert {row["id"] for row in rows} == set(server.threads)


def test_threads_of_one_second_that_fill_a_page_are_read_completely(server, hubspot):
    for thread in server.threads.values():
        thread["latestMessageTimestamp"] = "2025-03-01T00:00:00.000Z"
    assert {row["id"] for row in read(hubspot, "conversation_threads")[0]} == set(server.threads)


def test_submissions_without_a_number_of_their_own_have_keys(server, hubspot):
    for row in server.submissions["form-1"]:
        del row["conversionId"]
    keys = [row["id"] for row in read(hubspot, "form_submissions")[0]]
    assert len(set(keys)) == 121
    assert keys == [row["id"] for row in read(hubspot, "form_submissions")[0]]


def test_the_custom_objects_that_are_named_are_streams(server):
    hubspot = source("hubspot", {**server.config, "custom_objects": ["p_vehicles"]})
    rows, state = read(hubspot, "p_vehicles")
    assert len(rows) == 14
    assert rows[0]["associations"]["contacts"] == ["1"]
    server.delete("p_vehicles", 2)
    assert "2" in {row["id"] for row in read(hubspot, "p_vehicles", state)[0] if row.get("_ab_cdc_deleted_at")}


def test_events_of_e_mails_are_read_from_the_last_day_on(server, hubspot):
    _, state = read(hubspot, "email_events")
    server.events += 3
    rows, _ = read(hubspot, "email_events", state)
    assert {"event-1100", "event-1101", "event-1102"} <= {row["id"] for row in rows}
    assert len(rows) < 160


@pytest.mark.parametrize("mark", ["hasMore", "offset"])
@pytest.mark.parametrize("stream", ["contact_lists", "email_events", "subscription_changes"])
def test_a_full_page_that_does_not_say_whether_more_follow_is_an_error_and_not_the_last_one(stream, mark):
    class Unmarked(HubSpotStandIn):
        def answer(self, call):
            answer = super().answer(call)
            if isinstance(answer.body, dict):
                answer.body.pop(mark, None)
            return answer

    with Unmarked() as server:
        server.changes = 1100
        with pytest.raises(KitestringError, match=r"so that nobody can tell.*the stream ends here"):
            read(source("hubspot", server.config), stream)


def test_the_histories_of_what_changed_are_read_fifty_at_a_time(server, hubspot):
    rows, state = read(hubspot, "contacts_property_history")
    assert len(rows) == 320
    assert len(server.calls("/contacts/batch/read")) == 7
    assert rows[0]["propertiesWithHistory"]["our_own_field"][0]["value"] == "value 1"
    server.touch("contacts", 9)
    assert {row["id"] for row in read(hubspot, "contacts_property_history", state)[0]} <= {"9", "320"}


def test_options_that_are_null_are_as_if_they_were_not_there(server):
    empty = source("hubspot", {**server.config, "custom_objects": None, "associations": None, "deletions": None})
    assert {stream.name for stream in empty.discover()} == set(EXPECTED)
    server.delete("companies", 3)
    assert {row["id"] for row in read(empty, "companies")[0] if row["archived"]} == {"3"}
    assert "associations" in read(empty, "line_items")[0][0]


def test_a_configuration_of_airbytes_works_as_it_is(server):
    config = {**server.config, "enable_experimental_streams": True, "num_worker": 3}
    assert len(read(source("hubspot", config), "companies")[0]) == 40


def test_an_exhausted_limit_is_waited_for_and_costs_no_record():
    with HubSpotStandIn(limits=(Quota(2, 1.0, on="search$"),)) as server:
        rows, _ = read(source("hubspot", server.config), "tickets")
        assert len(rows) == 450
        assert 429 in {call.status for call in server.requests}


def test_faults_cost_time_but_no_record():
    with HubSpotStandIn(faults=Faults(seed=5, server_error=0.2, truncated=0.1)) as server:
        assert len(read(source("hubspot", server.config), "contacts")[0]) == 320


def test_a_refresh_token_of_an_app_is_taken_at_the_address_that_stays(server):
    credentials = server.oauth(server.tokens.granted().refresh_token)
    source("hubspot", {**server.config, "credentials": credentials}).check()
    (call,) = server.calls("/oauth")
    assert (call.path, call.params) == ("/oauth/2026-03/token", {})
    token = server.calls("/crm")[0].headers["authorization"].removeprefix("Bearer ")
    assert server.tokens.allows(token)


def test_a_refresh_token_that_works_once_is_kept_before_it_is_used(server):
    server.tokens.rotation = "ends_pair"
    kept = []
    hubspot = source("hubspot", {**server.config, "credentials": server.oauth(server.tokens.granted().refresh_token)})
    hubspot.on_config(kept.append)
    read(hubspot, "ticket_pipelines")
    server.tokens.end_access()
    read(hubspot, "deal_pipelines")
    assert len(server.tokens.refreshes) == 2
    read(source("hubspot", {**server.config, **kept[-1]}), "ticket_pipelines")
    assert {exchange.status for exchange in server.tokens.exchanges} == {200}


def test_a_wrong_token_is_an_auth_error_that_does_not_show_it(server):
    credentials = {"credentials_title": "Private App Credentials", "access_token": "not-the-token"}
    with pytest.raises(AuthError, match="access token is not accepted") as caught:
        source("hubspot", {**server.config, "credentials": credentials}).check()
    assert "not-the-token" not in str(caught.value)


def test_a_missing_scope_is_an_error_with_the_way_out():
    with HubSpotStandIn(forbidden=("deals",)) as server, pytest.raises(ConfigError, match="Add the scope"):
        read(source("hubspot", server.config), "deals")
