"""Exit codes, and errors on two lines."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from kitestring.cli.global_options import CliContext
    from kitestring.engine import Result

SUCCEEDED, FAILED, REFUSED, SUSPICIOUS, CHANGES, CANCELLED = 0, 1, 2, 3, 4, 130
"""`CHANGES`: `plan` has something to do. The table of docs/explanation/delivery.md has all of them."""


def report_error(error: Exception, cli: CliContext | None) -> int:
    """Show an error on stderr with its secrets masked; return the exit code."""
    from kitestring.errors import KitestringError

    hide = cli.secrets.text if cli is not None else str
    if cli is not None and cli.debug:
        typer.echo(hide("".join(traceback.format_exception(error))), err=True)
    if isinstance(error, KitestringError):
        message, hint = error.message, error.hint
    else:
        message = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        hint = "This is a defect in Kitestring: please report it with what `--debug` shows."
    show_error(hide(message), hide(hint))
    return code_of(error)


def show_error(message: str, hint: str = "") -> None:
    """One error: what is wrong, and the next action, a line each."""
    typer.echo(typer.style("Error: ", fg="red", bold=True) + single_line(message), err=True)
    if hint:
        typer.echo(typer.style("Hint:  ", fg="cyan") + single_line(hint), err=True)


def single_line(text: str) -> str:
    return " ".join(text.split())


def code_of(error: BaseException) -> int:
    from kitestring.errors import AuthError, Cancelled, ConfigError, SchemaError

    if isinstance(error, Cancelled):
        return CANCELLED
    return REFUSED if isinstance(error, ConfigError | AuthError | SchemaError) else FAILED


def code_of_failure(result: Result) -> int:
    """The code of a failed sync: REFUSED if the user has to correct every error of it."""
    errors = [
        error for error in (result.error, *(stream.error for stream in result.streams.values())) if error is not None
    ]
    return REFUSED if errors and all(code_of(error) == REFUSED for error in errors) else FAILED


def code_of_result(result: Result) -> int:
    if result.status == "failed":
        return code_of_failure(result)
    return {"succeeded": SUCCEEDED, "suspicious": SUSPICIOUS, "cancelled": CANCELLED}[result.status.value]


def worst(codes: list[int]) -> int:
    """The code of several runs: a cancellation, then a failure, then a refusal, then a suspicion."""
    for code in (CANCELLED, FAILED, REFUSED, SUSPICIOUS):
        if code in codes:
            return code
    return SUCCEEDED
