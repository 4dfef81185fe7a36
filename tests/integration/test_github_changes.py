"""What changes at GitHub while pages are read, between syncs, and when a repository is added later."""

import pytest
from reading import read
from stand_ins.github import GitHubStandIn

from kitestring.engine import Selection, sync
from kitestring.engine.state import MemoryStates
from kitestring.errors import ConfigError
from kitestring.registry import source
from kitestring.testing.memory import MemoryDestination
from kitestring.types import Suspicion

PARTITIONED = (
    *("issues", "comments", "pull_requests", "reviews", "review_comments", "commits", "issue_events", "discussions"),
    *("discussion_comments", "pull_request_commits", "pull_request_stats", "workflow_runs", "workflow_jobs"),
)


@pytest.fixture
def server():
    with GitHubStandIn() as server:
        yield server


def ids(rows):
    return {row["id"] for row in rows}


def once(server, path, change):
    """Make one change behind the first page of a list."""

    def on_page(call):
        if call.path.endswith(path):
            server.on_page = None
            change()

    server.on_page = on_page


def oldest(rows):
    return min(rows, key=lambda row: (row["updated_at"], row["id"]))


def listed(web, stream):
    return {"issues": web.issues.values(), "comments": web.comments, "review_comments": web.review_comments}[stream]


PATHS = {"issues": "web/issues", "comments": "web/issues/comments", "review_comments": "web/pulls/comments"}


@pytest.mark.parametrize("enterprise", [False, True])
@pytest.mark.parametrize("stream", list(PATHS))
@pytest.mark.parametrize("what", ["changed", "deleted"])
def test_nothing_is_lost_when_a_record_moves_or_goes_while_pages_are_read(stream, what, enterprise):
    with GitHubStandIn(enterprise=enterprise) as server:
        web = server.repositories["larkspur/web"]
        if stream == "review_comments":
            pattern = web.review_comments[0]
            web.review_comments += [
                {**pattern, "id": 10**9 + i, "updated_at": f"2025-09-{1 + i // 24:02}T{i % 24:02}:00:00Z"}
                for i in range(150)
            ]
        moved = oldest(listed(web, stream))
        everything = ids(listed(web, stream))

        def change():
            if what == "changed":
                web.touch_comment(moved)
            elif stream == "issues":
                del web.issues[moved["number"]]
            else:
                listed(web, stream).remove(moved)

        once(server, PATHS[stream], change)
        github = source("github", {**server.config, "repositories": ["larkspur/web"]})
        rows, state = read(github, stream)
        more, _ = read(github, stream, state)
        assert server.on_page is None
        assert ids([*rows, *more]) == everything


def test_more_records_of_one_second_than_a_page_holds_are_all_read(server):
    web = server.repositories["larkspur/web"]
    for comment in web.comments:
        comment["updated_at"] = "2025-09-01T00:00:00Z"
    rows, _ = read(source("github", {**server.config, "repositories": ["larkspur/web"]}), "comments")
    assert len(rows) == len(web.comments) > 100
    assert ids(rows) == ids(web.comments)


def test_pages_that_overlap_bring_each_record_once(server):
    rows, _ = read(source("github", server.config), "issues")
    assert len(rows) == len(ids(rows)) == 215


def test_commits_of_a_branch_that_is_merged_later_arrive(server):
    github = source("github", server.config)
    _, state = read(github, "commits")
    web = server.repositories["larkspur/web"]
    web.merge_commit("main", "Made three weeks ago, merged today", web.now - 21 * 86_400)
    rows, _ = read(github, "commits", state)
    assert "Made three weeks ago, merged today" in {row["commit"]["message"] for row in rows}


def test_the_lookback_of_commits_is_an_option(server):
    github = source("github", {**server.config, "commits_lookback_days": 90})
    _, state = read(github, "commits")
    web = server.repositories["larkspur/web"]
    web.merge_commit("main", "Made ten weeks ago, merged today", web.now - 70 * 86_400)
    assert "Made ten weeks ago, merged today" in {row["commit"]["message"] for row in read(github, "commits", state)[0]}
    with pytest.raises(ConfigError, match="commits_lookback_days"):
        source("github", {**server.config, "commits_lookback_days": -1})


def test_a_commit_of_the_future_hides_no_later_one(server):
    web = server.repositories["larkspur/web"]
    web.merge_commit("main", "By a wrong clock", 2_100_000_000)
    github = source("github", server.config)
    rows, state = read(github, "commits")
    rows = [row for row in rows if not isinstance(row, Suspicion)]
    assert "By a wrong clock" in {row["commit"]["message"] for row in rows}
    web.add_commit("main", "By a right clock")
    more = [row for row in read(github, "commits", state)[0] if not isinstance(row, Suspicion)]
    assert "By a right clock" in {row["commit"]["message"] for row in more}


def test_a_repository_added_later_brings_its_whole_history_and_no_other_is_read_again(server):
    for repository in server.repositories.values():
        repository.run_count = 3
    old, new = "larkspur/docs", "larkspur/api"
    before, alone, after = (
        source("github", {**server.config, "repositories": names}) for names in ([old], [new], [old, new])
    )
    for stream in PARTITIONED:
        _, state = read(before, stream)
        known, _ = read(before, stream, state)
        rows, _ = read(after, stream, state)
        assert all(isinstance(row, dict) for row in rows), stream
        by = {name: [r for r in rows if r["repository"] == name] for name in (old, new)}
        assert len(by[new]) == len(read(alone, stream)[0]) > 0, stream
        assert len(by[old]) == len(known), stream


def test_reviews_that_are_edited_or_dismissed_come_again(server):
    github = source("github", {**server.config, "repositories": ["larkspur/web"]})
    _, state = read(github, "reviews")
    web = server.repositories["larkspur/web"]
    edited = web.change_review(4, 0, body="On second thought, no.")
    dismissed = web.change_review(8, 1, state="DISMISSED")
    rows = {row["id"]: row for row in read(github, "reviews", state)[0]}
    assert rows[edited["id"]]["body"] == "On second thought, no."
    assert rows[dismissed["id"]]["state"] == "DISMISSED"
    assert rows[edited["id"]]["submitted_at"] < "2025-10-31"


def test_a_pull_request_with_more_reviews_than_a_page_loses_none(server):
    web = server.repositories["larkspur/web"]
    for i in range(260):
        web.add_review(12, f"Again ({i})")
    rows, _ = read(source("github", {**server.config, "repositories": ["larkspur/web"]}), "reviews")
    assert ids(rows) == {review["id"] for reviews in web.reviews.values() for review in reviews}
    assert len(rows) == len(ids(rows))


def test_reviews_cost_a_call_for_fifty_pull_requests(server):
    read(source("github", server.config), "reviews")
    assert len(server.calls("/graphql")) == 2  # 53 pull requests
    assert len(server.requests) == 5


def test_a_review_has_the_fields_of_the_rest_api(server):
    web = server.repositories["larkspur/web"]
    bot = {"id": 49699333, "login": "dependabot[bot]", "type": "Bot", "site_admin": False, "html_url": "https://x"}
    web.reviews[4][0]["user"], web.reviews[8][0]["user"] = bot, None
    rows = {row["id"]: row for row in read(source("github", server.config), "reviews")[0]}
    for review in (web.reviews[4][0], web.reviews[8][1]):
        row = rows[review["id"]]
        for name in ("node_id", "body", "state", "submitted_at", "commit_id", "html_url", "author_association"):
            assert row[name] == review[name], name
        assert {name: row["user"][name] for name in ("id", "login", "type")} == {
            name: review["user"][name] for name in ("id", "login", "type")
        }
        assert row["pull_request_url"].endswith(f"/repos/larkspur/web/pulls/{row['pull_request_number']}")
        assert row["repository"] == "larkspur/web"
    assert rows[web.reviews[8][0]["id"]]["user"] is None


def test_a_state_of_reviews_from_before_graphql_is_taken_over(server):
    web = server.repositories["larkspur/web"]
    old = {
        "use_global_cursor": True,
        "state": {"submitted_at": "2025-10-19T00:00:00Z"},
        "lookback_window": 3,
        "parent_state": {
            "pull_requests": {
                "use_global_cursor": False,
                "states": [
                    {"partition": {"repository": name}, "cursor": {"updated_at": "2025-10-30T00:00:00Z"}}
                    for name in server.repositories
                ],
                "state": {"updated_at": "2025-10-30T00:00:00Z"},
                "lookback_window": 2,
            }
        },
    }
    web.add_review(8, "After the upgrade")
    rows, _ = read(source("github", server.config), "reviews", old)
    assert {row["body"] for row in rows if row["submitted_at"] > "2025-10-31"} == {"After the upgrade"}
    assert {row["pull_request_number"] for row in rows if row["repository"] == "larkspur/web"} == {8}


def test_a_pull_request_that_goes_while_reviews_are_read_leaves_the_others(server):
    web = server.repositories["larkspur/web"]

    def transferred():
        del web.issues[8], web.reviews[8]

    once(server, "web/pulls", transferred)
    rows, _ = read(source("github", {**server.config, "repositories": ["larkspur/web"]}), "reviews")
    assert ids(rows) == {review["id"] for reviews in web.reviews.values() for review in reviews}


def test_issue_events_stop_where_the_last_sync_left_off(server):
    github = source("github", {**server.config, "repositories": ["larkspur/web"]})
    rows, state = read(github, "issue_events")
    seen = len(server.requests)
    second, _ = read(github, "issue_events", state)
    assert (len(rows), len(server.requests) - seen) == (130, 1)
    assert len(second) == 1


def test_a_run_that_is_repeated_after_thirty_days_comes_again(server):
    github = source("github", {**server.config, "repositories": ["larkspur/web"]})
    _, state = read(github, "workflow_runs")
    web = server.repositories["larkspur/web"]
    web.repeat_run(86)  # 30.6 days before the newest
    changed = {row["run_number"]: row["updated_at"] for row in read(github, "workflow_runs", state)[0]}
    assert changed[86] > "2025-10-31"


def test_appended_comments_are_appended_once(server):
    destination = MemoryDestination()
    github = source("github", server.config)
    states = MemoryStates()
    for _ in range(2):
        selections = [Selection("comments", sync_mode="incremental", write_mode="append")]
        assert sync(github, destination, selections, states=states).status == "succeeded"
    assert len(destination.stored["comments"]) == 215
