"""The configuration of a foreign program: its secrets, its changes, and settings that are wrong."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Any

import pytest
from foreign_runs import ACTOR, catalog, error_of, failure, good, run, source

from kitestring.airbyte.source import AirbyteSource
from kitestring.errors import ConfigError, ConnectorError, KitestringError

pytestmark = pytest.mark.slow


def test_secrets_stand_in_files_of_this_user_alone_and_only_while_it_runs(tmp_path: Path) -> None:
    single_source = source(good("a"), "a", config={"notes": str(tmp_path), "api_key": "s3cret-value"})
    assert run(single_source)[0].ok
    called = json.loads((tmp_path / "read.json").read_text())
    assert "s3cret-value" not in " ".join(called["arguments"])
    for file in called["files"].values():
        assert file["mode"] == "0o600"
        assert not Path(file["path"]).parent.parent.exists()


def test_secrets_stay_out_of_errors_logs_and_repr(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "kitestring")
    actions = [
        {"say": {"type": "LOG", "log": {"level": "INFO", "message": "using s3cret-value"}}},
        {"raw": "token=s3cret-value\n"},
        {"error": "trying s3cret-value"},
        failure("config_error", message="s3cret-value was refused"),
        {"exit": 1},
    ]
    result, _ = run(source(actions, "a", config={"credentials": {"access_token": "s3cret-value"}}))
    displayed = " ".join(
        [*map(str, (record.__dict__ for record in caplog.records)), str(error_of(result)), str(result.as_dict())]
    )
    assert "was refused" in displayed
    assert "s3cret-value" not in displayed
    import kitestring as ks

    handle = ks.source(
        "airbyte", {"command": ACTOR, "config": {"credentials": {"access_token": "s3cret-value"}, "n": 1000}}
    )
    assert "s3cret-value" not in repr(handle)
    assert handle.secrets() == ["s3cret-value"]


def control(config: dict[str, Any]) -> dict[str, Any]:
    body = {"type": "CONNECTOR_CONFIG", "emitted_at": 1, "connectorConfig": {"config": config}}
    return {"say": {"type": "CONTROL", "control": body}}


def test_a_configuration_that_the_connector_changed_is_kept_in_its_file(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    own: dict[str, Any] = {"discover": [{"say": catalog("a")}], "refresh_token": "one"}
    changed = {**own, "refresh_token": "two", "read": good("a"), "notes": str(tmp_path)}
    file.write_text(json.dumps({**own, "read": [control(changed), *good("a")]}))
    settings = {"command": ACTOR, "config_file": str(file)}
    assert run(AirbyteSource.load(settings))[0].ok
    assert json.loads(file.read_text()) == changed
    assert oct(file.stat().st_mode & 0o777) == "0o600"
    assert run(AirbyteSource.load(settings))[0].ok
    called = json.loads((tmp_path / "read.json").read_text())["files"]["--config"]["content"]
    assert called["refresh_token"] == "two"


def test_a_changed_configuration_that_stood_in_the_project_is_kept_beside_the_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KITESTRING_HOME", str(tmp_path))
    first = {"config": {"refresh_token": "one", "check": [control({"refresh_token": "two", "check": [{"exit": 4}]})]}}
    with pytest.raises(ConnectorError):
        source([], **first).check()
    second = source([], **first)
    assert second.configuration()["refresh_token"] == "two"
    with pytest.raises(ConnectorError, match="exit code 4"):
        second.check()
    other = source([], config={**first["config"], "refresh_token": "three"})
    assert other.configuration()["refresh_token"] == "three"


def test_a_changed_configuration_is_given_to_whoever_asked_for_it() -> None:
    messages: list[dict[str, Any]] = []
    single_source = source([], config={"check": [control({"refresh_token": "two"})]})
    single_source.on_config(messages.append)
    with pytest.raises(ConnectorError):
        single_source.check()
    assert messages == [{"refresh_token": "two"}]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({}, "none is given"),
        ({"path": "x", "image": "y"}, "path and image are given"),
        ({"path": "x", "config": {"a": 1}, "config_file": "y"}, "config and config_file are both given"),
        ({"pakage": "x"}, "did you mean package"),
    ],
)
def test_settings_that_name_no_program_are_refused(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        AirbyteSource.load(settings)


def test_a_program_that_is_not_there_is_a_matter_of_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no executable program"):
        AirbyteSource.load({"path": str(tmp_path / "none")}).check()


def test_old_and_new_secrets_are_hidden_after_a_change(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "kitestring")
    output = {"say": {"type": "LOG", "log": {"level": "INFO", "message": "from first-token to second-token"}}}
    config = {"refresh_token": "first-token", "check": [control({"refresh_token": "second-token"}), output]}
    single_source = source([], config=config)
    single_source.on_config(lambda changed: None)
    with pytest.raises(ConnectorError):
        single_source.check()
    assert "from ********** to **********" in [record.getMessage() for record in caplog.records]


def test_a_foreign_program_sees_nothing_that_a_server_lives_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SECRET_KEY", "DATABASE_URL", "SMTP_URL", "CONFIG_OTHER"):
        monkeypatch.setenv(f"KITESTRING_{name}", "canary")
    monkeypatch.setenv("VAULT_TOKEN", "canary")
    monkeypatch.setenv("PLAIN", "seen")
    output = tmp_path / "environment.json"
    code = f"import json, os; json.dump(dict(os.environ), open({str(output)!r}, 'w'))"
    airbyte_source = AirbyteSource.load({"command": [sys.executable, "-I", "-c", code], "config": {}})
    with pytest.raises(KitestringError):
        airbyte_source.check()  # it says nothing of Airbyte's protocol
    seen = json.loads(output.read_text())
    assert seen["PLAIN"] == "seen"
    assert "canary" not in seen.values()
