"""`kitestring manifest`: a manifest is written, checked, tried and put in order without leaving the command line."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from kitestring.testing.stand_in import Answer, Call, StandIn, route

Run = Callable[..., Result]


class Zoo(StandIn):
    name = "zoo"

    @route("GET", "/v1/beasts")
    def beasts(self, call: Call) -> Any:
        if call.headers.get("authorization") != "Bearer sesame-open":
            return Answer(401, {"message": "who are you?"})
        number = int(call.param("page", "1"))
        return {
            "data": [
                {"id": 2 * number + single_number, "born": "2020-01-01"}
                for single_number in range(2 if number < 3 else 1)
            ]
        }


@pytest.fixture
def zoo() -> Iterator[Zoo]:
    with Zoo() as actual_zoo:
        yield actual_zoo


def new_manifest(run: Run, zoo: Zoo, *more: str) -> Result:
    url = f"{zoo.url}/v1/beasts?limit=2"
    return run("manifest", "new", "zoo", url, "--records", "data", "--auth", "bearer", "--paging", "page:page", *more)


def test_from_an_address_to_records_in_three_commands(run: Run, zoo: Zoo, folder: Path) -> None:
    result = new_manifest(run, zoo)
    assert result.exit_code == 0, result.output
    path = folder / "connectors" / "zoo.yaml"
    assert f"wrote {path}" in result.output
    assert "no mistakes found" in run("manifest", "validate", "connectors/zoo.yaml").output
    result = run("manifest", "test", "connectors/zoo.yaml", "-c", "api_token=sesame-open")
    assert result.exit_code == 0, result.output
    assert "beasts: 5 records" in result.output
    assert f"GET {zoo.url}/v1/beasts?page=1&limit=2 → 200" in result.output
    assert "sesame-open" not in result.output
    (folder / "kitestring.yaml").write_text("sources: {}\n")
    assert len(run("read", "zoo", "beasts", "-c", "api_token=sesame-open").output.splitlines()) == 5


def test_a_bundle_that_cannot_be_written_is_an_error_with_its_reason(run: Run, zoo: Zoo, folder: Path) -> None:
    new_manifest(run, zoo)
    (folder / "taken").write_text("a file")
    result = run("manifest", "bundle", "connectors/zoo.yaml", "-o", "taken/zoo.yaml")
    assert result.exit_code == 2
    assert "taken/zoo.yaml cannot be written: " in result.output
    assert run("manifest", "bundle", "connectors/zoo.yaml", "-o", "new/zoo.yaml").exit_code == 0
    assert (folder / "new" / "zoo.yaml").read_bytes() == (folder / "connectors" / "zoo.yaml").read_bytes()


def test_an_existing_file_is_not_overwritten(run: Run, zoo: Zoo, folder: Path) -> None:
    new_manifest(run, zoo)
    result = new_manifest(run, zoo)
    assert result.exit_code == 2
    assert "is there already" in result.output
    assert new_manifest(run, zoo, "-o", "other.yaml").exit_code == 0
    assert (folder / "other.yaml").read_text() == new_manifest(run, zoo, "-o", "-").output
    assert run("manifest", "new", "../zoo", f"{zoo.url}/x").exit_code == 2


def test_mistakes_are_told_as_editors_read_them(run: Run, zoo: Zoo, folder: Path) -> None:
    new_manifest(run, zoo)
    path = folder / "connectors" / "zoo.yaml"
    path.write_text(path.read_text().replace("DpathExtractor", "DpathExtracter"))
    result = run("manifest", "validate", "connectors/zoo.yaml")
    assert result.exit_code == 2
    assert (
        "connectors/zoo.yaml:34:20: DpathExtracter is not a known keyword; did you mean DpathExtractor?"
        in result.output
    )
    (answer,) = json.loads(run("manifest", "validate", "connectors/zoo.yaml", "--json").output)
    assert (answer["defects"][0]["line"], answer["defects"][0]["column"]) == (34, 20)


def test_a_refused_token_is_shown_with_its_answer_and_without_the_token(run: Run, zoo: Zoo) -> None:
    new_manifest(run, zoo)
    result = run("manifest", "test", "connectors/zoo.yaml", "beasts", "-c", "api_token=wrong-token")
    assert result.exit_code == 1
    assert "→ 401" in result.output
    assert "Error:" in result.output
    assert "wrong-token" not in result.output


def test_the_schema_and_the_whole_reading_come_as_json(run: Run, zoo: Zoo) -> None:
    new_manifest(run, zoo)
    arguments = ("manifest", "test", "connectors/zoo.yaml", "-c", "api_token=sesame-open")
    schema = json.loads(run(*arguments, "--schema").output)
    assert schema["properties"]["born"] == {"type": ["null", "string"], "format": "date"}
    reading = json.loads(run(*arguments, "--json", "--pages", "2").output)
    assert reading["limited"] == ["pages"]
    assert reading["slices"][0]["pages"][0]["exchange"]["headers"]["Authorization"] == "**********"


def test_formatting_changes_a_file_once_and_a_check_changes_none(run: Run, zoo: Zoo, folder: Path) -> None:
    path = folder / "messy.yaml"
    path.write_text("streams: []   # none yet\n\n\n\nversion: 1\n")
    result = run("manifest", "format", "messy.yaml", "--check")
    assert (result.exit_code, "would be changed" in result.output) == (1, True)
    assert run("manifest", "format", "messy.yaml").exit_code == 0
    assert path.read_text() == "version: 1\nstreams: []   # none yet\n"
    assert run("manifest", "format", "messy.yaml", "--check").exit_code == 0


@pytest.mark.slow
def test_a_resolved_manifest_is_printed_as_json(run: Run, zoo: Zoo) -> None:
    new_manifest(run, zoo)
    content = json.loads(run("manifest", "resolve", "connectors/zoo.yaml").output)
    assert content["streams"][0]["retriever"]["requester"]["url_base"] == zoo.url
    github = run("manifest", "resolve", "github")
    assert github.exit_code == 0
    assert run("manifest", "resolve", "sample").exit_code == 2
