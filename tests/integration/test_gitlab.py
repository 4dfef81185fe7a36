import logging
from pathlib import Path

import pytest
from manifest_cases import assert_golden_requests, counted
from reading import read
from stand_ins.gitlab import HOUR, GitLabStandIn

from kitestring.errors import AuthError, ConfigError, KitestringError
from kitestring.registry import source
from kitestring.testing.help_desk.objects import BEGIN
from kitestring.testing.stand_in import Faults
from kitestring.types import Suspicion

GOLDEN = Path(__file__).parent.parent / "golden" / "requests" / "gitlab.txt"
EXPECTED = {
    "issues": 48, "issue_comments": 48, "merge_requests": 12, "merge_request_comments": 12, "wiki_pages": 8,
    "commits": 50, "releases": 6, "milestones": 6, "projects": 2, "group_wiki_pages": 2, "epics": 5,
    "epic_comments": 5, "epic_issues": 3, "groups": 2, "group_milestones": 2, "group_labels": 2, "project_labels": 24,
    "group_members": 4, "project_members": 6, "users": 4, "group_issue_boards": 2, "issue_boards": 2, "branches": 4,
    "tags": 6, "deployments": 6, "pipelines": 24, "pipelines_extended": 24, "jobs": 48, "merge_request_commits": 12,
}  # fmt: skip


@pytest.fixture
def server():
    with GitLabStandIn(page=10) as server:
        yield server


@pytest.fixture
def gitlab(server):
    actual_source = source("gitlab", server.config)
    yield actual_source
    actual_source.close()


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
    changed = {(row["project"], row["iid"]) for row in rows["issues"]}
    assert {(row["project"], row["noteable_iid"]) for row in rows["issue_comments"]} <= changed
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


DAY = 86_400


def test_an_access_token_that_ended_is_renewed_once_for_all_streams_and_the_pair_is_kept_before_it_is_used(server):
    server.tokens.delay_s = 0.05
    gitlab, kept = source("gitlab", server.oauth_config), []
    gitlab.on_config(lambda config: kept.append((config, len(server.calls("/api")))))
    assert len(read(gitlab, "issues")[0]) == 48
    server.tokens.end_access()
    for name in ("merge_requests", "commits", "epics"):
        assert read(gitlab, name)[0]
    assert len(server.tokens.refreshes) == 2
    assert server.tokens.most_at_once == 1
    assert [status for call in server.calls("/api") if (status := call.status) != 200] == [401]
    first, calls_before = kept[0]
    assert calls_before == 0
    assert first["credentials"]["token_expiry_date"]
    latest = source("gitlab", {**kept[-1][0], "base_url": server.url})
    assert len(read(latest, "issues")[0]) == 48
    assert len(server.tokens.refreshes) == 2


def test_a_refresh_token_that_is_used_up_is_an_auth_error_with_the_way_out(server):
    config = server.oauth_config
    server.tokens.end_all()
    with pytest.raises(AuthError) as caught:
        source("gitlab", config).check()
    assert config["credentials"]["refresh_token"] not in str(caught.value)


@pytest.mark.parametrize("missing", ["client_id", "refresh_token"])
def test_an_access_token_of_oauth_that_nothing_can_renew_is_used_as_it_is(server, missing):
    config = server.oauth_config
    del config["credentials"][missing]
    source("gitlab", config).check()
    assert server.tokens.exchanges == []
    server.tokens.end_access()
    with pytest.raises(AuthError):
        source("gitlab", config).check()


def test_a_refresh_token_is_enough_and_without_any_token_it_is_asked_for(server):
    config = server.oauth_config
    del config["credentials"]["access_token"]
    source("gitlab", config).check()
    assert len(server.tokens.refreshes) == 1
    config["credentials"] = {"auth_type": "oauth2.0", "client_id": "larkspur-app"}
    with pytest.raises(
        ConfigError, match="access_token, or a refresh_token with client_id and client_secret, is missing"
    ):
        source("gitlab", config).check()


def test_credentials_that_name_no_kind_are_what_they_look_like(server):
    config = {**server.oauth_config, "start_date": "2020-01-01T00:00:00.000Z"}
    del config["credentials"]["auth_type"]
    assert len(read(source("gitlab", config), "issues")[0]) == 48
    assert len(server.tokens.refreshes) == 1
    token = {"access_token": server.config["credentials"]["access_token"]}
    assert len(read(source("gitlab", {**config, "credentials": token}), "issues")[0]) == 48


def test_tokens_are_renewed_at_the_server_that_is_configured(server):
    config = {**server.oauth_config, "api_url": server.url, "base_url": ""}
    source("gitlab", config).check()
    assert len(server.tokens.refreshes) == 1


def test_commits_of_a_branch_that_is_merged_later_arrive(server, gitlab):
    _, state = read(gitlab, "commits")
    merged = server.merge("larkspur/web", BEGIN - 20 * DAY)
    assert merged["id"] in {row["id"] for row in read(gitlab, "commits", state)[0]}
    late = server.merge("larkspur/web", BEGIN - 40 * DAY)
    assert late["id"] not in {row["id"] for row in read(gitlab, "commits", state)[0]}
    longer = source("gitlab", {**server.config, "commits_lookback_days": 60})
    assert late["id"] in {row["id"] for row in read(longer, "commits", state)[0]}
    none = source("gitlab", {**server.config, "commits_lookback_days": 0})
    assert len(read(none, "commits", state)[0]) == 2


def test_a_commit_of_the_future_does_not_silence_the_stream(server, gitlab):
    server.merge("larkspur/web", 2_082_758_400)
    _, state = read(gitlab, "commits")
    new = server.merge("larkspur/web", BEGIN + 30 * HOUR)
    rows = [item for item in read(gitlab, "commits", state)[0] if not isinstance(item, Suspicion)]
    assert new["id"] in {row["id"] for row in rows}


def test_commits_of_all_branches_are_read_where_that_is_wanted(server, gitlab):
    every = source("gitlab", {**server.config, "all_branches": True})
    assert len(read(every, "commits")[0]) == len(read(gitlab, "commits")[0]) + 2


def test_a_full_page_without_a_link_header_is_never_the_last_one(server, gitlab, monkeypatch):
    def without_links(call):
        answer = GitLabStandIn.answer(server, call)
        answer.headers.pop("Link", None)
        return answer

    monkeypatch.setattr(server, "page", 100)
    monkeypatch.setattr(server, "answer", without_links)
    for n in range(80):
        server.add("larkspur/web", "issues", f"More {n}", "It broke.")
    with pytest.raises(KitestringError):
        read(gitlab, "issues")
    assert len(read(gitlab, "milestones")[0]) == 6


def test_wiki_pages_come_all_at_once(server, gitlab):
    server.rows["larkspur/web", "wikis"] = [{"slug": f"page-{n}", "title": f"Page {n}"} for n in range(100)]
    assert len(read(gitlab, "wiki_pages")[0]) == 104


def test_projects_of_a_member_are_listed_by_keyset(server):
    member = source("gitlab", {**server.config, "groups_list": []})
    server.page = 2
    assert len(read(member, "projects")[0]) == 3
    lists = [call for call in server.calls("/api/v4/projects$") if call.status == 200]
    assert [call.param("id_after") for call in lists][:2] == ["", str(server.projects["larkspur/tools/api"]["id"])]
    assert {call.param("page") for call in lists} == {""}


def test_a_list_of_issues_beyond_the_last_numbered_page_says_what_to_do_and_a_keyset_reads_it(server):
    server.most_offset = 20
    with pytest.raises(ConfigError, match="keyset_pagination"):
        read(source("gitlab", server.config), "issues")
    by_keyset = source("gitlab", {**server.config, "keyset_pagination": True})
    assert len(read(by_keyset, "issues")[0]) == 48


def test_lists_of_projects_and_groups_may_be_texts(server):
    config = {**server.config, "groups_list": []}
    web = source("gitlab", {**config, "projects": "larkspur/web elsewhere/site"})
    assert {row["project"] for row in read(web, "projects")[0]} == {"larkspur/web", "elsewhere/site"}
    tools = source("gitlab", {**config, "groups": "larkspur/tools"})
    assert {row["project"] for row in read(tools, "projects")[0]} == {"larkspur/tools/api"}


def test_epics_and_their_comments_are_those_of_every_subgroup_once(server, gitlab):
    epics, _ = read(gitlab, "epics")
    assert sorted(row["group"] for row in epics) == ["larkspur"] * 2 + ["larkspur/tools"] * 3
    comments, _ = read(gitlab, "epic_comments")
    assert {(row["noteable_id"], row["body"]) for row in comments} == {
        (row["id"], f"What we think of {row['title']}") for row in epics
    }


def test_a_new_comment_on_an_epic_is_read_with_few_calls(server, gitlab):
    states = {name: read(gitlab, name)[1] for name in ("epics", "epic_comments")}
    server.now += DAY
    server.note("larkspur/tools", "epics", 2, "One more word.")
    seen = len(server.calls("/notes"))
    assert read(gitlab, "epics", states["epics"])[0][0]["iid"] == 2
    rows, _ = read(gitlab, "epic_comments", states["epic_comments"])
    assert "One more word." in {row["body"] for row in rows}
    assert len(server.calls("/notes")) - seen <= 3


def test_comments_of_an_issue_that_was_moved_arrive_though_they_keep_their_times(server, gitlab):
    _, state = read(gitlab, "issue_comments")
    server.now += DAY
    moved = server.move("larkspur/web", 2, "larkspur/tools/api")
    copies = {note["id"] for note in server.notes["larkspur/tools/api", "issues", moved["iid"]] if not note["system"]}
    assert copies <= {row["id"] for row in read(gitlab, "issue_comments", state)[0]}
    assert copies
    only_new = source("gitlab", {**server.config, "only_new_comments": True})
    assert not copies & {row["id"] for row in read(only_new, "issue_comments", state)[0]}


def test_comments_before_the_start_date_are_left_out(server):
    late = source("gitlab", {**server.config, "start_date": "2025-01-09T00:00:00Z"})
    rows, _ = read(late, "issue_comments")
    assert 0 < len(rows) < 48
    assert min(row["updated_at"] for row in rows) >= "2025-01-09"


def test_what_the_plan_of_a_group_lacks_is_empty_and_that_is_told(caplog):
    caplog.set_level(logging.WARNING)
    with GitLabStandIn(lacks=("epics",)) as server:
        gitlab = source("gitlab", server.config)
        assert read(gitlab, "epics")[0] == []
        assert read(gitlab, "epic_comments")[0] == []
        assert len(read(gitlab, "group_labels")[0]) == 2
    assert "plan does not include" in caplog.text


def test_without_names_the_groups_are_those_of_the_member_and_named_projects_have_none(server):
    member = source("gitlab", {**server.config, "groups_list": []})
    assert {row["group"] for row in read(member, "groups")[0]} == {"larkspur", "larkspur/tools", "elsewhere"}
    named = source("gitlab", {**server.config, "groups_list": [], "projects_list": ["larkspur/web"]})
    assert read(named, "epics")[0] == []


def test_child_pipelines_are_read_and_a_job_that_ran_again_is_found(server, gitlab):
    rows, _ = read(gitlab, "pipelines")
    assert sum(row["source"] == "parent_pipeline" for row in rows) == 4
    _, state = read(gitlab, "jobs")
    server.now += DAY
    job = server.retry("larkspur/web", rows[0]["id"])
    seen = len(server.calls("/jobs"))
    second, _ = read(gitlab, "jobs", state)
    assert job["id"] in {row["id"] for row in second}
    assert len(server.calls("/jobs")) - seen <= 5


LATER = ("issues", "issue_comments", "merge_requests", "commits", "pipelines", "jobs", "merge_request_commits")


@pytest.mark.slow
def test_the_whole_history_of_a_project_added_later_arrives_and_nothing_else_again(server):
    named = {**server.config, "groups_list": [], "commits_lookback_days": 0}
    before = source("gitlab", {**named, "projects_list": ["larkspur/web"]})
    states = {name: read(before, name)[1] for name in LATER}
    server.now -= 400 * DAY
    server.add_project("elsewhere/old", 30)
    server.now += 800 * DAY
    later = source("gitlab", {**named, "projects_list": ["larkspur/web", "elsewhere/old"]})
    alone = source("gitlab", {**named, "projects_list": ["elsewhere/old"]})
    for name in LATER:
        rows, _ = read(later, name, states[name])
        assert sum(row["project"] == "elsewhere/old" for row in rows) == len(read(alone, name)[0]) > 0, name
        assert sum(row["project"] == "larkspur/web" for row in rows) <= 4, name


def test_epics_of_a_group_added_later_arrive_with_their_comments(server):
    before = source("gitlab", {**server.config, "groups_list": ["larkspur/tools"]})
    states = {name: read(before, name)[1] for name in ("epics", "epic_comments")}
    later = source("gitlab", server.config)
    assert sum(row["group"] == "larkspur" for row in read(later, "epics", states["epics"])[0]) == 2
    rows, _ = read(later, "epic_comments", states["epic_comments"])
    assert sum(row["group"] == "larkspur" for row in rows) == 2


def test_the_end_of_a_token_is_told(gitlab):
    assert [(end.name, f"{end.at:%Y-%m-%d}") for end in gitlab.credential_ends()] == [
        ("The access token", "2027-03-01")
    ]
