"""Streams of the source `github` that come by GraphQL, or from parents with many children."""

import pytest
from reading import read
from stand_ins.github import GitHubStandIn

from kitestring.errors import ConfigError
from kitestring.registry import source

WEB = {"repositories": ["larkspur/web"]}


@pytest.fixture
def server():
    with GitHubStandIn() as server:
        yield server


@pytest.fixture
def web(server):
    return server.repositories["larkspur/web"]


def github(server):
    return source("github", {**server.config, **WEB})


def ids(rows):
    return {row["id"] for row in rows}


def test_comments_and_replies_of_a_discussion_are_read_however_many_there_are(server, web):
    for i in range(70):
        web.add_discussion_comment(2, f"Comment {i}")
    answered = web.discussions[2]["comments"][-1]["id"]
    for i in range(130):
        web.add_discussion_comment(2, f"Reply {i}", reply_to=answered)
    rows, _ = read(github(server), "discussion_comments")
    assert ids(rows) == {comment["id"] for talk in web.discussions for comment in talk["comments"]}
    assert len(rows) == len(ids(rows))
    reply = next(row for row in rows if row["body"] == "Reply 129")
    assert (reply["reply_to"]["id"], reply["discussion_number"]) == (answered, 2002)
    assert reply["repository"] == "larkspur/web"


def test_only_discussions_that_changed_are_read_again(server, web):
    reader = github(server)
    states = {name: read(reader, name)[1] for name in ("discussions", "discussion_comments")}
    web.add_discussion_comment(0, "A late thought")
    seen = len(server.requests)
    assert {row["number"] for row in read(reader, "discussions", states["discussions"])[0]} == {2000, 2002}
    rows, _ = read(reader, "discussion_comments", states["discussion_comments"])
    assert "A late thought" in {row["body"] for row in rows}
    assert len(server.requests) - seen == 4


def test_a_pull_request_with_more_commits_than_a_page_has_them_all(server, web):
    rows, _ = read(github(server), "pull_request_commits")
    assert {row["sha"] for row in rows if row["pull_request_number"] == 8} == {c["sha"] for c in web.pull_commits(8)}
    row = next(row for row in rows if row["pull_request_number"] == 4)
    assert (row["repository"], row["message"][:4]) == ("larkspur/web", "Step")
    assert row["author"]["user"]["login"]


def test_reactions_are_read_where_there_are_some_and_those_taken_back_disappear(server, web):
    web.react(web.issues[1], *["rocket"] * 120)
    rows, _ = read(github(server), "issue_reactions")
    on_first = [row for row in rows if row["subject_id"] == web.issues[1]["id"]]
    assert len(on_first) == len(ids(on_first)) == 122
    assert {row["content"] for row in rows} == {"+1", "heart", "rocket"}
    assert {row["repository"] for row in rows} == {"larkspur/web"}
    web.reactions[web.issues[1]["node_id"]] = []
    assert len(read(github(server), "issue_reactions")[0]) == 1


def test_all_attempts_of_a_run_that_was_repeated_are_among_the_jobs(server, web):
    reader = github(server)
    _, state = read(reader, "workflow_jobs")
    web.now = 1_746_700_000  # 20 days before the newest run
    web.repeat_run(110)
    assert web.runs()[0]["run_number"] == 119
    web.repeated[7110] = 1_762_000_000
    rows, _ = read(reader, "workflow_jobs", state)
    run = web.base + 7110
    assert {row["run_attempt"] for row in rows if row["run_id"] == run} == {1, 2}
    assert len({row["run_id"] for row in rows}) == 2


def test_smaller_queries_read_the_same(server):
    reader = source("github", {**server.config, **WEB, "graphql_page_size": 7})
    assert len(read(reader, "reviews")[0]) == 33
    assert len(server.calls("/graphql")) == 5  # 32 pull requests
    assert len(read(reader, "pull_request_stats")[0]) == 32


def test_stargazers_are_read_until_the_last_sync(server):
    rows, state = read(github(server), "stargazers")
    assert len({row["user_id"] for row in rows}) == 140
    assert {"id", "login", "type", "html_url", "site_admin"} <= set(rows[0]["user"])
    seen = len(server.requests)
    assert len(read(github(server), "stargazers", state)[0]) == 1
    assert len(server.requests) - seen == 1


def test_a_list_that_github_cuts_off_is_an_error_with_the_way_out(server):
    server.deepest_page = 1
    with pytest.raises(ConfigError, match="set `start_date` to a later time"):
        read(github(server), "issue_events")


def test_stats_have_numbers_in_place_of_lists(server):
    row = read(github(server), "pull_request_stats")[0][0]
    names = ("id", "commits", "comments", "reviews", "review_threads", "additions")
    assert {type(row[name]) for name in names} == {int}


def test_items_of_a_project_have_the_values_of_its_fields_and_the_text_of_drafts(server):
    rows, _ = read(github(server), "project_items")
    draft = next(row for row in rows if row["type"] == "DRAFT_ISSUE")
    assert draft["content"]["body"] == "With the whole team."
    issue = next(row for row in rows if row["type"] == "ISSUE")
    assert issue["content"]["repository"]["full_name"].startswith("larkspur/")
    assert issue["fields"] == [
        {"option": "In progress", "field": {"name": "Status"}},
        {"number": 3.0, "field": {"name": "Points"}},
    ]
    assert {row["project_number"] for row in rows} == {1, 2}
    with pytest.raises(ConfigError, match="the owner does not exist"):
        read(source("github", {**server.config, "repositories": ["someone/thing"]}), "projects")


def test_members_of_teams_name_their_team_and_role(server):
    members, _ = read(github(server), "team_members")
    roles, _ = read(github(server), "team_memberships")
    assert {row["team_slug"] for row in members} == {"core", "docs"}
    assert {row["role"] for row in roles} == {"maintainer", "member"}
    assert {row["organization"] for row in [*members, *roles]} == {"larkspur"}


@pytest.mark.parametrize(
    "error",
    [
        {"message": "Something went wrong while executing your query. This may be the result of a timeout."},
        {"type": "RATE_LIMITED", "message": "API rate limit already exceeded for user ID 1."},
    ],
)
def test_a_passing_error_of_graphql_costs_no_record(server, error):
    server.graphql_errors = [error]
    assert len(read(github(server), "reviews")[0]) == 33


@pytest.mark.parametrize(
    ("error", "message"),
    [
        ({"type": "FORBIDDEN", "message": "Resource not accessible by integration"}, "may not read this"),
        ({"type": "INSUFFICIENT_SCOPES", "message": "Your token has not been granted"}, "deselect the stream"),
        ({"type": "RESOURCE_LIMITS_EXCEEDED", "message": "Too big."}, "graphql_page_size"),
        ({"message": "Field 'x' doesn't exist on type 'Y'"}, "doesn't exist"),
    ],
)
def test_a_lasting_error_of_graphql_is_no_empty_page(server, error, message):
    server.graphql_errors = [error] * 9
    with pytest.raises(ConfigError, match=message):
        read(github(server), "discussions")


def test_a_missing_repository_is_an_error_by_graphql_too(server):
    with pytest.raises(ConfigError, match="does not exist"):
        read(source("github", {**server.config, "repositories": ["larkspur/nothing"]}), "discussions")
