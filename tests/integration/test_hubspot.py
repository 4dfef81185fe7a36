from pathlib import Path

import pytest
from manifest_cases import assert_golden_requests, counted
from reading import read

from kitestring.errors import AuthError, ConfigError
from kitestring.registry import source
from kitestring.testing.hubspot import FRESH, REFRESH, HubSpotStandIn
from kitestring.testing.stand_in import Faults, Limit

GOLDEN = Path(__file__).parent.parent / "golden" / "requests" / "hubspot.txt"

EXPECTED = {
    "tickets": 450, "engagements_notes": 230, "engagements_emails": 30, "engagements_calls": 20,
    "engagements_meetings": 10, "engagements_tasks": 25, "contacts": 320, "companies": 40, "deals": 60, "products": 15,
    "line_items": 12, "ticket_pipelines": 1, "deal_pipelines": 1, "owners": 130,
}  # fmt: skip


@pytest.fixture
def server():
    with HubSpotStandIn() as server:
        yield server


@pytest.fixture
def hubspot(server):
    found = source("hubspot", server.config)
    yield found
    found.close()


def test_every_stream_is_read_completely_and_fits_its_declared_fields(hubspot):
    assert counted(hubspot) == EXPECTED


def test_the_requests_are_the_golden_ones(server, hubspot):
    assert_golden_requests(server, hubspot, GOLDEN, r'(?<="highValue":")\d+')


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
    assert {name: found[0]["id"] for name, found in rows.items()} == {"tickets": "5", "contacts": "7"}
    assert max(map(len, rows.values())) < 4


def test_more_results_than_a_search_gives_are_read_completely():
    with HubSpotStandIn(most=200) as server:
        assert len(read(source("hubspot", server.config), "tickets")[0]) == 450


def test_an_exhausted_limit_is_waited_for_and_costs_no_record():
    with HubSpotStandIn(limits=(Limit(2, 1.0),)) as server:
        rows, _ = read(source("hubspot", server.config), "tickets")
        assert len(rows) == 450
        assert 429 in {call.status for call in server.requests}


def test_faults_cost_time_but_no_record():
    with HubSpotStandIn(faults=Faults(seed=5, server_error=0.2, truncated=0.1)) as server:
        assert len(read(source("hubspot", server.config), "contacts")[0]) == 320


def test_a_refresh_token_of_an_app_is_taken(server):
    credentials = {
        "credentials_title": "OAuth Credentials",
        "client_id": "app",
        "client_secret": "secret",
        "refresh_token": REFRESH,
    }
    source("hubspot", {**server.config, "credentials": credentials}).check()
    assert server.calls("/crm")[0].headers["authorization"] == f"Bearer {FRESH}"


def test_a_wrong_token_is_an_auth_error_that_does_not_show_it(server):
    credentials = {"credentials_title": "Private App Credentials", "access_token": "not-the-token"}
    with pytest.raises(AuthError, match="access token is not accepted") as caught:
        source("hubspot", {**server.config, "credentials": credentials}).check()
    assert "not-the-token" not in str(caught.value)


def test_a_missing_scope_is_an_error_with_the_way_out():
    with HubSpotStandIn(forbidden=("deals",)) as server, pytest.raises(ConfigError, match="Add the scope"):
        read(source("hubspot", server.config), "deals")
