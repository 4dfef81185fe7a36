from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

Run = Callable[..., Result]


def lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def test_a_connection_is_synced_and_summed_up(run: Run, project: Path) -> None:
    result = run("sync", "people_to_shelf")
    assert result.exit_code == 0
    assert "people_to_shelf: succeeded" in result.stdout
    assert re.search(r"users\s+succeeded\s+5\s+5", result.stdout)
    assert lines(project.parent / "out" / "users.jsonl") == 5
    assert (project.parent / ".kitestring" / "state.sqlite").is_file()


def test_a_second_sync_writes_only_what_is_new(run: Run, project: Path) -> None:
    run("sync", "people_to_shelf")
    project.write_text(project.read_text().replace("count: 5", "count: 7"))
    assert run("sync", "people_to_shelf").exit_code == 0
    assert lines(project.parent / "out" / "users.jsonl") == 7


def test_all_connections_are_synced_where_none_is_named(run: Run, project: Path) -> None:
    result = run("sync")
    assert "people_to_shelf: succeeded" in result.stdout
    assert "feed_to_shelf: succeeded" in result.stdout


def test_only_the_streams_that_are_asked_for_are_synced(run: Run, project: Path) -> None:
    assert run("sync", "people_to_shelf", "--streams", "products").exit_code == 0
    assert [path.name for path in (project.parent / "out").iterdir()] == ["products.jsonl"]


def test_a_stream_the_connection_has_not_is_refused(run: Run, project: Path) -> None:
    result = run("sync", "people_to_shelf", "-s", "product")
    assert result.exit_code == 2
    assert "has no stream product; did you mean products?" in result.stderr


def test_full_refresh_reads_everything_again(run: Run, project: Path) -> None:
    run("sync", "people_to_shelf")
    assert run("sync", "people_to_shelf", "--full-refresh", "-s", "users").exit_code == 0
    assert lines(project.parent / "out" / "users.jsonl") == 10
    assert lines(project.parent / "out" / "products.jsonl") == 5
    assert run("sync", "people_to_shelf").exit_code == 0
    assert lines(project.parent / "out" / "users.jsonl") == 10


def test_a_dry_run_says_what_it_would_cost_and_writes_nothing(run: Run, project: Path) -> None:
    result = run("sync", "people_to_shelf", "--dry-run")
    assert result.exit_code == 0
    assert "Chunks: 20; 100 tokens; $0.1000" in result.stdout
    assert not (project.parent / "out").exists()
    assert run("state", "list").stdout == "No connection has a state yet.\n"


def test_a_dry_run_as_json_has_the_figures(run: Run, project: Path) -> None:
    answer = json.loads(run("sync", "people_to_shelf", "--dry-run", "--json").stdout)
    assert answer["dry_run"] is True
    assert answer["streams"]["users"]["chunks"] == 10


def test_the_result_as_json_is_one_object_on_stdout(run: Run, project: Path) -> None:
    answer = json.loads(run("sync", "people_to_shelf", "--json").stdout)
    assert (answer["status"], answer["streams"]["users"]["written"]) == ("succeeded", 5)
    assert [result_line["connection"] for result_line in json.loads(run("sync", "--json").stdout)] == [
        "people_to_shelf",
        "feed_to_shelf",
    ]


def test_progress_is_json_lines_on_stderr_where_there_is_no_terminal(run: Run, project: Path) -> None:
    entries = [json.loads(line) for line in run("sync", "people_to_shelf").stderr.splitlines()]
    last = [entry for entry in entries if "progress" in entry][-1]
    assert last["streams"]["users"]["read"] == 5
    assert not any("progress" in line for line in run("sync", "people_to_shelf", "--quiet").stderr.splitlines())


def test_a_sync_by_flags_needs_no_project(run: Run, folder: Path) -> None:
    words = ["sync", "--source", "sample", "--source-config", '{"count": 3}', "-s", "users"]
    words += ["--destination", "shelf", "--destination-config", "folder=there"]
    assert run(*words).exit_code == 0
    assert run(*words).exit_code == 0
    assert lines(folder / "there" / "users.jsonl") == 3


def test_flags_are_laid_over_what_the_project_says(run: Run, project: Path) -> None:
    words = ["sync", "--source", "people", "--source-config", "count=2", "--destination", "shelf", "-s", "users"]
    assert run(*words).exit_code == 0
    assert lines(project.parent / "out" / "users.jsonl") == 2


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--source", "sample"], "--destination is missing"),
        (["people_to_shelf", "--source", "sample", "--destination", "shelf"], "not both"),
    ],
)
def test_half_a_request_is_a_usage_error(run: Run, project: Path, words: list[str], sentence: str) -> None:
    result = run("sync", *words)
    assert result.exit_code == 2
    assert sentence in result.stderr


def test_without_project_and_flags_it_says_what_to_do(run: Run, folder: Path) -> None:
    result = run("sync")
    assert result.exit_code == 2
    message, hint = result.stderr.splitlines()
    assert message.startswith("Error: there is no kitestring.yaml in")
    assert hint.startswith("Hint:  `kitestring init`")


def test_a_failing_destination_fails_the_sync_with_code_1(run: Run, project: Path) -> None:
    project.write_text(project.read_text().replace("folder: out", "folder: out, broken: write"))
    result = run("sync", "people_to_shelf")
    assert result.exit_code == 1
    assert "the shelf fell over" in result.stdout
    assert "Traceback" not in result.output


def test_one_connection_that_cannot_run_does_not_keep_the_others_from_it(run: Run, project: Path) -> None:
    project.write_text(project.read_text().replace("count: 5", "count: none"))
    result = run("sync")
    assert result.exit_code == 2
    assert "feed_to_shelf: succeeded" in result.stdout
    assert "Error: sample: count" in result.stderr


def test_rejected_records_are_kept_and_replayed(run: Run, project: Path) -> None:
    result = run("sync", "feed_to_shelf")
    assert result.exit_code == 0
    assert "1 rejected records are kept in" in result.stdout
    content = json.loads(run("replay", "feed_to_shelf", "--show", "--json").stdout)
    assert content == [{"stream": "items", "reason": "the name is null", "count": 1}]
    second = run("replay", "feed_to_shelf")
    assert second.exit_code == 0, second.output
    assert lines(project.parent / "out" / "items.jsonl") == 3
    assert "has no rejected records" in run("replay", "feed_to_shelf", "--show").stdout


def test_too_many_rejects_fail_the_sync(run: Run, project: Path) -> None:
    result = run("sync", "feed_to_shelf", "--max-rejects", "0")
    assert result.exit_code == 2
    assert "the limit is 0" in result.stdout


def test_the_state_can_be_kept_in_a_json_file(run: Run, project: Path) -> None:
    assert run("sync", "people_to_shelf", "--state", "state.json").exit_code == 0
    assert set(json.loads((project.parent / "state.json").read_text())["people_to_shelf"]) == {"users", "products"}
    assert not (project.parent / ".kitestring" / "state.sqlite").exists()


def test_secrets_do_not_appear_in_errors(run: Run, project: Path) -> None:
    project.write_text(project.read_text().replace("folder: out", "folder: out, key: s3cr3t-key, broken: check"))
    result = run("check", "shelf")
    assert result.exit_code == 2
    assert "the shelf refused the key **********" in result.stdout
    assert "s3cr3t-key" not in result.output


def test_debug_shows_the_traceback_wherever_it_stands(run: Run, folder: Path) -> None:
    for words in (["--debug", "read", "smple", "users"], ["read", "smple", "users", "--debug"]):
        result = run(*words)
        assert result.exit_code == 2
        assert "Traceback" in result.stderr
    assert "Traceback" not in run("read", "smple", "users").stderr


def test_another_project_file_can_be_named(run: Run, project: Path, tmp_path: Path) -> None:
    moved = project.rename(tmp_path / "other.yaml")
    assert run("sync").exit_code == 2
    assert run("sync", "people_to_shelf", "--project", str(moved)).exit_code == 0


def test_paths_of_the_project_are_relative_to_its_file_and_those_typed_to_where_they_were_typed(
    run: Run, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    below = project.parent / "below"
    below.mkdir()
    monkeypatch.chdir(below)
    assert run("sync", "people_to_shelf", "--state", "mine.json").exit_code == 0
    assert (project.parent / "out" / "users.jsonl").is_file()
    assert [path.name for path in below.iterdir() if path.suffix == ".json"] == ["mine.json"]


def test_an_empty_copy_is_allowed_on_a_server_by_a_setting_of_the_connection(run: Run, folder: Path) -> None:
    result = run("--server", "http://127.0.0.1:1", "sync", "helpdesk", "--allow-empty")
    assert result.exit_code == 2
    assert "set its `allow_empty`" in " ".join(result.stderr.split())


def test_deletions_are_accepted_on_a_server_by_its_own_command(run: Run, folder: Path) -> None:
    result = run("--server", "http://127.0.0.1:1", "sync", "helpdesk", "--accept")
    assert result.exit_code == 2
    assert "kitestring state accept NAME" in " ".join(result.stderr.split())
