from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import Result

from kitestring.cli.search import filter_of, hit_lines

Run = Callable[..., Result]


@pytest.fixture
def synced(run: Run, project: Path) -> Run:
    assert run("sync", "people_to_shelf", "-s", "users").exit_code == 0
    return run


@pytest.mark.parametrize("where", [[], ["people_to_shelf"], ["shelf"]])
def test_a_search_finds_by_connection_destination_or_the_only_one(synced: Run, where: list[str]) -> None:
    result = synced("search", *where, "Ana")
    assert result.exit_code == 0, result.output
    assert "1. 0.250  users" in result.stdout
    assert "Ana Abe" in result.stdout


def test_hits_as_json_are_one_object_a_line(synced: Run) -> None:
    (hit,) = synced("search", "Ana", "--json", "--where", "status=new", "--where", "status=open").stdout.splitlines()
    assert json.loads(hit)["asked"] == {"status": ["new", "open"]}


def test_a_search_by_flags_needs_no_project(synced: Run, project: Path) -> None:
    project.unlink()
    words = ["--destination", "shelf", "--destination-config", "folder=out"]
    assert "Ana Abe" in synced("search", "Ana", *words).stdout
    assert synced("search", "Ana").exit_code == 2


def test_nothing_found_is_said(synced: Run) -> None:
    assert synced("search", "no such name").stdout == "Nothing was found.\n"


def test_an_unknown_place_is_refused_with_the_nearest(synced: Run) -> None:
    result = synced("search", "shelv", "Ana")
    assert result.exit_code == 2
    assert "did you mean shelf?" in result.stderr


def test_a_project_with_nothing_to_search_says_where_to_sync(synced: Run, project: Path) -> None:
    project.write_text(re.sub("connector: shelf.*", "connector: files", project.read_text()))
    result = synced("search", "Ana")
    assert result.exit_code == 2
    assert "no destination that can be searched by meaning" in result.stderr
    assert "Sync into a vector store" in result.stderr


def test_three_words_are_a_usage_error_that_asks_for_quotes(synced: Run) -> None:
    result = synced("search", "shelf", "late", "parcel")
    assert result.exit_code == 2
    assert "quotes" in result.stderr


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], None),
        (["id=7", "status=new"], {"id": 7, "status": "new"}),
        (["a=1", "a=2", "a=3"], {"a": [1, 2, 3]}),
        (['{"a": [1], "b": "x"}', "a=2"], {"a": [1, 2], "b": "x"}),
        (['status == "new"'], 'status == "new"'),
        (['a=="x"'], 'a=="x"'),
        (["note=a == b"], {"note": "a == b"}),
    ],
)
def test_filters_are_pairs_or_the_language_of_the_store(words: list[str], expected: object) -> None:
    assert filter_of(words) == expected


def test_a_filter_text_stands_alone() -> None:
    with pytest.raises(typer.BadParameter, match="must be the only condition"):
        filter_of(['a == "x"', "b=1"])


def test_a_hit_shows_title_text_and_link() -> None:
    displayed = hit_lines(
        2,
        {
            "id": "k:0",
            "distance": 0.5,
            "stream": "articles",
            "title": "Refunds",
            "text": "word " * 100,
            "html_url": "u",
        },
    )
    head, text, link = re.sub(r"\x1b\[\d*m", "", displayed).splitlines()
    assert head == " 2. 0.500  articles  Refunds"
    assert len(text.strip()) <= 240
    assert text.endswith("…")
    assert link.strip() == "u"


@pytest.mark.parametrize("field", ["subject", "summary", "topic_title", "properties.subject", "source.subject"])
def test_a_hit_is_named_by_the_title_that_its_source_has(field: str) -> None:
    head, link = hit_lines(
        1, {"id": "f3a9:0", field: "Late parcel", "stream": "things", "web_url": "https://x"}
    ).splitlines()
    assert "Late parcel" in head
    assert "f3a9" not in head
    assert "https://x" in link


@pytest.mark.parametrize("permission", ["", " ", "null", "{}"])
def test_an_empty_permission_shows_nothing(synced: Run, permission: str) -> None:
    result = synced("search", "shelf", "Ana", "--permission", permission)
    assert result.exit_code == 2
    assert "Ana Abe" not in result.stdout


def test_a_terminal_gets_no_control_characters_of_a_record() -> None:
    hostile = "pay\x1b]0;root\x07 here\x9b2J\ttab\u200d"
    text = hit_lines(1, {"id": "1", "subject": hostile, "text": f"{hostile} now", "stream": hostile, "url": hostile})
    assert not any(sign in text for sign in ("\x1b]", "\x07", "\x9b"))
    assert "pay\ufffd]0;root\ufffd here" in text
