from pathlib import Path

import pytest
from manifest_cases import assert_golden_requests, counted
from reading import read
from stand_ins.linear import CLIENT, KEY, SECRET, LinearStandIn

from kitestring.errors import AuthError, ConfigError, KitestringError
from kitestring.registry import source
from kitestring.testing.stand_in import Answer, Faults, Quota
from kitestring.types import DELETED_AT

GOLDEN = Path(__file__).parent.parent / "golden" / "requests" / "linear.txt"
EXPECTED = {
    "issues": 24, "comments": 24, "projects": 3, "project_updates": 3, "documents": 12, "cycles": 3, "teams": 3,
    "users": 3, "issue_labels": 3, "workflow_states": 3, "attachments": 3, "initiatives": 3, "initiative_updates": 3,
    "project_milestones": 3, "customers": 3, "customer_needs": 3, "issue_relations": 3, "customer_statuses": 3,
    "customer_tiers": 3, "project_statuses": 3,
}  # fmt: skip


@pytest.fixture
def server():
    with LinearStandIn() as server:
        yield server


@pytest.fixture
def linear(server):
    actual_source = source("linear", server.config)
    yield actual_source
    actual_source.close()


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
    assert len(server.requests) - seen == 4, "teams and list of each"


def test_what_is_in_the_trash_is_a_deletion_and_what_is_archived_is_not(server, linear):
    _, state = read(linear, "issues")
    server.trash(server.rows["issues"][5])
    server.change(server.rows["issues"][6], archivedAt="2025-06-01T00:00:00.000Z")
    removed = [row for row in read(linear, "issues", state)[0] if row.get(DELETED_AT)]
    assert [(row["id"], row[DELETED_AT]) for row in removed] == [("issues-5", server.rows["issues"][5]["archivedAt"])]


def test_the_start_date_limits_what_is_read(server):
    rows, _ = read(source("linear", {**server.config, "start_date": "2025-01-20T00:00:00Z"}), "issues")
    assert 0 < len(rows) < 24
    assert min(row["updatedAt"] for row in rows) >= "2025-01-20"


def test_an_exhausted_limit_that_is_told_with_a_400_is_waited_for():
    with LinearStandIn(page=4, limits=(Quota(4, 1.0),), faults=Faults(seed=2, rate_limit=0.1)) as server:
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


def test_a_pair_of_oauth_is_renewed_once_for_all_streams_and_kept_before_it_is_used(server):
    linear, kept = source("linear", server.oauth_config), []
    linear.on_config(lambda config: kept.append((config, len(server.calls("/graphql")))))
    assert len(read(linear, "issues")[0]) == 24
    server.tokens.end_access()
    for name in ("comments", "documents", "customers"):
        assert read(linear, name)[0]
    assert len(server.tokens.refreshes) == 2
    assert kept[0][1] == 0
    assert [call.status for call in server.calls("/graphql") if call.status != 200] == [401]
    later = source("linear", {**kept[-1][0], "base_url": server.url})
    assert len(read(later, "issues")[0]) == 24
    assert len(server.tokens.refreshes) == 2


def test_client_credentials_get_a_token_and_another_when_it_is_refused(server):
    credentials = {"auth_type": "Client credentials", "client_id": CLIENT, "client_secret": SECRET}
    linear = source("linear", {"credentials": credentials, "base_url": server.url})
    assert len(read(linear, "issues")[0]) == 24
    server.tokens.end_all()
    assert len(read(linear, "documents")[0]) == 12
    assert len(server.tokens.of_grant("client_credentials")) == 2


def test_an_access_token_without_a_refresh_token_is_used_until_it_is_refused(server):
    config = server.oauth_config
    del config["credentials"]["refresh_token"]
    source("linear", config).check()
    assert server.tokens.exchanges == []
    server.tokens.end_access()
    with pytest.raises(AuthError):
        source("linear", config).check()


@pytest.mark.parametrize("start_date", ["2024-01-01T00:00:00Z", "2024-01-01T00:00:00.000Z"])
def test_the_key_is_taken_in_every_form_that_was_ever_documented(server, start_date):
    config = {"credentials": {"auth_type": "API Key", "api_key": KEY}, "start_date": start_date, "num_workers": 4}
    assert len(read(source("linear", {**config, "base_url": server.url}), "issues")[0]) == 24


def test_a_configuration_without_credentials_says_so():
    with pytest.raises(ConfigError, match="credentials is missing"):
        source("linear", {})


def test_what_the_plan_lacks_is_empty_and_that_is_told(caplog):
    caplog.set_level("WARNING")
    with LinearStandIn(lacks=("customers",)) as server:
        assert read(source("linear", server.config), "customers")[0] == []
    assert "plan does not include" in caplog.text


def test_relations_are_read_down_to_the_last_one_that_is_known(server, linear):
    for n in range(30):
        server.add("issueRelations", type="blocks", issue={"id": f"issues-{n}"}, relatedIssue={"id": "issues-0"})
    rows, state = read(linear, "issue_relations")
    assert len(rows) == 33
    server.add("issueRelations", type="duplicate", issue={"id": "issues-1"}, relatedIssue={"id": "issues-2"})
    seen = len(server.requests)
    assert read(linear, "issue_relations", state)[0][0]["type"] == "duplicate"
    assert len(server.requests) - seen == 1


@pytest.mark.parametrize("broken", ["pageInfo", "hasNextPage"])
def test_a_page_that_does_not_say_whether_another_one_follows_is_never_the_last(server, linear, monkeypatch, broken):
    def cut(call):
        answer = LinearStandIn.answer(server, call)
        for root in answer.body.get("data", {}).values():
            if broken == "pageInfo":
                del root["pageInfo"]
            else:
                root["pageInfo"] = {}
        return answer

    monkeypatch.setattr(server, "answer", cut)
    with pytest.raises(KitestringError):
        read(linear, "issues")


def test_a_server_error_with_errors_in_its_body_is_tried_again():
    with LinearStandIn() as server:
        body = {"errors": [{"message": "upstream connect error"}]}
        server.refuse = lambda status, message: Answer(status, body)
        server.faults.next("server_error", 2)
        assert read(source("linear", server.config), "teams")[0]


def private_team(server):
    """A team with issues, comments and a cycle that are older than all others."""
    server.now, now = server.now - 500 * 86_400, server.now
    team = server.add("teams", name="Board", key="BRD")["id"]
    of_team = {"id": team, "key": "BRD", "name": "Board"}
    ids = {"issues": set(), "comments": set(), "cycles": {server.add("cycles", name="First", team=of_team)["id"]}}
    for n in range(12):
        issue = server.add("issues", title=f"Secret {n}", identifier=f"BRD-{n}", team=of_team)
        comment = server.add("comments", body="Old", issue={"id": issue["id"], "identifier": issue["identifier"]})
        ids["issues"].add(issue["id"])
        ids["comments"].add(comment["id"])
    server.now = now
    return team, ids


@pytest.mark.parametrize("stream", ["issues", "comments", "cycles"])
def test_a_team_that_is_seen_later_brings_its_history_and_no_other_is_read_again(server, linear, stream):
    team, ids = private_team(server)
    server.hidden = {team}
    rows, state = read(linear, stream)
    assert not {row["id"] for row in rows} & ids[stream]
    second, state = read(linear, stream, state)
    server.hidden = set()
    rows, state = read(linear, stream, state)
    assert {row["id"] for row in rows} >= ids[stream]
    assert len(rows) == len(second) + len(ids[stream])
    assert len(read(linear, stream, state)[0]) == len(second)


@pytest.mark.parametrize("stream", ["issues", "comments", "cycles"])
def test_a_state_from_before_teams_were_told_apart_goes_on(server, linear, stream):
    team, ids = private_team(server)
    server.hidden = {team}
    last = max(row["updatedAt"] for row in server.rows[stream])
    rows, state = read(linear, stream, {"updatedAt": last})
    assert len(rows) == 1
    server.hidden = set()
    rows, _ = read(linear, stream, state)
    assert {row["id"] for row in rows} >= ids[stream]
    assert len(rows) == len(ids[stream]) + 1
