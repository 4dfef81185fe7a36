from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

pytestmark = pytest.mark.slow

Run = Callable[..., Result]


@pytest.fixture
def synced(run: Run, project: Path) -> Run:
    assert run("sync", "people_to_shelf").exit_code == 0
    return run


def test_states_are_listed_and_shown(synced: Run) -> None:
    assert synced("state", "list").stdout == "people_to_shelf: products, users\n"
    assert json.loads(synced("state", "list", "--json").stdout) == {"people_to_shelf": ["products", "users"]}
    whole = json.loads(synced("state", "show", "people_to_shelf").stdout)
    assert json.loads(synced("state", "show", "people_to_shelf", "users").stdout) == whole["users"]


def test_a_reset_needs_a_yes_and_changes_nothing_without(synced: Run) -> None:
    result = synced("state", "reset", "people_to_shelf")
    assert result.exit_code == 2
    assert "Add --yes" in result.stderr
    assert "users" in synced("state", "list").stdout


def test_a_reset_forgets_one_stream_or_all(synced: Run) -> None:
    assert synced("state", "reset", "people_to_shelf", "users", "--yes").exit_code == 0
    assert synced("state", "list").stdout == "people_to_shelf: products\n"
    assert synced("state", "reset", "people_to_shelf", "--yes").exit_code == 0
    assert "No connection has a state" in synced("state", "list").stdout


def test_a_state_can_be_set_and_the_next_sync_begins_there(synced: Run, project: Path) -> None:
    old = json.loads(synced("state", "show", "people_to_shelf", "users").stdout)
    assert synced("state", "set", "people_to_shelf", "users", "{}", "-y").exit_code == 0
    assert synced("state", "show", "people_to_shelf", "users").stdout == "{}\n"
    assert synced("state", "set", "people_to_shelf", "users", json.dumps(old), "-y").exit_code == 0
    assert synced("sync", "people_to_shelf").exit_code == 0
    assert len((project.parent / "out" / "users.jsonl").read_text().splitlines()) == 5


def test_a_cursor_keeps_all_its_digits(synced: Run, project: Path) -> None:
    state = '{\n  "cursor": 1234567890123.4567890123\n}\n'
    assert synced("state", "set", "people_to_shelf", "users", state, "-y").exit_code == 0
    assert synced("state", "show", "people_to_shelf", "users").stdout == state
    assert synced("state", "export", "people_to_shelf", "kept.json").exit_code == 0
    synced("state", "reset", "people_to_shelf", "-y")
    assert synced("state", "import", "people_to_shelf", "kept.json").exit_code == 0
    assert synced("state", "show", "people_to_shelf", "users").stdout == state


@pytest.mark.parametrize("value", ["[]", "{", "5"])
def test_what_is_no_state_is_refused(synced: Run, value: str) -> None:
    before = synced("state", "show", "people_to_shelf").stdout
    assert synced("state", "set", "people_to_shelf", "users", value, "-y").exit_code == 2
    assert synced("state", "show", "people_to_shelf").stdout == before


def test_states_travel_by_export_and_import(synced: Run, project: Path) -> None:
    assert synced("state", "export", "people_to_shelf", "kept.json").exit_code == 0
    before = synced("state", "export", "people_to_shelf").stdout
    synced("state", "reset", "people_to_shelf", "-y")
    assert synced("state", "import", "people_to_shelf", "kept.json").exit_code == 0
    assert synced("state", "export", "people_to_shelf").stdout == before
    assert synced("state", "import", "people_to_shelf", "-", "-y", input='{"users": {}}').exit_code == 0
    assert synced("state", "list").stdout == "people_to_shelf: users\n"


def test_an_import_that_is_no_state_changes_nothing(synced: Run, project: Path) -> None:
    (project.parent / "bad.json").write_text('{"users": 5}')
    result = synced("state", "import", "people_to_shelf", "bad.json", "-y")
    assert result.exit_code == 2
    assert "the state of users in bad.json is int" in result.stderr
    assert synced("state", "list").stdout == "people_to_shelf: products, users\n"


def test_unknown_names_are_refused_with_the_nearest(synced: Run) -> None:
    assert "did you mean people_to_shelf?" in synced("state", "show", "people_to_shef").stderr
    assert "did you mean users?" in synced("state", "reset", "people_to_shelf", "user", "-y").stderr


def test_a_json_file_can_hold_the_states(run: Run, project: Path) -> None:
    run("sync", "people_to_shelf", "--state", "s.json")
    assert run("state", "list", "--state", "s.json").stdout == "people_to_shelf: products, users\n"


def test_a_lower_count_can_be_accepted(run: Run, folder: Path) -> None:
    import duckdb

    path = folder / "kitestring.yaml"
    path.write_text(
        "sources: {people: {connector: sample, config: {count: 5}}}\n"
        "destinations: {here: {connector: duckdb, config: {path: out.duckdb}}}\n"
        "connections: {copy: {source: people, destination: here, streams: [users]}}\n"
    )
    assert run("sync", "copy").exit_code == 0
    with duckdb.connect(str(folder / "out.duckdb")) as db:
        db.execute("DELETE FROM users WHERE id < 3")
    result = run("sync", "copy")
    assert result.exit_code == 3
    assert "held 5 records after the last sync and 3 when this one began" in result.output
    assert run("sync", "copy").exit_code == 3
    assert run("state", "accept", "copy").exit_code == 0
    assert run("sync", "copy").exit_code == 0
    assert run("state", "accept", "cpy").exit_code == 2


@pytest.mark.parametrize("accept", [("sync", "copy", "--accept"), ("state", "accept", "copy")])
def test_a_listing_that_lacks_much_can_be_accepted(run: Run, folder: Path, accept: tuple[str, ...]) -> None:
    import duckdb

    path = folder / "kitestring.yaml"

    def write_project(count: int) -> None:
        path.write_text(
            f"sources: {{people: {{connector: sample, config: {{count: {count}}}}}}}\n"
            "destinations: {here: {connector: duckdb, config: {path: out.duckdb}}}\n"
            "connections:\n"
            "  copy:\n"
            "    source: people\n"
            "    destination: here\n"
            "    streams: [{name: users, sync_mode: full_refresh, detect_deletes: hard}]\n"
        )

    def held() -> int:
        with duckdb.connect(str(folder / "out.duckdb"), read_only=True) as db:
            return int(db.execute("SELECT count(*) FROM users").fetchall()[0][0])

    write_project(9)
    assert run("sync", "copy").exit_code == 0
    write_project(2)
    result = run("sync", "copy")
    assert result.exit_code == 3
    assert "the source does not list 7 of the 9 records" in result.output
    assert held() == 9
    write_project(1)  # others are missing now: without the user's consent nothing goes
    result = run(*accept)
    assert result.exit_code == 0, result.output
    assert run("sync", "copy").exit_code == 0
    assert held() == 1


@pytest.mark.parametrize(
    ("words", "facts"),
    [
        (("people_to_shelf", "user"), ("people_to_shelf has no stream user; did you mean users?", "products, users")),
        (("people_to_shelf", "purchases"), ("people_to_shelf has no stream purchases", "It has: products, users.")),
        (
            ("people_to_self", "users"),
            ("no connection people_to_self; did you mean people_to_shelf?", "Add --force"),
        ),
        (("feed_to_shelf", "item"), ("feed_to_shelf has no stream item; did you mean items?", "Add --force")),
    ],
)
def test_a_state_that_no_sync_would_look_at_is_refused(run: Run, project: Path, words: Any, facts: Any) -> None:
    result = run("state", "set", *words, "{}", "-y")
    assert result.exit_code == 2
    for fact in facts:
        assert fact in " ".join(result.output.split())
    assert "No connection has a state" in run("state", "list").stdout
    assert run("state", "set", *words, "{}", "-y", "--force").exit_code == 0
    assert run("state", "show", *words).stdout == "{}\n"
    assert run("state", "set", *words, '{"a": 1}', "-y").exit_code == 0  # it has a state now


def test_a_state_can_be_set_before_the_first_sync(run: Run, project: Path) -> None:
    assert run("state", "set", "people_to_shelf", "users", "{}").exit_code == 0
    assert run("state", "set", "feed_to_shelf", "items", "{}").exit_code == 0


def test_a_source_that_cannot_be_asked_has_the_streams_that_the_project_names(run: Run, project: Path) -> None:
    text = project.read_text().replace("connector: sample\n    config: {count: 5}", "connector: nothing_like_it")
    project.write_text(text)
    assert run("state", "set", "people_to_shelf", "users", "{}").exit_code == 0
    assert run("state", "set", "people_to_shelf", "user", "{}").exit_code == 2


def test_an_import_of_streams_that_are_not_there_is_refused(synced: Run, project: Path) -> None:
    before = synced("state", "export", "people_to_shelf").stdout
    result = synced("state", "import", "people_to_shelf", "-", "-y", input='{"users": {}, "prodcts": {}}')
    assert result.exit_code == 2
    assert "did you mean products?" in " ".join(result.output.split())
    assert synced("state", "export", "people_to_shelf").stdout == before


def test_a_part_of_a_stream_is_refreshed(synced: Run) -> None:
    entries = [{"partition": {"repository": name}, "cursor": {"at": "2026-01-01"}} for name in ("acme/web", "acme/api")]
    state = json.dumps({"use_global_cursor": False, "states": entries, "state": {"at": "2026-01-01"}})
    assert synced("state", "set", "people_to_shelf", "users", state, "-y").exit_code == 0
    refresh = ("state", "refresh", "people_to_shelf", "users", "-y", "--partition")
    assert "1 partition(s) of users from the start" in synced(*refresh, "repository=acme/web").stdout
    content = json.loads(synced("state", "show", "people_to_shelf", "users").stdout)
    assert [entry["cursor"] for entry in content["states"]] == [{}, {"at": "2026-01-01"}]
    wrong = synced(*refresh, "repository=acme/other")
    assert (wrong.exit_code, "Its partitions have repository" in wrong.stderr) == (2, True)
    assert "no partitions by repo" in synced(*refresh, "repo=acme/web").stderr
    assert "not a NAME=VALUE" in synced(*refresh, "acme").stderr
    assert synced("state", "set", "people_to_shelf", "users", '{"cursor": "2026-01-01"}', "-y").exit_code == 0
    assert "does not distinguish partitions" in synced(*refresh, "repository=acme/web").stderr
