"""Configuration as code: plan, apply, export, and the same again on an empty server."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from kitestring.cli.command_line import app

SECRET = "a secret of the shop"
FILE = """\
sources:
  people:
    connector: sample
    config: {count: 12}
  shop:
    connector: postgres
    config: {host: db.example, password: "${SHOP_PASSWORD}"}
  countries:
    connector: ./countries.yaml
    config: {base_url: "http://127.0.0.1:9"}
destinations:
  lake:
    connector: files
    config: {path: out, format: jsonl}
connections:
  people to lake:
    source: people
    destination: lake
    streams: [users, {name: purchases, sync_mode: full_refresh, write_mode: overwrite}]
    schedule: every 6 hours
    prefix: raw_
notifications:
  failure: {webhook: "${SHOP_PASSWORD}", email: [ops@example.com]}
  success: {apprise: ["${env:KITESTRING_CONFIG_CHAT}"]}
"""
MANIFEST = """\
type: DeclarativeSource
version: 6.0.0
check: {type: CheckStream, stream_names: [countries]}
streams:
  - type: DeclarativeStream
    name: countries
    retriever:
      type: SimpleRetriever
      requester: {type: HttpRequester, url_base: "{{ config['base_url'] }}", path: /countries}
      record_selector: {type: RecordSelector, extractor: {type: DpathExtractor, field_path: [data]}}
spec:
  type: Spec
  connection_specification:
    type: object
    required: [base_url]
    properties: {base_url: {type: string}}
"""


class Folder:
    """A project's folder, with commands run in it, in this process: one that starts for each would cost two seconds."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)

    def write(self, text: str) -> None:
        (self.path / "kitestring.yaml").write_text(text)
        (self.path / "countries.yaml").write_text(MANIFEST)

    def run(self, *words: str, code: int = 0, secret: str = SECRET, home: str = "home") -> str:
        environment = {
            "KITESTRING_HOME": str(self.path / home),
            "KITESTRING_SERVER": None,
            "SHOP_PASSWORD": secret,
            "NOTIFY_FAILURE_WEBHOOK": "https://hooks.example.com/x",
        }
        with contextlib.chdir(self.path):
            result = CliRunner().invoke(app, list(words), env=environment, prog_name="kitestring")
        output = result.output
        assert result.exit_code == code, f"{result.exit_code} {result.exception!r}\n{output[-4000:]}"
        assert SECRET not in output
        return output


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    created_folder = Folder(tmp_path / "project")
    created_folder.write(FILE)
    return created_folder


def test_a_plan_is_shown_applied_changed_pruned_and_exported_to_an_empty_server(folder: Folder) -> None:
    output = folder.run("plan", code=4)
    for value in (
        "+ source people",
        "+ source shop",
        "+ destination lake",
        "+ connection people to lake",
        "+ notification failure",
    ):
        assert value in output
    assert "**********" in output
    folder.run("apply")
    assert "Nothing to change" in folder.run("plan")

    # Another secret is a change that is seen and not shown; so is another schedule.
    assert "password: another secret" in folder.run("plan", code=4, secret="another one")
    folder.write(FILE.replace("every 6 hours", '"30 6 * * 1-5 Europe/Berlin"').replace("count: 12", "count: 13"))
    output = folder.run("plan", code=4)
    assert "config" not in output
    assert "count: 12 → 13" in output
    assert "schedule.expression" in output
    folder.run("apply")
    assert "Nothing to change" in folder.run("plan")

    # From here to a file, and from the file to an empty server, which is then as the file says.
    text = folder.run("export")
    exported = yaml.safe_load(text)
    assert exported["sources"]["shop"]["config"]["password"] == "${SHOP_PASSWORD}"
    assert exported["notifications"] == {
        "failure": {"webhook": "${NOTIFY_FAILURE_WEBHOOK}", "email": ["ops@example.com"]},
        "success": {"apprise": ["${env:KITESTRING_CONFIG_CHAT}"]},
    }
    assert exported["connections"]["people to lake"]["schedule"]["expression"] == "30 6 * * 1-5"
    other = Folder(folder.path.parent / "other")
    folder.run("export", str(other.path / "kitestring.yaml"))
    assert (other.path / "connectors" / "countries.yaml").exists()
    other.run("apply")
    assert "Nothing to change" in other.run("plan")

    # An event that the file does not name stays as it is; one that it names as nothing is told to nobody.
    folder.write(FILE[: FILE.index("notifications:")] + "notifications: {success: {}}\n")
    assert "~ notification success" in folder.run("apply")
    assert list(yaml.safe_load(folder.run("export"))["notifications"]) == ["failure"]

    # What the file made and no longer holds goes only with --prune, and after a yes.
    lines = FILE.replace("every 6 hours", "manual").splitlines(keepends=True)
    folder.write(
        "".join(line for line in lines if "shop" not in line and "SHOP" not in line and "postgres" not in line)
    )
    folder.run("apply")
    assert "shop" in folder.run("export")
    assert "- source shop" in folder.run("plan", "--prune", code=4)
    assert "Add --yes" in folder.run("apply", "--prune", code=2)
    folder.run("apply", "--prune", "--yes")
    assert "shop" not in folder.run("export")


def test_a_file_that_cannot_be_is_told_and_changes_nothing(folder: Folder) -> None:
    folder.write(FILE.replace("[users,", "[usres,"))
    output = folder.run("apply", code=2)
    assert "did you mean users" in output
    folder.write(FILE.replace("every 6 hours", "every 6 moons"))
    assert "moons" in folder.run("plan", code=2)
    folder.write(FILE.replace("connector: sample", "connector: smaple"))
    assert "did you mean sample" in folder.run("plan", code=2)


def test_json_is_for_programs(folder: Folder) -> None:
    changes = json.loads(folder.run("plan", "--json", code=4))["changes"]
    assert {change["action"] for change in changes} == {"create"}
    folder.run("apply", "--json")
    assert json.loads(folder.run("plan", "--json"))["changes"] == []


def test_states_move_from_a_folder_to_a_server_and_on_to_another(folder: Folder) -> None:
    folder.run("sync", "people to lake")
    output = folder.run("state", "export")
    states = json.loads(output[output.index("{") :])
    assert set(states) == {"people to lake"}
    assert states["people to lake"]["users"]
    (folder.path / "states.json").write_text(json.dumps(states))

    # They come with the connection that they belong to, shown before, and once.
    assert "+ state people to lake" in folder.run("plan", "--states", "states.json", code=4, home="server")
    folder.run("apply", "--states", "states.json", home="server")
    assert "Nothing to change" in folder.run("plan", "--states", "states.json", home="server")
    assert "Nothing to change" in folder.run("plan", home="server")
    folder.run("export", "all.yaml", "--states", "all.json", home="server")
    assert json.loads((folder.path / "all.json").read_text()) == states
    assert "is there already" in folder.run("export", "more.yaml", "--states", "all.json", code=2, home="server")

    # A connection that the file names has these states afterwards and no others.
    (folder.path / "states.json").write_text(json.dumps({"people to lake": {}}))
    assert "users" in folder.run("apply", "--states", "states.json", home="server")
    folder.run("export", "none.yaml", "--states", "none.json", home="server")
    assert json.loads((folder.path / "none.json").read_text()) == {}

    for wrong, fact in (
        ({"people to lake": {"usres": {"a": 1}}}, "no stream usres"),
        ({"people": {}}, "which the file does not have"),
        ({"people to lake": {"users": 1}}, "something other than states"),
    ):
        (folder.path / "states.json").write_text(json.dumps(wrong))
        assert fact in folder.run("apply", "--states", "states.json", code=2, home="server")
