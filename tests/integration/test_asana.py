import logging
from pathlib import Path

import pytest
from manifest_cases import assert_golden_requests, counted
from reading import read
from stand_ins.asana import AsanaStandIn

from kitestring.errors import AuthError, ConfigError, KitestringError
from kitestring.registry import source
from kitestring.testing.help_desk.objects import BEGIN
from kitestring.testing.stand_in import Faults, Quota

GOLDEN = Path(__file__).parent.parent / "golden" / "requests" / "asana.txt"

EXPECTED = {
    "tasks": 130, "stories": 130, "projects": 2, "sections": 3, "workspaces": 2, "users": 120, "teams": 1, "tags": 4,
    "custom_fields": 1, "subtasks": 6, "subtask_stories": 6, "attachments": 1, "status_updates": 1, "project_briefs": 1,
    "portfolios": 1, "portfolio_memberships": 2, "team_memberships": 3,
}  # fmt: skip


@pytest.fixture
def server():
    with AsanaStandIn() as server:
        yield server


@pytest.fixture
def asana(server):
    actual_source = source("asana", server.config)
    yield actual_source
    actual_source.close()


def add_levels(server):
    """Two subtasks of t4; below the first one subtasks on four more levels."""
    server.add_subtask("t4", "below-0")
    for level in range(1, 5):
        server.add_subtask(f"below-{level - 1}", f"below-{level}")
    server.add_subtask("t4", "beside")


def test_every_stream_is_read_completely_and_fits_its_declared_fields(server, asana):
    add_levels(server)
    assert counted(asana) == EXPECTED


def test_the_requests_are_the_golden_ones():
    with AsanaStandIn(tasks=12) as server:
        add_levels(server)
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
    with AsanaStandIn(limits=(Quota(4, 1.0),)) as server:
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


def test_an_access_token_that_ends_is_renewed_with_a_refresh_token_that_stays_good(server):
    asana = source("asana", server.oauth_config)
    assert len(read(asana, "tasks")[0]) == 130
    server.tokens.end_access()
    assert len(read(asana, "users")[0]) == 121
    assert len(server.tokens.refreshes) == 2
    assert [call.status for call in server.calls("/api") if call.status != 200] == [401]


def test_a_consent_that_was_withdrawn_is_an_auth_error_that_shows_no_token(server):
    config = server.oauth_config
    server.tokens.end_all()
    with pytest.raises(AuthError) as caught:
        source("asana", config).check()
    assert config["credentials"]["refresh_token"] not in str(caught.value)


def test_a_wrong_token_is_an_auth_error_that_does_not_show_it(server):
    credentials = {"option_title": "PAT Credentials", "personal_access_token": "not-the-token"}
    with pytest.raises(AuthError, match="access token is not accepted") as caught:
        source("asana", {**server.config, "credentials": credentials}).check()
    assert "not-the-token" not in str(caught.value)


def test_a_missing_right_is_an_error_with_the_way_out():
    with AsanaStandIn(forbidden=("teams",)) as server, pytest.raises(ConfigError, match="Deselect the stream"):
        read(source("asana", server.config), "teams")


def test_values_of_custom_fields_come_as_people_see_them(asana):
    rows, _ = read(asana, "tasks")
    assert {field["display_value"] for row in rows for field in row["custom_fields"]} == {"3 days"}


def test_people_beyond_the_limit_of_a_workspace_list_are_read(server, asana):
    server.lists["workspaces/w1/users"] = [
        {"gid": f"u{n}", "resource_type": "user", "name": f"Person {n}"} for n in range(2100)
    ]
    assert len(read(asana, "users")[0]) == 2101


def test_a_changed_subtask_arrives_though_its_parents_did_not_change(server, asana):
    add_levels(server)
    states = {name: read(asana, name)[1] for name in ("subtasks", "subtask_stories", "attachments")}
    server.touch("below-4", name="Changed")
    server.comment("below-3", "One more thought.")
    server.attach("beside", "a2")
    rows = {name: read(asana, name, state)[0] for name, state in states.items()}
    assert {row["gid"] for row in rows["subtasks"]} >= {"below-4", "below-3", "beside"}
    assert len(rows["subtasks"]) <= 4
    assert "One more thought." in {row["text"] for row in rows["subtask_stories"]}
    assert {row["target"]["gid"] for row in rows["subtask_stories"]} <= {row["gid"] for row in rows["subtasks"]}
    assert "a2" in {row["gid"] for row in rows["attachments"]}


def test_files_of_a_project_and_of_tasks_that_changed_are_read(server, asana):
    server.files["p1"] = [server._file("a9", "p1", BEGIN)]
    rows, state = read(asana, "attachments")
    assert {row["gid"] for row in rows} == {"a1", "a9"}
    server.attach("t7", "a2")
    seen = len(server.calls("/attachments"))
    assert "a2" in {row["gid"] for row in read(asana, "attachments", state)[0]}
    assert len(server.calls("/attachments")) - seen <= 6


def test_an_edited_comment_arrives_when_its_task_changes_or_within_the_lookback(server, asana):
    _, state = read(asana, "stories")
    server.edit("t4", 0, "Looks better.")
    assert "Looks better." not in {row["text"] for row in read(asana, "stories", state)[0]}
    longer = source("asana", {**server.config, "stories_lookback_days": 30})
    assert "Looks better." in {row["text"] for row in read(longer, "stories", state)[0]}
    server.touch("t4")
    assert "Looks better." in {row["text"] for row in read(asana, "stories", state)[0]}


def test_comments_of_a_task_that_comes_out_of_an_unseen_project_arrive(server, asana):
    _, state = read(asana, "stories")
    server.reveal("t900", "p2")
    rows, _ = read(asana, "stories", state)
    assert {"t900-0", "t900-1", "t900-2"} <= {row["gid"] for row in rows}
    only_new = source("asana", {**server.config, "only_new_stories": True})
    assert "t900-0" not in {row["gid"] for row in read(only_new, "stories", state)[0]}
    since = source("asana", {**server.config, "start_date": "2025-01-05T00:00:00Z"})
    assert min(row["created_at"] for row in read(since, "stories")[0]) >= "2025-01-05"


def test_tasks_without_a_project_are_read_where_that_is_wanted(server, asana):
    server.add_lonely_task("mine", "u7")
    assert "mine" not in {row["gid"] for row in read(asana, "tasks")[0]}
    assert not server.calls("/users")
    every = source("asana", {**server.config, "tasks_without_project": True})
    rows, state = read(every, "tasks")
    assert "mine" in {row["gid"] for row in rows}
    server.touch("mine", name="Changed")
    assert "Changed" in {row["name"] for row in read(every, "tasks", state)[0]}
    assert len(read(every, "tasks", state)[0]) <= 4


@pytest.mark.parametrize("broken", ["key", "offset"])
def test_a_full_page_that_does_not_say_whether_another_one_follows_is_never_the_last(
    server, asana, monkeypatch, broken
):
    def cut(call):
        answer = AsanaStandIn.answer(server, call)
        if broken == "key":
            answer.body.pop("next_page", None)
        elif answer.body.get("next_page"):
            answer.body["next_page"] = {"path": "/tasks"}
        return answer

    monkeypatch.setattr(server, "answer", cut)
    assert len(read(asana, "tags")[0]) == 4
    with pytest.raises(KitestringError):
        read(asana, "users")


LATER = ("tasks", "subtasks", "stories", "subtask_stories", "attachments")


@pytest.mark.slow
def test_the_whole_history_of_a_project_shared_later_arrives_and_nothing_else_again(server, asana):
    add_levels(server)
    states = {name: read(asana, name)[1] for name in LATER}
    before = {name: {row["gid"] for row in read(asana, name)[0]} for name in LATER}
    server.add_project("p9", 12, BEGIN - 86_400)
    for name in LATER:
        rows = [row["gid"] for row in read(asana, name, states[name])[0]]
        new = {row["gid"] for row in read(asana, name)[0]} - before[name]
        assert len(new) >= (2 if name.startswith("subtask") else 12), name
        assert set(rows) >= new, name
        assert len(set(rows) - new) <= 3, name
