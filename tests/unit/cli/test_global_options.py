from __future__ import annotations

from pathlib import Path

import pytest

from kitestring.cli.command_line import global_options_first
from kitestring.cli.global_options import config_of, listed
from kitestring.errors import ConfigError
from kitestring.redact import Redactor


def test_a_configuration_is_json_file_or_pairs_and_later_ones_win(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.json").write_text('{"host": "one", "tls": {"verify": true, "ca": "x"}}')
    (tmp_path / "b.yaml").write_text("port: 5\nstart: 2024-01-01\n")
    monkeypatch.setenv("PASSWORD", "p=1")
    words = [f"@{tmp_path}/a.json", f"@{tmp_path}/b.yaml", '{"port": 6}', "tls.verify=false", "password=${PASSWORD}"]
    assert config_of(words) == {
        "host": "one",
        "port": 6,
        "start": "2024-01-01",
        "tls": {"verify": False, "ca": "x"},
        "password": "p=1",
    }


@pytest.mark.parametrize(
    ("value", "read"),
    [("5", 5), ("true", True), ('["a"]', ["a"]), ("a b", "a b"), ("", ""), ("007", "007"), ("a=b", "a=b")],
)
def test_the_value_of_a_pair_is_json_where_it_can_be(value: str, read: object) -> None:
    assert config_of([f"key={value}"]) == {"key": read}


@pytest.mark.parametrize("word", ["nothing", "=x", "{broken", "@/no/such/file.json"])
def test_what_is_no_configuration_is_refused_without_showing_it(word: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config_of([word])
    assert caught.value.hint


def test_a_file_that_holds_a_list_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[1]")
    with pytest.raises(ConfigError, match="should be an object, it is list"):
        config_of([f"@{tmp_path}/a.json"])


def test_lists_are_commas_or_repeated() -> None:
    assert listed(["a,b", " c ", ""]) == ["a", "b", "c"]
    assert listed(None) == []


def test_global_options_may_stand_anywhere_but_behind_two_dashes() -> None:
    assert global_options_first(["sync", "x", "--debug", "-p", "f.yaml"]) == ["--debug", "-p", "f.yaml", "sync", "x"]
    assert global_options_first(["search", "--project=f", "--", "--debug"]) == [
        "--project=f",
        "search",
        "--",
        "--debug",
    ]
    assert global_options_first(["airbyte", "manifest", "read", "--debug"]) == [
        "airbyte",
        "manifest",
        "read",
        "--debug",
    ]


def test_secrets_are_hidden_longest_first_also_inside_json() -> None:
    secrets = Redactor()
    secrets.hide(["pass", "password1", 'quo"te', "no"])
    assert secrets.text('password1 pass no "quo\\"te"') == '********** ********** no "**********"'
