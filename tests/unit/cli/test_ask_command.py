from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from stand_ins.language_model import KEY, LanguageModelStandIn
from typer.testing import Result

Run = Callable[..., Result]


@pytest.fixture
def synced(run: Run, project: Path) -> Run:
    assert run("sync", "people_to_shelf", "-s", "users").exit_code == 0
    return run


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Iterator[LanguageModelStandIn]:
    with LanguageModelStandIn("Ana Abe [1], and nobody else [8].") as stand_in:
        for name, value in {"URL": f"{stand_in.url}/v1", "MODEL": "small", "KEY": KEY}.items():
            monkeypatch.setenv(f"KITESTRING_ANSWER_{name}", value)
        yield stand_in


def test_an_answer_is_printed_with_its_sources_and_notes(synced: Run, model: LanguageModelStandIn) -> None:
    result = synced("ask", "shelf", "Ana", "--stream", "users")
    assert result.exit_code == 0, result.output
    text, _, rest = result.stdout.partition("\n")
    assert text == "Ana Abe [1], and nobody else."
    assert "[1]" in rest
    assert "Note: small cited passages that do not exist (8)" in rest
    assert "1,000 tokens read, 100 written" in rest


def test_a_terminal_gets_no_control_characters_of_an_answer(synced: Run, model: LanguageModelStandIn) -> None:
    model.answer_text = "Ana\x1b]0;root\x07 Abe [1]."
    assert synced("ask", "shelf", "Ana").stdout.startswith("Ana\ufffd]0;root\ufffd Abe [1].")


def test_a_whole_answer_as_json(synced: Run, model: LanguageModelStandIn) -> None:
    answer = json.loads(synced("ask", "Ana", "--json").stdout)
    assert (answer["text"], answer["citations"], answer["model"]) == ("Ana Abe [1], and nobody else.", [1], "small")


def test_an_answer_that_breaks_off_fails_and_shows_nothing_as_json(synced: Run, model: LanguageModelStandIn) -> None:
    model.parts = 4
    result = synced("ask", "Ana", "--json")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "broke off" in result.stderr


def test_a_conversation_goes_on_until_an_empty_line(synced: Run, model: LanguageModelStandIn) -> None:
    result = synced("ask", "Ana", "--chat", input="Abe\n\n")
    assert result.exit_code == 0, result.output
    assert result.stdout.count("Ana Abe [1]") == 2
    assert [message["content"] for message in model.requests[-1].json()["messages"]][1] == "Ana"


def test_a_destination_that_compares_no_texts_needs_a_model(synced: Run) -> None:
    result = synced("ask", "Ana", "--no-model")
    assert result.exit_code == 2
    assert "cannot compare texts" in result.stderr


def test_similar_records_are_listed(synced: Run) -> None:
    lines = synced("similar", "shelf", "Ana", "--json").stdout.splitlines()
    assert json.loads(lines[0])["score"] == 1.0
    assert "1. 1.00" in synced("similar", "Ana").stdout


@pytest.mark.parametrize("words", [[], ["a", "b", "c"], ["--record", "users"], ["a", "b", "--record", "users:1"]])
def test_similar_needs_one_text_or_records(synced: Run, words: list[str]) -> None:
    assert synced("similar", *words).exit_code == 2
