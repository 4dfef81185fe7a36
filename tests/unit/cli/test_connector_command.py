from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

Run = Callable[..., Result]


def test_spec_lists_the_options_of_a_connector(run: Run) -> None:
    out = run("spec", "shelf").stdout
    assert out.startswith("destination shelf\n")
    assert "folder (string, required)" in out
    assert "key (string, secret)" in out


def test_spec_as_json_is_the_json_schema(run: Run) -> None:
    form = json.loads(run("spec", "sample", "--json").stdout)
    assert form["properties"]["count"]["type"] == "integer"


def test_spec_takes_a_name_of_the_project(run: Run, project: Path) -> None:
    assert run("spec", "people").stdout.startswith("source sample\n")


def test_a_connector_that_is_not_there_is_refused_with_the_nearest(run: Run) -> None:
    result = run("spec", "shelv")
    assert result.exit_code == 2
    assert "there is no destination called shelv; did you mean shelf?" in result.stderr


def test_a_kind_that_is_none_is_a_usage_error(run: Run) -> None:
    assert run("spec", "shelf", "--kind", "both").exit_code == 2


def test_check_tests_every_connector_of_the_project(run: Run, project: Path) -> None:
    result = run("check")
    assert result.exit_code == 0
    assert result.stdout == "ok      source people\nok      source feed\nok      destination shelf\n"


def test_check_goes_on_after_a_failure_and_says_the_next_action(
    run: Run, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEED_TOKEN", "wrong")
    result = run("check")
    assert result.exit_code == 2
    assert "failed  source feed" in result.stdout
    assert "the feed refused the token **********" in result.stdout
    assert "Make a new token." in result.stdout
    assert "ok      destination shelf" in result.stdout


def test_check_as_json_has_an_entry_per_connector(run: Run, project: Path) -> None:
    answers = json.loads(run("check", "people", "shelf", "--json").stdout)
    assert [(answer["kind"], answer["name"], answer["ok"]) for answer in answers] == [
        ("source", "people", True),
        ("destination", "shelf", True),
    ]


def test_check_takes_a_connector_and_its_options(run: Run, folder: Path) -> None:
    (folder / "feed.yaml").write_text("token: right\n")
    assert run("check", "feed", "-c", "@feed.yaml").exit_code == 0


def test_discover_shows_the_streams(run: Run, project: Path) -> None:
    out = run("discover", "people").stdout
    assert "users" in out
    assert "full_refresh, incremental" in out
    (users, *_) = json.loads(run("discover", "people", "--json").stdout)
    assert (users["name"], users["primary_key"]) == ("users", [["id"]])


def test_read_prints_json_lines(run: Run) -> None:
    out = run("read", "sample", "users", "-n", "3", "-c", "count=10").stdout.splitlines()
    assert [json.loads(line)["id"] for line in out] == [1, 2, 3]
    assert len(run("read", "sample", "users", "-n", "0", "-c", "count=25").stdout.splitlines()) == 25


def test_read_tells_what_it_left_out(run: Run, project: Path) -> None:
    result = run("read", "feed", "items")
    assert len(result.stdout.splitlines()) == 2
    assert result.stderr == "left out: the name is null\n"


@pytest.mark.slow
def test_connectors_are_listed_with_what_they_are(run: Run) -> None:
    out = run("connectors", "list").stdout
    assert "Three records, of which one cannot be taken" in out
    assert "shelf" not in run("connectors", "list", "--kind", "source").stdout
    listed = json.loads(run("connectors", "list", "--json").stdout)
    assert {"kind": "source", "name": "feed", "status": "there", "from": "the package shelf_and_feed:Feed"} in [
        {key: item[key] for key in ("kind", "name", "status", "from")} for item in listed
    ]


def test_one_connector_is_shown_with_its_options(run: Run) -> None:
    out = run("connectors", "show", "feed").stdout
    assert out.startswith("source feed: Feed: Three records")
    assert "token (string, required, secret)" in out
    assert "network not declared, programs not declared\n" in out
    assert (
        "vector store, network by a driver, runs no programs, searchable\n"
        in run("connectors", "show", "milvus").stdout
    )


def test_version_says_what_a_bug_report_needs(run: Run) -> None:
    assert "kitestring" in run("version").stdout
    assert re.fullmatch(r"kitestring \d+\.\d+\.\d+\n", run("--version").stdout)
    assert set(json.loads(run("version", "--json").stdout)) == {"kitestring", "python", "system"}
