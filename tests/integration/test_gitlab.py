import logging
from pathlib import Path

import pytest
from manifest_cases import assert_golden_requests, counted
from reading import read

from kitestring.errors import AuthError, ConfigError
from kitestring.registry import source
from kitestring.testing.gitlab import GitLabStandIn
from kitestring.testing.stand_in import Faults

GOLDEN = Path(__file__).parent.parent / "golden" / "requests" / "gitlab.txt"
EXPECTED = {
    "issues": 48, "issue_comments": 48, "merge_requests": 12, "merge_request_comments": 12, "wiki_pages": 8,
    "commits": 50, "releases": 6, "milestones": 6, "projects": 2,
}  # fmt: skip


@pytest.fixture
def server():
    with GitLabStandIn(page=10) as server:
        yield server


@pytest.fixture
def gitlab(server):
    found = source("gitlab", server.config)
    yield found
    found.close()


def test_every_stream_is_read_completely_and_fits_its_declared_fields(gitlab):
    assert counted(gitlab) == EXPECTED


def test_the_requests_are_the_golden_ones():
    with GitLabStandIn(issues=6, page=3) as server:
        assert_golden_requests(server, source("gitlab", server.config), GOLDEN)


def test_a_second_read_brings_only_what_changed(server, gitlab):
    names = ("issues", "issue_comments", "commits")
    states = {name: read(gitlab, name)[1] for name in names}
    server.now += 86_400
    server.note("larkspur/web", "issues", 2, "One more word.")
    new = server.add("larkspur/tools/api", "issues", "Something new", "It broke.")
    seen = len(server.requests)
    rows = {name: read(gitlab, name, states[name])[0] for name in names}
    assert {2, new["iid"]} <= {row["iid"] for row in rows["issues"]}
    assert len(rows["issues"]) <= 4
    assert "One more word." in {row["body"] for row in rows["issue_comments"]}
    assert len(rows["issue_comments"]) <= 3
    assert len(server.requests) - seen < 20


def test_records_name_their_project(gitlab):
    for name in ("issues", "issue_comments", "wiki_pages"):
        assert {row["project"] for row in read(gitlab, name)[0]} == {"larkspur/web", "larkspur/tools/api"}


def test_comments_are_what_people_wrote(gitlab):
    assert not any(row["system"] for row in read(gitlab, "issue_comments")[0])


def test_projects_are_named_or_all_that_one_is_a_member_of(server, caplog):
    named = source("gitlab", {**server.config, "groups_list": [], "projects_list": ["larkspur/web"]})
    assert {row["project"] for row in read(named, "issues")[0]} == {"larkspur/web"}
    member = source("gitlab", {**server.config, "groups_list": []})
    assert len(read(member, "projects")[0]) == 3
    caplog.set_level(logging.WARNING)
    assert len(read(member, "wiki_pages")[0]) == 8
    assert "switched off in this project" in caplog.text


def test_a_project_or_group_that_does_not_exist_is_an_error(server):
    for config in ({"projects_list": ["larkspur/nothing"]}, {"groups_list": ["nothing"]}):
        with pytest.raises(ConfigError, match="does not exist"):
            source("gitlab", {**server.config, "groups_list": [], **config}).check()
        with pytest.raises(ConfigError, match="does not exist"):
            read(source("gitlab", {**server.config, "groups_list": [], **config}), "issues")


def test_limits_cost_time_but_no_record():
    with GitLabStandIn(page=5, faults=Faults(seed=5, rate_limit=0.2, retry_after_s=0)) as server:
        assert len(read(source("gitlab", server.config), "issues")[0]) == 48
        assert 429 in {call.status for call in server.requests}


def test_a_wrong_token_is_an_auth_error_that_does_not_show_it(server):
    gitlab = source("gitlab", {**server.config, "credentials": {"access_token": "not-the-token"}})
    with pytest.raises(AuthError, match="401 Unauthorized") as caught:
        gitlab.check()
    assert "not-the-token" not in str(caught.value)


def test_a_token_without_the_scope_is_an_error_with_the_way_out(server):
    gitlab = source("gitlab", {**server.config, "credentials": {"access_token": "glpat-no-scope"}})
    with pytest.raises(ConfigError, match="lacks the scope read_api"):
        read(gitlab, "issues")


@pytest.mark.parametrize("api_url", ["gitlab.com", "https://gitlab.example.org/"])
def test_a_server_is_named_with_or_without_its_scheme(server, api_url):
    source("gitlab", {**server.config, "api_url": api_url}).check()
