"""A project that is added or shown later: its whole history arrives, nothing else is read again."""

import pytest
from reading import read
from stand_ins.jira import JiraStandIn

from kitestring.errors import KitestringError
from kitestring.registry import source

OF_ISSUES = ["issues", "issue_comments", "issue_worklogs", "issue_remote_links", "issue_changelogs"]


@pytest.fixture
def server():
    with JiraStandIn(issues=30, page=10) as server:
        for number in [*truth(server, "issues", "API")][:6]:
            server.add_comment(number, "Of the project that comes later.")
        for n in range(20):
            server.add_issue("WEB", f"Later {n}", "It broke.")
        yield server


def project_of(server, row):
    return server.issues[row.get("issueId", row["id"])]["fields"]["project"]["key"]


def truth(server, stream, project):
    """The ids of what belongs to a project."""
    if stream == "issues":
        return {number for number in server.issues if project_of(server, {"id": number}) == project}
    if stream == "issue_changelogs":
        return {str(50_000 + int(number)) for number in truth(server, "issues", project)}
    kinds = {"issue_comments": server.comments, "issue_worklogs": server.worklogs, "issue_remote_links": server.links}
    rows = kinds[stream]
    return {
        row["id"]
        for number, entries in rows.items()
        for row in entries
        if project_of(server, {"id": number}) == project
    }


def assert_history_arrives(server, stream, before, after):
    """`after` reads one project more, API: all of it comes, and of WEB no more than what comes again in each sync."""
    _, state = read(before, stream)
    second, state = read(before, stream, state)
    seen = len(server.requests)
    rows, state = read(after, stream, state)
    calls = len(server.requests) - seen
    assert {row["id"] for row in rows if project_of(server, row) == "API"} == truth(server, stream, "API")
    assert sum(project_of(server, row) == "WEB" for row in rows) <= len(second) <= 2
    seen = len(server.requests)
    rows, _ = read(after, stream, state)
    assert len(rows) <= 3
    assert len(server.requests) - seen <= min(calls, 6)


@pytest.mark.parametrize("stream", OF_ISSUES)
def test_a_project_added_to_the_option(server, stream):
    before = source("jira", {**server.config, "projects": ["WEB"]})
    assert_history_arrives(server, stream, before, source("jira", {**server.config, "projects": ["WEB", "API"]}))


@pytest.mark.parametrize("stream", OF_ISSUES[:2])
def test_a_project_that_becomes_visible(server, stream):
    server.hidden = {"API"}
    before = source("jira", server.config)
    _, state = read(before, stream)
    server.hidden = set()
    rows, _ = read(before, stream, state)
    assert {row["id"] for row in rows if project_of(server, row) == "API"} == truth(server, stream, "API")


def test_a_project_that_an_administrator_sees_and_may_not_search_is_left_out_until_they_may(server):
    server.hidden = {"API"}
    jira = source("jira", server.config)
    _, state = read(jira, "issues")
    server.hidden, server.unbrowsable = set(), {"API"}
    rows, state = read(jira, "issues", state)
    assert all(isinstance(row, dict) for row in rows), "nothing was refused"
    server.unbrowsable = set()
    rows, _ = read(jira, "issues", state)
    assert {row["id"] for row in rows if project_of(server, row) == "API"} == truth(server, "issues", "API")


def test_a_project_that_was_hidden_for_a_while_brings_what_it_missed(server):
    jira = source("jira", server.config)
    _, state = read(jira, "issues")
    server.hidden = {"API"}
    server.now += 86_400
    missed = server.add_issue("API", "Nobody saw it", "It broke.")
    server.now += 86_400
    server.add_issue("WEB", "Everybody saw it", "It broke.")
    _, state = read(jira, "issues", state)
    server.hidden = set()
    rows, state = read(jira, "issues", state)
    assert missed["id"] in {row["id"] for row in rows}
    assert len(read(jira, "issues", state)[0]) <= 2


def test_a_new_project_that_could_not_be_read_is_read_by_the_next_sync(server):
    jira = source("jira", {**server.config, "projects": ["WEB"]})
    _, state = read(jira, "issues")
    both = source("jira", {**server.config, "projects": ["WEB", "API"]})
    server.refused = "project = 2"
    _, state = read(both, "issues", state)
    server.refused = ""
    rows, _ = read(both, "issues", state)
    assert {row["id"] for row in rows if project_of(server, row) == "API"} == truth(server, "issues", "API")


def test_one_project_may_be_asked_for_from_the_start(server):
    jira = source("jira", server.config)
    _, state = read(jira, "issues")
    requests = {**state, "states": [*state["states"], {"partition": {"project_id": "2"}, "cursor": {}}]}
    rows, state = read(jira, "issues", requests)
    assert {row["id"] for row in rows if project_of(server, row) == "API"} == truth(server, "issues", "API")
    assert len(read(jira, "issues", state)[0]) <= 2


def test_boards_of_the_named_projects_are_read_in_whatever_case_and_those_without_a_place_left_out(server):
    server.boards.append({"id": 3, "name": "Mine", "type": "kanban", "location": None})
    jira = source("jira", {**server.config, "projects": ["web"]})
    rows, _ = read(jira, "boards")
    assert [row["id"] for row in rows] == [1, 2]


def test_a_board_added_later_brings_all_of_its_issues(server):
    jira = source("jira", server.config)
    _, state = read(jira, "board_issues")
    second, state = read(jira, "board_issues", state)
    board = server.add_board("API")
    rows, state = read(jira, "board_issues", state)
    assert {row["id"] for row in rows if row["boardId"] == board} == truth(server, "issues", "API")
    assert len(rows) - len(truth(server, "issues", "API")) == len(second)
    server.now += 86_400
    new = server.add_issue("API", "Something new", "It broke.")
    assert new["id"] in {row["id"] for row in read(jira, "board_issues", state)[0]}


OLD_STATES = {
    "issues": lambda at: {"updated": at},
    "issue_comments": lambda at: {
        "use_global_cursor": True, "states": [], "state": {"updated": at}, "lookback_window": 1,
        "parent_state": {"issues": {"updated": at}},
    },
}  # fmt: skip


@pytest.mark.parametrize("stream", OLD_STATES)
def test_the_state_of_an_older_version_goes_on_without_reading_all_again(server, stream):
    """One cursor for the whole site; a project that is added afterwards is read whole."""
    last = max(issue["fields"]["updated"] for issue in server.issues.values())
    web = source("jira", {**server.config, "projects": ["WEB"]})
    rows, state = read(web, stream, OLD_STATES[stream](last))
    assert len(rows) <= 2
    rows, _ = read(source("jira", server.config), stream, state)
    assert {row["id"] for row in rows if project_of(server, row) == "API"} == truth(server, stream, "API")


def test_many_projects_cost_a_call_for_fifty_of_them_and_none_each(server):
    for n in range(3, 203):
        server.projects.append(server.project(n, f"P{n}"))
    server.page = 100
    jira = source("jira", server.config)
    _, state = read(jira, "issues")
    server.requests.clear()
    read(jira, "issues", state)
    assert len(server.requests) == 6, "five pages of projects and one search"


def test_more_than_fifty_projects_may_be_named(server):
    for n in range(3, 63):
        server.projects.append(server.project(n, f"P{n}"))
    server.page = 100
    jira = source("jira", {**server.config, "projects": [f"p{n}" for n in range(3, 63)]})
    assert {row["key"] for row in read(jira, "projects")[0]} == {f"P{n}" for n in range(3, 63)}


def test_an_issue_that_changes_while_pages_are_read_hides_no_other(server):
    """Whether Jira's page tokens shift with a change is not documented: here they do."""
    changes = iter(["10001", "10002", "10003"])

    def change():
        if (number := next(changes, None)) is not None:
            server.now += 60
            server.add_comment(number, "Meanwhile.")

    server.page_was_read = change
    jira = source("jira", server.config)
    rows, state = read(jira, "issues")
    second, _ = read(jira, "issues", state)
    assert {row["id"] for row in rows + second} == set(server.issues)
    assert {"10001", "10002", "10003"} <= {row["id"] for row in second}


def test_users_are_read_until_an_empty_page(server):
    """What a page has is chosen behind its place: one that is short is not the last."""
    server.people = 405
    server.hidden = {f"user-{n}" for n in range(10, 30)}
    assert len({row["accountId"] for row in read(source("jira", server.config), "users")[0]}) == 385


def test_a_full_page_of_issues_without_a_mark_of_its_end_is_an_error(server):
    with JiraStandIn(issues=210, page=100) as server:
        jira = source("jira", server.config)
        for left_out in (("nextPageToken", "isLast"), ("nextPageToken",)):
            server.left_out = left_out
            with pytest.raises(KitestringError, match="without the token of the next one"):
                read(jira, "issues")
