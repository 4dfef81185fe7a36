from __future__ import annotations

import re
from pathlib import Path

import pytest

from kitestring.errors import ConfigError
from kitestring.home_folder import home
from kitestring.project import Project, expand
from kitestring.project_file import loosened, schema
from kitestring.yaml_lines import read_yaml

GOOD = """\
sources:
  people:
    connector: sample
    config: {count: "${COUNT:-7}", seed: 3}
destinations:
  shelf:
    connector: memory
connections:
  people_to_shelf:
    source: people
    destination: shelf
    prefix: in_
    streams:
      - users
      - name: products
        sync_mode: full_refresh
        primary_key: id
        fields: [id, name]
"""


def written(folder: Path, text: str, name: str = "kitestring.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def refused(folder: Path, text: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        Project.load(written(folder, text))
    assert caught.value.hint
    return caught.value


def test_a_project_gives_its_connections_as_selections(tmp_path: Path) -> None:
    connection = Project.load(written(tmp_path, GOOD)).connection("people_to_shelf")
    assert (connection.source, connection.destination, connection.prefix) == ("people", "shelf", "in_")
    assert connection.selections is not None
    first, second = connection.selections
    assert (first.name, first.sync_mode, first.fields) == ("users", None, None)
    assert (second.name, second.sync_mode, second.primary_key, second.fields) == (
        "products",
        "full_refresh",
        ["id"],
        ["id", "name"],
    )


def test_a_source_is_built_with_its_variables_filled_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = Project.load(written(tmp_path, GOOD))
    assert len(list(project.source("people").read("users"))) == 7
    monkeypatch.setenv("COUNT", "2")
    assert len(list(project.source("people").read("users"))) == 2


def test_a_connection_without_streams_takes_all(tmp_path: Path) -> None:
    text = GOOD.split("    prefix:")[0]
    assert Project.load(written(tmp_path, text)).connection("people_to_shelf").selections is None


def test_an_unknown_word_is_refused_with_its_line_and_the_nearest_known_one(tmp_path: Path) -> None:
    error = refused(tmp_path, GOOD.replace("    prefix: in_", "    prefxi: in_"))
    assert "kitestring.yaml:12: connections.people_to_shelf.prefxi" in error.message
    assert "did you mean prefix?" in error.message


@pytest.mark.parametrize(
    ("wrong", "line", "word"),
    [
        ("soruces: {}", 1, "sources"),
        ("sources:\n  a:\n    connector: sample\n    confg: {}", 4, "config"),
        (GOOD.replace("sync_mode", "sync_mod"), 16, "sync_mode"),
    ],
)
def test_the_nearest_word_is_of_the_same_place(tmp_path: Path, wrong: str, line: int, word: str) -> None:
    message = refused(tmp_path, wrong).message
    assert f"kitestring.yaml:{line}:" in message
    assert f"did you mean {word}?" in message


def test_a_missing_word_is_named_with_the_line_of_its_block(tmp_path: Path) -> None:
    message = refused(tmp_path, "sources:\n  people:\n    config: {}\n").message
    assert "kitestring.yaml:2: sources.people.connector is missing" in message


def test_a_wrong_type_is_named_with_its_line_and_not_its_value(tmp_path: Path) -> None:
    message = refused(tmp_path, GOOD.replace("prefix: in_", "max_rejects: -98765")).message
    assert "kitestring.yaml:12: connections.people_to_shelf.max_rejects" in message
    assert "98765" not in message


def test_several_mistakes_are_counted(tmp_path: Path) -> None:
    assert "(1 more)" in refused(tmp_path, "one: 1\ntwo: 2\n").message


def test_a_connection_to_a_source_that_is_not_there_is_refused_when_loading(tmp_path: Path) -> None:
    error = refused(tmp_path, GOOD.replace("source: people", "source: peple"))
    assert "kitestring.yaml:10: connection people_to_shelf names the source peple" in error.message
    assert "did you mean people?" in error.message


def test_an_unknown_name_asked_for_is_refused_with_what_there_is(tmp_path: Path) -> None:
    project = Project.load(written(tmp_path, GOOD))
    with pytest.raises(ConfigError, match="did you mean people_to_shelf"):
        project.connection("people_to_shel")
    with pytest.raises(ConfigError, match="has no source shelf"):
        project.source("shelf")


def test_yaml_that_cannot_be_read_names_the_line(tmp_path: Path) -> None:
    assert "kitestring.yaml:2 is not YAML" in refused(tmp_path, "sources:\n\tpeople: 1\n").message


def test_a_key_that_stands_twice_is_refused(tmp_path: Path) -> None:
    assert (
        "kitestring.yaml:3: the key a is repeated"
        in refused(tmp_path, "sources:\n  a: {connector: x}\n  a: {connector: y}\n").message
    )


def test_a_file_that_refers_to_itself_is_refused() -> None:
    with pytest.raises(ConfigError, match="refers to itself"):
        read_yaml("&a [*a]", "x.yaml")


@pytest.mark.parametrize(("character", "code"), [("\x1f", "U+001F"), ("\x99", "U+0099"), ("\x00", "U+0000")])
def test_a_control_character_is_refused_with_its_line(character: str, code: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"x.yaml:2: the character {code} is not allowed in YAML")):
        read_yaml(f"a: 1\nb: x{character}\n", "x.yaml")


def test_anchors_may_repeat_values_and_not_multiply_them_without_end() -> None:
    values, _ = read_yaml("a: &a {x: 1}\nb: [*a, *a]\n", "x.yaml")
    assert values["b"] == [{"x": 1}, {"x": 1}]
    levels = [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 10)]
    with pytest.raises(ConfigError, match=r"the anchors of x[.]yaml repeat more than 100,000 values"):
        read_yaml("\n".join(["l0: &l0 [x]", *levels]), "x.yaml")


def test_an_empty_file_is_an_empty_project(tmp_path: Path) -> None:
    assert not Project.load(written(tmp_path, "# nothing yet\n")).file.sources


def test_a_project_that_is_not_there_says_how_to_write_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        Project.load(tmp_path / "nowhere.yaml")
    assert "kitestring init" in caught.value.hint


def test_times_and_words_like_no_stay_text() -> None:
    values, _ = read_yaml("start: 2024-01-01\ncountry: no\nlive: true\ncount: 3\n", "x.yaml")
    assert values == {"start": "2024-01-01", "country": "no", "live": True, "count": 3}


def test_the_project_of_a_folder_above_is_found(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD)
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    located = Project.find(below)
    assert located is not None
    assert located.path == path
    assert Project.find(Path(tmp_path.anchor)) is None


def test_home_is_beside_the_project_file_unless_the_environment_says_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KITESTRING_HOME", raising=False)
    project = Project.load(written(tmp_path, GOOD))
    assert project.home == tmp_path / ".kitestring"
    assert home() == Path(".kitestring")
    monkeypatch.setenv("KITESTRING_HOME", str(tmp_path / "elsewhere"))
    assert project.home == home() == tmp_path / "elsewhere"


def test_variables_are_filled_in_wherever_text_stands() -> None:
    values = {"a": "x${ONE}y${TWO:-2}", "b": ["${ONE}", 5, None], "c": {"d": "$${ONE} $5 ${not closed"}}
    assert expand(values, {"ONE": "1"}, lambda path: "") == {
        "a": "x1y2",
        "b": ["1", 5, None],
        "c": {"d": "${ONE} $5 ${not closed"},
    }


def test_a_default_stands_in_for_an_empty_variable_and_may_hold_a_brace() -> None:
    assert expand("${ONE:-a\\}b}", {"ONE": ""}, lambda path: "") == "a}b"
    assert expand("[${ONE:-}]", {}, lambda path: "") == "[]"


def test_a_variable_that_is_not_set_is_named_with_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COUNT", raising=False)
    project = Project.load(written(tmp_path, GOOD.replace("${COUNT:-7}", "${COUNT}")))
    with pytest.raises(ConfigError) as caught:
        project.source("people")
    assert "kitestring.yaml:4: the environment variable COUNT is not set" in caught.value.message


def test_all_variables_that_are_not_set_are_named_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("A_ONE", "B_TWO", "C_THREE", "SET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SET", "7")
    text = GOOD.replace('"${COUNT:-7}", seed: 3', '"${A_ONE}${SET}${B_TWO}${A_ONE}", seed: "${C_THREE}"')
    with pytest.raises(ConfigError) as caught:
        Project.load(written(tmp_path, text)).source("people")
    assert "3 environment variables are not set: A_ONE (" in caught.value.message
    assert "B_TWO (" in caught.value.message
    assert "kitestring.yaml:4" in caught.value.message
    assert caught.value.fields["variables"] == ["A_ONE", "B_TWO", "C_THREE"]


def test_a_manifest_is_looked_for_beside_the_project_file(tmp_path: Path) -> None:
    project = Project.load(written(tmp_path, GOOD.replace("connector: sample", "connector: mine/m.yaml")))
    assert project.config("source", "people")[0] == str(tmp_path / "mine" / "m.yaml")


@pytest.mark.slow
def test_the_schema_knows_every_connector_and_its_options() -> None:
    entry = schema()["properties"]["sources"]["additionalProperties"]
    assert "sample" in entry["properties"]["connector"]["examples"]
    forms = {
        rule["if"]["properties"]["connector"]["const"]: rule["then"]["properties"]["config"] for rule in entry["allOf"]
    }
    assert "count" in forms["sample"]["properties"]


def test_the_schema_lets_a_variable_stand_for_a_number() -> None:
    form = loosened({"type": "object", "properties": {"port": {"type": "integer", "title": "Port", "order": 1}}})
    port = form["properties"]["port"]
    assert port["title"] == "Port"
    assert port["anyOf"] == [{"type": "integer"}, {"type": "string", "pattern": r"^\$\{.+\}$"}]
