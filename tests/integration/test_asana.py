import logging
from pathlib import Path

import pytest
from manifest_cases import assert_golden_requests, counted
from reading import read

from kitestring.errors import AuthError, ConfigError
from kitestring.registry import source
from kitestring.testing.asana import FRESH, REFRESH, AsanaStandIn
from kitestring.testing.stand_in import Faults, Limit

GOLDEN = Path(__file__).parent.parent / "golden" / "requests" / "asana.txt"

EXPECTED = {
    "tasks": 130, "stories": 130, "projects": 2, "sections": 3, "workspaces": 2, "users": 120, "teams": 1, "tags": 4,
    "custom_fields": 1,
}  # fmt: skip


@pytest.fixture
def server():
    with AsanaStandIn() as server:
        yield server


@pytest.fixture
def asana(server):
    found = source("asana", server.config)
    yield found
    found.close()


def test_every_stream_is_read_completely_and_fits_its_declared_fields(asana):
    assert counted(asana) == EXPECTED


def test_the_requests_are_the_golden_ones():
    with AsanaStandIn(tasks=12) as server:
        assert_golden_requests(server, source("asana", server.config), GOLDEN)


def test_the_text_of_a_task_is_among_the_fields_that_are_asked_for(asana):
    rows, _ = read(asana, "tasks")
    assert all(row["notes"] and row["modified_at"] for row in rows)
    assert all(row["notes"] == "What we do" for row in read(asana, "projects")[0])


def test_a_second_read_brings_only_what_changed(server, asana):
    states = {name: read(asana, name)[1] for name in ("tasks", "stories")}
    server.touch("t5", name="Changed")
    server.comment("t9", "One more thought.")
    seen = len(server.requests)
    rows = {name: read(asana, name, state)[0] for name, state in states.items()}
    since = "2025-10-31T18:00:00.000Z"
    assert {row["gid"] for row in rows["tasks"] if row["modified_at"] > since} == {"t5", "t9"}
    assert [row["text"] for row in rows["stories"] if row["created_at"] > since] == ["One more thought."]
    assert len(rows["tasks"]) < 6
    assert len(server.requests) - seen < 20


def test_an_exhausted_limit_is_waited_for_and_costs_no_record():
    with AsanaStandIn(limits=(Limit(4, 1.0),)) as server:
        assert len(read(source("asana", server.config), "tasks")[0]) == 130
        assert len(read(source("asana", server.config), "users")[0]) == 121
        assert 429 in {call.status for call in server.requests}


def test_faults_cost_time_but_no_record():
    with AsanaStandIn(faults=Faults(seed=5, server_error=0.1, truncated=0.1)) as server:
        assert len(read(source("asana", server.config), "tasks")[0]) == 130


def test_what_the_plan_lacks_is_empty_and_that_is_told(caplog):
    caplog.set_level(logging.WARNING)
    with AsanaStandIn(lacks=("custom_fields",)) as server:
        assert read(source("asana", server.config), "custom_fields")[0] == []
    assert "plan does not include" in caplog.text


def test_a_refresh_token_of_an_app_is_taken(server):
    credentials = {
        "option_title": "OAuth Credentials",
        "client_id": "app",
        "client_secret": "secret",
        "refresh_token": REFRESH,
    }
    source("asana", {**server.config, "credentials": credentials}).check()
    assert server.calls("/api")[0].headers["authorization"] == f"Bearer {FRESH}"


def test_a_wrong_token_is_an_auth_error_that_does_not_show_it(server):
    credentials = {"option_title": "PAT Credentials", "personal_access_token": "not-the-token"}
    with pytest.raises(AuthError, match="access token is not accepted") as caught:
        source("asana", {**server.config, "credentials": credentials}).check()
    assert "not-the-token" not in str(caught.value)


def test_a_missing_right_is_an_error_with_the_way_out():
    with AsanaStandIn(forbidden=("teams",)) as server, pytest.raises(ConfigError, match="Deselect the stream"):
        read(source("asana", server.config), "teams")
