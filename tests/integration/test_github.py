import logging
from pathlib import Path

import orjson
import pytest
from reading import golden, read
from stand_ins.github import GitHubStandIn

from kitestring.engine import Selection, sync
from kitestring.errors import AuthError, ConfigError
from kitestring.registry import connector, source
from kitestring.testing.memory import MemoryDestination
from kitestring.testing.stand_in import Faults, Quota

CUT_EMOJI = b'"cut \\ud83d"'

GOLDEN = Path(__file__).parent.parent / "golden" / "requests" / "github.txt"

EXPECTED = {
    "issues": 215, "comments": 215, "pull_requests": 53, "reviews": 54, "review_comments": 54, "issue_events": 215,
    "issue_labels": 12, "issue_milestones": 9, "commits": 270, "commit_comments": 12, "branches": 6, "tags": 24,
    "releases": 24, "workflows": 3, "workflow_runs": 360, "deployments": 9, "repositories": 3, "events": 135,
    "stargazers": 420, "collaborators": 12, "assignees": 15, "contributors": 36, "organizations": 1, "users": 6,
    "teams": 2, "discussions": 9, "discussion_comments": 24, "pull_request_commits": 458, "pull_request_stats": 53,
    "issue_reactions": 9, "issue_comment_reactions": 3, "pull_request_comment_reactions": 3,
    "commit_comment_reactions": 3, "workflow_jobs": 360, "team_members": 6, "team_memberships": 6,
    "projects": 2, "project_items": 122,
}  # fmt: skip


@pytest.fixture
def server():
    with GitHubStandIn() as server:
        yield server


@pytest.fixture
def github(server):
    actual_source = source("github", server.config)
    yield actual_source
    actual_source.close()


def keys(stream, rows):
    return {tuple(row[part] for (part,) in stream.primary_key) for row in rows}


def test_every_stream_is_read_completely_and_fits_its_declared_fields(github):
    results, undeclared = {}, {}
    for stream in github.discover():
        rows, _ = read(github, stream.name)
        assert stream.primary_key, stream.name
        results[stream.name] = len(keys(stream, rows))
        undeclared[stream.name] = {key for row in rows for key in row} - set(stream.schema["properties"])
    assert results == EXPECTED
    assert {name: extra for name, extra in undeclared.items() if extra} == {}


def test_the_requests_are_the_golden_ones(server, github):
    lines = []
    for stream in github.discover():
        if stream.name == "workflow_jobs":
            for repository in server.repositories.values():
                repository.run_count = 3
        seen = len(server.requests)
        _, state = read(github, stream.name)
        lines += [f"# {stream.name}", *(call.line() for call in server.requests[seen:])]
        if stream.cursor:
            seen = len(server.requests)
            read(github, stream.name, state)
            lines += ["# … again", *(call.line() for call in server.requests[seen:])]
    assert "\n".join(lines) + "\n" == golden(GOLDEN, lines)


def test_each_repository_is_a_partition_and_records_name_theirs(github):
    stream = github.discover().get("issues")
    assert len(list(github.partitions([stream], {}))) == 3
    rows, state = read(github, "issues")
    assert {row["repository"] for row in rows} == {"larkspur/web", "larkspur/api", "larkspur/docs"}
    assert {s["partition"]["repository"] for s in state["states"]} == {"larkspur/web", "larkspur/api", "larkspur/docs"}


def test_a_second_read_brings_only_what_changed(server, github):
    states = {name: read(github, name)[1] for name in ("issues", "pull_requests", "reviews", "commits")}
    web = server.repositories["larkspur/web"]
    web.touch_issue(5)
    web.add_review(8, "One more thought.")
    web.add_commit("main", "Fix the clock")
    seen = len(server.requests)
    since = "2025-10-31T18:00:00Z"
    rows = {name: read(github, name, state)[0] for name, state in states.items()}
    assert [i["number"] for i in rows["issues"] if i["updated_at"] > since] == [5, 8]
    assert [p["number"] for p in rows["pull_requests"] if p["updated_at"] > since] == [8]
    assert [r["body"] for r in rows["reviews"] if r["submitted_at"] > since] == ["One more thought."]
    assert [c["commit"]["message"] for c in rows["commits"] if c["created_at"] > since] == ["Fix the clock"]
    assert sum(len(rows[name]) for name in ("issues", "pull_requests", "reviews")) < 20
    assert {c["created_at"] > "2025-09-20" for c in rows["commits"]} == {True}
    assert len(server.requests) - seen < 20


def test_a_state_of_airbytes_connector_is_taken_over(github):
    old = {
        "larkspur/web": {"updated_at": "2025-10-15T00:00:00Z"},
        "larkspur/api": {"updated_at": "2025-10-15T00:00:00Z"},
    }
    for name in ("issues", "pull_requests"):
        rows, state = read(github, name, old)
        fresh = {row["repository"] for row in rows if row["updated_at"] < "2025-10-15"}
        assert fresh == {"larkspur/docs"}, name
        assert len(state["states"]) == 3


def test_all_repositories_of_an_organization_are_found(server):
    github = source("github", {**server.config, "repositories": ["larkspur/*"]})
    assert len(read(github, "repositories")[0]) == 3
    assert len(read(github, "commits")[0]) == 270
    assert len(read(github, "teams")[0]) == 2
    assert "/orgs/larkspur/repos" in {c.path for c in server.requests}


def test_repositories_are_found_by_the_beginning_of_their_names(server):
    github = source("github", {**server.config, "repositories": ["larkspur/D*", "larkspur/api"]})
    assert {row["full_name"] for row in read(github, "repositories")[0]} == {"larkspur/docs", "larkspur/api"}
    assert {row["repository"] for row in read(github, "commits")[0]} == {"larkspur/docs", "larkspur/api"}


def test_older_forms_of_airbytes_configuration_are_taken(server):
    config = {
        "access_token": server.token,
        "repository": "larkspur/web larkspur/docs",
        "branch": "larkspur/web/release/2.x",
        "start_date": "2025-01-01T00:00:00Z",
        "api_url": server.url,
    }
    rows, _ = read(source("github", config), "commits")
    assert {(row["repository"], row["branch"]) for row in rows} == {
        ("larkspur/web", "release/2.x"),
        ("larkspur/docs", ""),
    }


def test_commits_of_named_branches_are_read_instead_of_the_default_one(server):
    branches = ["larkspur/web/release/2.x", "larkspur/web/main"]
    github = source("github", {**server.config, "branches": branches})
    rows, _ = read(github, "commits")
    by_place = {}
    for row in rows:
        by_place.setdefault((row["repository"], row["branch"]), []).append(row)
    assert {place: len(results) for place, results in by_place.items()} == {
        ("larkspur/web", "release/2.x"): 12,
        ("larkspur/web", "main"): 90,
        ("larkspur/api", ""): 90,
        ("larkspur/docs", ""): 90,
    }


def test_an_exhausted_limit_is_waited_for_and_costs_no_record():
    with GitHubStandIn(limits=(Quota(6, 1.0),)) as server:
        github = source("github", server.config)
        rows, _ = read(github, "workflow_runs")
        more, _ = read(github, "issues")
        assert (len(rows), len(more)) == (360, 215)
        assert 403 in {c.status for c in server.requests}


def test_faults_cost_time_but_no_record():
    with GitHubStandIn(faults=Faults(seed=3, server_error=0.04, drop=0.02, truncated=0.04)) as server:
        github = source("github", server.config)
        assert len(read(github, "reviews")[0]) == 54
        assert len(read(github, "issues")[0]) == 215
        assert len(read(github, "collaborators")[0]) == 12


def test_a_missing_repository_is_an_error_and_never_an_empty_sync(server):
    single_source = source("github", {**server.config, "repositories": ["larkspur/nothing"]})
    with pytest.raises(ConfigError, match="repository does not exist"):
        single_source.check()
    two = source("github", {**server.config, "repositories": ["larkspur/web", "larkspur/nothing"]})
    destination = MemoryDestination()
    result = sync(two, destination, [Selection("issues")])
    assert result.status == "suspicious"
    assert "larkspur/nothing" in result.streams["issues"].suspicions[0]
    assert "repository does not exist" in result.streams["issues"].suspicions[0]
    assert {row["repository"] for row in destination.stored["issues"]} == {"larkspur/web"}
    with pytest.raises(ConfigError, match="repository does not exist"):
        read(single_source, "issues")


def test_a_cut_emoji_in_an_issue_keeps_no_other_issue_from_arriving(server):
    issue = next(iter(server.repositories["larkspur/web"].issues.values()))
    issue["body"] = orjson.Fragment(CUT_EMOJI)
    rows, _ = read(source("github", server.config), "issues")
    assert "cut \ufffd" in [row["body"] for row in rows]


def test_an_owner_who_is_no_organization_has_no_teams_and_that_is_told(server, caplog):
    caplog.set_level(logging.WARNING)
    github = source("github", {**server.config, "repositories": ["someone/thing"]})
    assert read(github, "teams")[0] == []
    assert "the owner is a person" in caplog.text


def test_an_empty_repository_has_no_commits_and_that_is_told(server, caplog):
    caplog.set_level(logging.WARNING)
    server.repositories["larkspur/docs"].commits = {}
    rows, _ = read(source("github", server.config), "commits")
    assert {row["repository"] for row in rows} == {"larkspur/web", "larkspur/api"}
    assert "the repository is empty" in caplog.text


def test_a_missing_right_is_an_error_with_the_way_out():
    with GitHubStandIn(forbidden=["collaborators"]) as server:
        github = source("github", server.config)
        with pytest.raises(ConfigError, match=r"Must have push access.*deselect the stream"):
            read(github, "collaborators")


def test_a_wrong_token_is_an_auth_error_that_does_not_show_it(server):
    credentials = {"option_title": "PAT Credentials", "personal_access_token": "ghp_not_the_token"}
    github = source("github", {**server.config, "credentials": credentials})
    with pytest.raises(AuthError, match="Bad credentials") as caught:
        github.check()
    assert "ghp_not_the_token" not in str(caught.value)


@pytest.mark.parametrize(
    "credentials",
    [
        {"personal_access_token": "ghp_larkspur"},
        {"option_title": "PAT Credentials", "personal_access_token": "ghp_larkspur, ghp_another"},
        {"option_title": "OAuth Credentials", "access_token": "ghp_larkspur", "client_id": "a", "client_secret": "b"},
    ],
)
def test_both_kinds_of_credentials_are_taken(server, credentials):
    source("github", {**server.config, "credentials": credentials}).check()


def test_the_form_refuses_a_repository_without_owner(server):
    with pytest.raises(ConfigError, match="owner/name"):
        source("github", {**server.config, "repositories": ["web"]})
    form = connector("source", "github").spec()
    assert form["properties"]["credentials"]["oneOf"][0]["properties"]["personal_access_token"]["airbyte_secret"]
