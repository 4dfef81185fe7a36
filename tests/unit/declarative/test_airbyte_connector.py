"""A manifest as an Airbyte connector: messages on standard output."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from loopback import Api, cursor, manifest, stream

from kitestring.airbyte.manifest_command import main
from kitestring.airbyte.messages import configured_streams, line, states_by_stream
from kitestring.errors import ConfigError


@pytest.fixture
def run(api: Api, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> Any:
    """`run(command, manifest, config=…, catalog=…, state=…)` is the exit code and the messages."""

    def call(command: str, values: Any, **files: Any) -> tuple[int, list[Any]]:
        path = tmp_path / "manifest.yaml"
        path.write_text(yaml.safe_dump(values))
        arguments = [command, "--manifest-path", str(path)]
        if command != "spec":
            files.setdefault("config", {})
        for name, content in files.items():
            file = tmp_path / f"{name}.json"
            file.write_text(content if isinstance(content, str) else json.dumps(content))
            arguments += [f"--{name}", str(file)]
        code = main(arguments)
        return code, [json.loads(text) for text in capfdbinary.readouterr().out.splitlines()]

    return call


def selected(name: str = "things", mode: str = "full_refresh", **more: Any) -> dict[str, Any]:
    item = {"name": name, "json_schema": {}, "supported_sync_modes": ["full_refresh", "incremental"], **more}
    return {"streams": [{"stream": item, "sync_mode": mode, "destination_sync_mode": "append"}]}


def of(messages: list[Any], kind: str) -> list[Any]:
    return [message[kind.lower()] for message in messages if message["type"] == kind]


def test_spec_gives_the_form(run: Any) -> None:
    form = {"type": "object", "properties": {"a": {"type": "string"}}}
    oauth = {"type": "AuthFlow", "auth_flow_type": "oauth2.0"}
    spec = {"type": "Spec", "connection_specification": form, "documentation_url": "https://x", "advanced_auth": oauth}
    code, messages = run("spec", manifest(spec=spec))
    (result,) = of(messages, "SPEC")
    assert code == 0
    assert result["connectionSpecification"] == form
    assert result["documentationUrl"] == "https://x"
    assert result["advanced_auth"] == {"auth_flow_type": "oauth2.0"}


def test_check_says_yes_or_why_not(run: Any, api: Api) -> None:
    api.answers["/things"] = {"data": []}
    assert run("check", manifest(stream(url=api.url)))[1][-1]["connectionStatus"] == {"status": "SUCCEEDED"}
    api.answers["/things"] = (401, {"message": "bad token"})
    code, messages = run("check", manifest(stream(url=api.url)))
    assert (code, messages[-1]["connectionStatus"]["status"]) == (0, "FAILED")
    assert "bad token" in messages[-1]["connectionStatus"]["message"]


def test_discover_gives_the_catalog(run: Any) -> None:
    _, messages = run("discover", manifest(stream(url="http://x", incremental_sync=cursor())))
    assert of(messages, "CATALOG")[0]["streams"] == [
        {
            "name": "things",
            "json_schema": {},
            "supported_sync_modes": ["full_refresh", "incremental"],
            "is_resumable": True,
            "source_defined_cursor": True,
            "default_cursor_field": ["updated_at"],
            "source_defined_primary_key": [["id"]],
        }
    ]


def test_read_gives_records_states_and_statuses(run: Any, api: Api) -> None:
    big = 2**70
    api.answers["/things"] = {"data": [{"id": 1, "updated_at": "2024-02-01T00:00:00Z", "none": None}, "text"]}
    code, messages = run("read", manifest(stream(url=api.url, incremental_sync=cursor())), catalog=selected())
    assert code == 0
    (record,) = of(messages, "RECORD")
    assert (record["stream"], record["data"]) == ("things", {"id": 1, "updated_at": "2024-02-01T00:00:00Z"})
    assert record["emitted_at"] > 1_700_000_000_000
    assert of(messages, "STATE")[-1] == {
        "type": "STREAM",
        "stream": {"stream_descriptor": {"name": "things"}, "stream_state": {"updated_at": "2024-02-01T00:00:00Z"}},
    }
    statuses = [trace["stream_status"]["status"] for trace in of(messages, "TRACE")]
    assert statuses == ["STARTED", "RUNNING", "COMPLETE"]
    assert "where a record" in of(messages, "LOG")[0]["message"]
    assert json.loads(line({"n": big})) == {"n": big}


def test_read_goes_on_from_a_state_when_incremental(run: Any, api: Api) -> None:
    api.answers["/things"] = {"data": []}
    option = {"type": "RequestOption", "inject_into": "request_parameter", "field_name": "since"}
    values = manifest(stream(url=api.url, incremental_sync=cursor(start_time_option=option)))
    saved = [
        {
            "type": "STREAM",
            "stream": {"stream_descriptor": {"name": "things"}, "stream_state": {"updated_at": "2024-02-02T00:00:00Z"}},
        }
    ]
    run("read", values, catalog=selected(mode="incremental"), state=saved)
    run("read", values, catalog=selected(), state=saved)
    assert [call.query["since"] for call in api.calls] == ["2024-02-02T00:00:00Z", "2024-01-01T00:00:00Z"]


def test_a_stream_without_a_cursor_says_that_it_has_no_state(run: Any, api: Api) -> None:
    api.answers["/things"] = {"data": []}
    _, messages = run("read", manifest(stream(url=api.url)), catalog=selected())
    assert of(messages, "STATE")[0]["stream"]["stream_state"] == {"__ab_no_cursor_state_message": True}


def test_a_stream_that_fails_stops_no_other(run: Any, api: Api) -> None:
    api.answers.update({"/things": (403, {"message": "not yours"}), "/parts": {"data": [{"id": 1}]}})
    catalog = {"streams": [*selected()["streams"], *selected("parts")["streams"]]}
    code, messages = run(
        "read", manifest(stream(url=api.url), stream("parts", url=api.url, path="/parts")), catalog=catalog
    )
    assert code == 1
    assert len(of(messages, "RECORD")) == 1
    error = next(trace["error"] for trace in of(messages, "TRACE") if trace["type"] == "ERROR")
    assert error["failure_type"] == "config_error"
    assert "not yours" in error["message"]


@pytest.mark.parametrize(
    ("files", "fact"),
    [
        ({"config": "{"}, "is not JSON"),
        ({"config": []}, "is not an object"),
        ({"catalog": {"nothing": 1}}, "no list of streams"),
        ({"catalog": {"streams": [{"stream": {}}]}}, "stream 0 cannot be understood"),
        ({"catalog": selected(), "state": 5}, "a saved state is not an object"),
    ],
)
def test_a_wrong_file_is_told(run: Any, files: Any, fact: str) -> None:
    code, messages = run("read", manifest(stream(url="http://x")), **{"catalog": selected(), **files})
    assert code == 1
    assert fact in of(messages, "TRACE")[-1]["error"]["message"]


def test_a_changed_configuration_is_told_and_kept(run: Any, api: Api, tmp_path: Path) -> None:
    rules = {
        "config_migrations": [
            {
                "type": "ConfigMigration",
                "transformations": [{"type": "ConfigRemoveFields", "field_pointers": [["old"]]}],
            }
        ]
    }
    spec = {"type": "Spec", "connection_specification": {"type": "object"}, "config_normalization_rules": rules}
    api.answers["/things"] = {"data": []}
    _, messages = run("check", manifest(stream(url=api.url), spec=spec), config={"old": 1, "new": 2})
    assert of(messages, "CONTROL")[0]["connectorConfig"]["config"] == {"new": 2}
    assert json.loads((tmp_path / "config.json").read_text()) == {"new": 2}


def test_a_file_that_is_not_there_is_told(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["spec", "--manifest-path", "/nowhere/manifest.yaml"]) == 1
    assert main(["check", "--manifest-path", "/nowhere/manifest.yaml", "--config", "/nowhere/config.json"]) == 0
    assert b"cannot be read" in capfdbinary.readouterr().out


def test_states_are_found_in_every_form_of_the_protocol() -> None:
    stream_state = {"stream": {"stream_descriptor": {"name": "a", "namespace": "n"}, "stream_state": {"x": 1}}}
    assert states_by_stream([{"type": "STATE", "state": {"type": "STREAM", **stream_state}}]) == {("n", "a"): {"x": 1}}
    whole = {"type": "GLOBAL", "global": {"stream_states": [stream_state["stream"]]}}
    assert states_by_stream([whole]) == {("n", "a"): {"x": 1}}
    assert states_by_stream({"data": {"a": {"x": 1}}}) == {(None, "a"): {"x": 1}}
    assert states_by_stream({"a": {"x": 1}}) == {(None, "a"): {"x": 1}}


def test_a_configured_catalog_becomes_streams() -> None:
    (result,) = configured_streams(
        selected(namespace="n", source_defined_primary_key=[["id"]], default_cursor_field=["u"])
    )
    assert (result.key, result.primary_key, result.cursor) == ("n.things", (("id",),), ("u",))
    with pytest.raises(ConfigError):
        configured_streams({"streams": [{"stream": {"name": "a"}, "sync_mode": "sometimes"}]})


@pytest.mark.parametrize(
    "program", [["-m", "kitestring.airbyte.manifest_command"], ["-m", "kitestring", "airbyte", "manifest"]]
)
def test_the_form_of_a_manifest_is_told_without_loading_what_reads_it(tmp_path: Path, program: list[str]) -> None:
    path = tmp_path / "manifest.yaml"
    path.write_text(yaml.safe_dump(manifest(spec={"type": "Spec", "connection_specification": {"type": "object"}})))
    command = [sys.executable, "-X", "importtime", *program, "spec", "--manifest-path", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    imported = {text.rpartition("|")[2].strip().partition(".")[0] for text in done.stderr.splitlines()}
    assert json.loads(done.stdout)["type"] == "SPEC"
    assert "yaml" in imported
    assert not imported & {"pydantic", "jinja2", "urllib3", "typer", "rich", "pyarrow", "numpy"}
