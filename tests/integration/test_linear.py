from pathlib import Path

import pytest
from manifest_cases import assert_golden_requests, counted
from reading import read

from kitestring.errors import AuthError, ConfigError
from kitestring.registry import source
from kitestring.testing.linear import LinearStandIn
from kitestring.testing.stand_in import Answer, Faults, Limit
from kitestring.types import DELETED_AT

GOLDEN = Path(__file__).parent.parent / "golden" / "requests" / "linear.txt"
EXPECTED = {
    "issues": 24, "comments": 24, "projects": 3, "project_updates": 3, "documents": 12, "cycles": 3, "teams": 3,
    "users": 3, "issue_labels": 3, "workflow_states": 3,
}  # fmt: skip


@pytest.fixture
def server():
    with LinearStandIn() as server:
        yield server


@pytest.fixture
def linear(server):
    found = source("linear", server.config)
    yield found
    found.close()


def test_every_stream_is_read_completely_and_fits_its_declared_fields(linear):
    assert counted(linear) == EXPECTED


def test_every_declared_field_is_asked_for(linear):
    for stream in linear.discover():
        rows, _ = read(linear, stream.name)
        assert {key for row in rows for key in row} >= set(stream.schema["properties"]) - {DELETED_AT}, stream.name


def test_the_requests_are_the_golden_ones():
    with LinearStandIn(issues=5, page=3) as server:
        assert_golden_requests(server, source("linear", server.config), GOLDEN)


def test_a_second_read_brings_only_what_changed(server, linear):
    states = {name: read(linear, name)[1] for name in ("issues", "comments")}
    server.change(server.rows["issues"][3], description="It works again.")
    server.add("comments", body="Thanks")
    seen = len(server.requests)
    assert [row["id"] for row in read(linear, "issues", states["issues"])[0]] == ["issues-3", "issues-23"]
    comments, _ = read(linear, "comments", states["comments"])
    assert comments[0]["body"] == "Thanks"
    assert len(server.requests) - seen == 2


def test_what_is_in_the_trash_is_a_deletion_and_what_is_archived_is_not(server, linear):
    _, state = read(linear, "issues")
    server.trash(server.rows["issues"][5])
    server.change(server.rows["issues"][6], archivedAt="2025-06-01T00:00:00.000Z")
    gone = [row for row in read(linear, "issues", state)[0] if row.get(DELETED_AT)]
    assert [(row["id"], row[DELETED_AT]) for row in gone] == [("issues-5", server.rows["issues"][5]["archivedAt"])]


def test_the_start_date_limits_what_is_read(server):
    rows, _ = read(source("linear", {**server.config, "start_date": "2025-01-20T00:00:00Z"}), "issues")
    assert 0 < len(rows) < 24
    assert min(row["updatedAt"] for row in rows) >= "2025-01-20"


def test_an_exhausted_limit_that_is_told_with_a_400_is_waited_for():
    with LinearStandIn(page=4, limits=(Limit(4, 1.0),), faults=Faults(seed=2, rate_limit=0.1)) as server:
        linear = source("linear", server.config)
        assert len(read(linear, "issues")[0]) == 24
        assert {call.status for call in server.requests} == {200, 400}


def test_a_wrong_key_is_an_auth_error_that_does_not_show_it(server):
    linear = source("linear", {**server.config, "api_key": "not-the-key"})
    with pytest.raises(AuthError, match="Authentication required") as caught:
        linear.check()
    assert "not-the-key" not in str(caught.value)


def test_an_error_in_the_body_of_a_200_is_never_an_empty_sync(server):
    server.authorize = lambda call: Answer(200, {"data": None, "errors": [{"message": "Query too complex"}]})
    linear = source("linear", server.config)
    with pytest.raises(ConfigError, match="Query too complex"):
        read(linear, "issues")
