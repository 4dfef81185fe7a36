from __future__ import annotations

import pytest

from kitestring.cli.display import figure_lines, summary
from kitestring.cli.exit_codes import code_of, code_of_result, worst
from kitestring.cli.output import money, size, span
from kitestring.engine import Progress, Result, Status, StreamProgress, StreamResult
from kitestring.errors import AuthError, Cancelled, ConfigError, ConnectorError, TransientError
from kitestring.redact import Redactor


def ended(**figures: object) -> Result:
    return Result("helpdesk", {"tickets": StreamResult("tickets", **figures)}, seconds=2.5)  # type: ignore[arg-type]


def test_the_summary_has_the_numbers_that_add_up(capsys: pytest.CaptureFixture[str]) -> None:
    summary(ended(read=1234, written=1000, unchanged=200, deleted=30, rejected=4), Redactor())
    out = capsys.readouterr().out
    assert out.split("tickets")[1].split()[:6] == ["succeeded", "1,234", "1,000", "200", "30", "4"]
    assert "Superseded" not in out
    assert out.endswith("helpdesk: succeeded in 2.5 s\n")
    summary(ended(read=3, written=2, superseded=1), Redactor())
    assert "Superseded" in capsys.readouterr().out


def test_what_is_suspicious_or_wrong_is_said_with_the_next_action(capsys: pytest.CaptureFixture[str]) -> None:
    error = ConfigError("the key s3cret was refused", hint="Make\nanother.")
    secrets = Redactor()
    secrets.hide(["s3cret"])
    result = ended(status=Status.failed, error=error, suspicions=["5 were written, the destination counts 4"])
    summary(result, secrets)
    lines = capsys.readouterr().out.splitlines()
    assert "Suspicious: tickets: 5 were written, the destination counts 4" in lines
    assert "Error: tickets: the key ********** was refused" in lines
    assert "Hint:  Make another." in lines


def test_the_bill_is_a_sentence_and_keeps_what_it_does_not_know() -> None:
    figures = {
        "chunks_embedded": 5.0,
        "chunks_reused": 1200.0,
        "tokens": 310.0,
        "cost_usd": 0.00042,
        "rows_merged": 7.0,
    }
    assert figure_lines(figures) == ["Chunks: 5 embedded, 1,200 reused; 310 tokens; $0.0004", "Rows merged: 7"]
    assert figure_lines({}) == []


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""),
        (0.04, "0.0 s"),
        (9.9, "9.9 s"),
        (59.7, "1 min"),
        (200, "3 min 20 s"),
        (7500, "2 h 5 min"),
        (-3, "-3.0 s"),
    ],
)
def test_spans_are_short(seconds: float | None, text: str) -> None:
    assert span(seconds) == text


def test_sizes_and_sums_are_short() -> None:
    assert [size(n) for n in (0, 999, 1500, 2_500_000, 3e9, 4e12)] == [
        "0 B",
        "999 B",
        "1.5 KB",
        "2.5 MB",
        "3.0 GB",
        "4000.0 GB",
    ]
    assert [money(n) for n in (0, 0.00001, 0.0123, 12.34, 1234)] == [
        "$0.00",
        "under $0.0001",
        "$0.0123",
        "$12.34",
        "$1,234.00",
    ]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("x"), 2),
        (AuthError("x"), 2),
        (TransientError("x"), 1),
        (ConnectorError("x"), 1),
        (Cancelled("x"), 130),
        (ValueError("x"), 1),
    ],
)
def test_exit_codes_say_what_to_do_next(error: Exception, code: int) -> None:
    assert code_of(error) == code


def test_exit_codes_of_results() -> None:
    assert code_of_result(ended()) == 0
    assert code_of_result(ended(status=Status.failed)) == 1
    assert code_of_result(ended(status=Status.suspicious)) == 3
    assert code_of_result(Result("x", {}, cancelled=True)) == 130
    assert code_of_result(Result("x", {}, error=AuthError("no"))) == 2
    assert code_of_result(ended(status=Status.failed, error=AuthError("no"))) == 2
    assert code_of_result(ended(status=Status.failed, error=TransientError("later"))) == 1
    mixed = ended(status=Status.failed, error=AuthError("no"))
    mixed.streams["users"] = StreamResult("users", status=Status.failed, error=TransientError("later"))
    assert code_of_result(mixed) == 1
    assert [worst(codes) for codes in ([], [0, 3], [3, 2], [2, 1], [1, 130])] == [0, 3, 2, 1, 130]


def test_the_live_table_shows_those_at_work_first_and_fits_the_screen() -> None:
    from rich.console import Console

    from kitestring.cli.display import progress_table

    progress = Progress()
    for number in range(30):
        progress.streams[f"waiting_{number}"] = StreamProgress()
    progress.streams["busy"] = StreamProgress(read=5000, written=4000, nbytes=10**6, status="reading", lag_s=90)
    console = Console(width=100, height=20, record=True)
    console.print(progress_table("helpdesk", progress, 20))
    lines = console.export_text().splitlines()
    assert "and 19 more" in "\n".join(lines)
    first = next(line for line in lines if "5,000" in line or "waiting_" in line)
    assert "busy" in first
    assert "1 min 30 s" in first
