from pathlib import Path

import pytest
from manifest_cases import assert_golden_requests, counted
from reading import read
from stand_ins.jira import JiraStandIn

from kitestring.errors import AuthError, ConfigError
from kitestring.registry import source
from kitestring.testing.stand_in import Faults, Limit

GOLDEN = Path(__file__).parent.parent / "golden" / "requests" / "jira.txt"
EXPECTED = {
    "issues": 40, "issue_comments": 40, "issue_worklogs": 4, "issue_changelogs": 40, "issue_remote_links": 3,
    "issue_properties": 3, "issue_transitions": 40, "issue_votes": 40, "issue_watchers": 40,
    "projects": 2, "project_versions": 4, "project_components": 2, "project_categories": 2, "project_roles": 3,
    "project_types": 1, "users": 25, "groups": 55, "boards": 2, "sprints": 15, "board_issues": 54, "sprint_issues": 40,
    "labels": 72, "filters": 55, "filter_sharing": 2, "dashboards": 60,
    "issue_fields": 3, "issue_types": 3, "workflow_statuses": 3, "workflow_status_categories": 1, "workflows": 3,
    "workflow_schemes": 2, "issue_link_types": 1, "issue_priorities": 5, "issue_resolutions": 4, "screens": 3,
    "screen_tabs": 3, "screen_schemes": 2, "issue_type_schemes": 2, "issue_type_screen_schemes": 2,
    "issue_field_configurations": 2, "issue_notification_schemes": 2, "issue_security_schemes": 2,
    "issue_custom_field_contexts": 2, "issue_custom_field_options": 60, "permissions": 2, "permission_schemes": 2,
    "screen_tab_fields": 2,
    "project_email": 1, "project_security_levels": 1, "users_groups_detailed": 25,
    "application_roles": 1,
    "avatars": 8, "time_tracking": 1, "jira_settings": 1,
}  # fmt: skip


@pytest.fixture
def server():
    with JiraStandIn() as server:
        yield server


@pytest.fixture
def jira(server):
    actual_source = source("jira", server.config)
    yield actual_source
    actual_source.close()


def test_every_stream_is_read_completely_and_fits_its_declared_fields():
    with JiraStandIn(issues=40, page=50) as server:
        assert counted(source("jira", server.config)) == EXPECTED


def test_the_requests_are_the_golden_ones():
    with JiraStandIn(issues=12, page=5) as server:
        assert_golden_requests(server, source("jira", server.config), GOLDEN)


def test_a_second_read_brings_only_what_changed(server, jira):
    states = {name: read(jira, name)[1] for name in ("issues", "issue_comments")}
    server.now += 3600
    server.add_comment("10005", "One more word.")
    new = server.add_issue("API", "Something new", "It broke.")
    seen = len(server.requests)
    assert [row["id"] for row in read(jira, "issues", states["issues"])[0]][:2] == [new["id"], "10005"]
    rows, _ = read(jira, "issue_comments", states["issue_comments"])
    assert "<p>One more word.</p>" in {row["renderedBody"] for row in rows}
    assert {row["issueKey"] for row in rows} <= {"API-6", "WEB-130"}
    assert len(server.requests) - seen < 10


def test_a_comment_that_comes_after_many_old_ones_is_read(server, jira):
    for n in range(60):
        server.add_comment("10001", f"number {n}")
    _, state = read(jira, "issue_comments")
    server.now += 3600
    server.add_comment("10001", "the last")
    rows, _ = read(jira, "issue_comments", state)
    assert [row["renderedBody"] for row in rows][-1] == "<p>the last</p>"
    assert len(rows) < 10


def test_issues_have_their_text_as_html(jira):
    rows, _ = read(jira, "issues")
    assert all(row["description"].startswith("<p>") and row["summary"] for row in rows)


def test_only_the_named_projects_are_read(server):
    jira = source("jira", {**server.config, "projects": ["API"]})
    assert {row["projectKey"] for row in read(jira, "issues")[0]} == {"API"}
    assert [row["key"] for row in read(jira, "projects")[0]] == ["API"]
    both = source("jira", {**server.config, "projects": ["API", "WEB"]})
    assert {row["projectKey"] for row in read(both, "issues")[0]} == {"API", "WEB"}
    assert [row["key"] for row in read(both, "projects")[0]] == ["WEB", "API"]
    assert read(jira, "boards")[0] == []


def test_a_project_that_does_not_exist_is_an_error(server):
    jira = source("jira", {**server.config, "projects": ["NONE"]})
    with pytest.raises(ConfigError, match="does not exist for the field 'project'"):
        read(jira, "issues")


def test_the_start_date_limits_what_is_read(server):
    jira = source("jira", {**server.config, "start_date": "2025-01-09T00:00:00Z"})
    rows, _ = read(jira, "issues")
    assert 0 < len(rows) < 130
    assert min(row["updated"] for row in rows) >= "2025-01-09"


def test_limits_and_faults_cost_time_but_no_record():
    faults = Faults(seed=5, rate_limit=0.1, server_error=0.02, retry_after_s=0)
    with JiraStandIn(issues=40, page=5, faults=faults, limits=(Limit(30, 0.5),)) as server:
        jira = source("jira", server.config)
        assert len(read(jira, "issues")[0]) == 40
        assert len(read(jira, "issue_comments")[0]) == 40
        assert 429 in {call.status for call in server.requests}


def test_a_wrong_token_is_an_auth_error_that_does_not_show_it(server):
    jira = source("jira", {**server.config, "api_token": "not-the-token"})
    with pytest.raises(AuthError, match="must be authenticated") as caught:
        jira.check()
    assert "not-the-token" not in str(caught.value)


def test_a_refused_token_that_is_answered_as_a_stranger_is_never_an_empty_sync():
    with JiraStandIn(anonymous=True) as server:
        jira = source("jira", {**server.config, "api_token": "expired"})
        for call in (jira.check, lambda: read(jira, "issues")):
            with pytest.raises(ConfigError, match="refused the email and API token"):
                call()


def test_a_domain_without_jira_is_an_error():
    with JiraStandIn() as server:
        server._routes = []
        with pytest.raises(ConfigError, match="no Jira at"):
            source("jira", server.config).check()
