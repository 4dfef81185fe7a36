"""Progress of a sync (a table on a terminal, JSON lines elsewhere), its summary and its figures."""

from __future__ import annotations

import contextlib
import json
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import typer

from kitestring.cli.exit_codes import single_line
from kitestring.cli.output import console, count, money, size, span, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from kitestring.engine import Estimate, Result
    from kitestring.redact import Redactor

EVERY_S = 5.0
"""Between two JSON lines of progress."""

COLORS = {"succeeded": "green", "suspicious": "yellow", "failed": "red", "cancelled": "yellow"}


class HasSnapshot(Protocol):
    """The progress of a sync: `engine.Progress`, or what a server says of a job."""

    def snapshot(self) -> dict[str, Any]: ...


@contextlib.contextmanager
def live(connection: str, progress: HasSnapshot, quiet: bool = False) -> Iterator[None]:
    """Show a running sync on stderr until the block ends."""
    if quiet:
        yield
    elif sys.stderr.isatty():
        with on_terminal(connection, progress):
            yield
    else:
        with as_lines(connection, progress):
            yield


@contextlib.contextmanager
def on_terminal(connection: str, progress: HasSnapshot) -> Iterator[None]:
    from rich.live import Live

    from kitestring.cli.log_output import Stderr

    err = console(err=True)
    live_table = Live(
        console=err,
        get_renderable=lambda: progress_table(connection, progress, err.height),
        refresh_per_second=4,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    with live_table:
        Stderr.above = AboveLiveTable(err)
        try:
            yield
        finally:
            Stderr.above = None


class AboveLiveTable:
    """Prints log lines above the live table at the bottom of the terminal."""

    def __init__(self, console: Any) -> None:
        self.console = console

    def write(self, text: str) -> None:
        if text.strip():
            self.console.print(text.rstrip("\n"), markup=False)


MARKS = {
    "succeeded": ("✓", "green"),
    "failed": ("✗", "red"),
    "suspicious": ("!", "yellow"),
    "cancelled": ("-", "yellow"),
    "waiting": ("·", "dim"),
}
ORDER = {"reading": 0, "failed": 1, "suspicious": 1, "waiting": 3}


def progress_table(connection: str, progress: HasSnapshot, height: int) -> RenderableType:
    """The table of a running sync: active streams first, as many as fit on the screen."""
    from rich import box
    from rich.spinner import Spinner
    from rich.table import Table
    from rich.text import Text

    now = progress.snapshot()
    out = Table(box=box.SIMPLE_HEAD, pad_edge=False, title_justify="left", title=headline(connection, now))
    for name in ("", "Stream", "Phase", "Read", "Written", "Size", "Records/s", "Left", "Behind"):
        out.add_column(name, justify="left" if name in ("", "Stream", "Phase") else "right")
    streams = sorted(now["streams"].items(), key=lambda item: ORDER.get(item[1]["status"], 2))
    most_rows = max(height - 8, 5)
    for name, stream in streams[:most_rows]:
        status = stream["status"]
        mark: Any = Text(*MARKS[status]) if status in MARKS else Spinner("dots")
        lag = stream.get("lag_s")
        out.add_row(
            mark,
            Text(name),
            phase_words(stream),
            count(stream["read"]),
            count(stream["written"]),
            size(stream["bytes"]),
            count(stream.get("records_per_s", 0.0)),
            span(stream.get("left_s")),
            "" if lag is None or status == "succeeded" else span(max(lag, 0.0)),
        )
    if len(streams) > most_rows:
        out.caption = f"and {len(streams) - most_rows} more"
    return out


def headline(connection: str, now: Mapping[str, Any]) -> str:
    """The sync in a line: its time, the share that is done, the time left, tokens and cost so far."""
    summary = now.get("summary") or {}
    parts = [span(now.get("seconds", 0.0))]
    if summary.get("total"):
        parts.append(f"{min(summary['done'] / summary['total'], 1.0):.0%}")
    if summary.get("left_s") is not None:
        parts.append(f"{span(summary['left_s'])} left")
    figures = summary.get("figures") or {}
    if figures.get("tokens"):
        parts.append(f"{count(figures['tokens'])} tokens")
    if figures.get("cost_usd"):
        parts.append(money(figures["cost_usd"]))
    return f"{connection}  {' · '.join(parts)}"


def phase_words(stream: Mapping[str, Any]) -> str:
    """The activity of a stream as text: embedding 210 of 470."""
    phase, figures = stream.get("phase") or "", stream.get("figures") or {}
    if phase == "embedding":
        return f"embedding {count(figures['chunks_embedded'])} of {count(figures['chunks_to_embed'])}"
    if phase == "finishing" and stream.get("to_finish"):
        return f"finishing {count(stream['finished'])} of {count(stream['to_finish'])}"
    if phase == "waiting" and stream.get("waiting"):
        seconds = stream["waiting"]["seconds"]
        return f"waiting {span(seconds)}" if seconds else "trying again"
    return str(phase)


@contextlib.contextmanager
def as_lines(connection: str, progress: HasSnapshot) -> Iterator[None]:
    """One JSON object on stderr every few seconds, and one at the end."""
    ended = threading.Event()

    def line() -> None:
        typer.echo(json.dumps({"progress": connection, **progress.snapshot()}), err=True)

    def run() -> None:
        while not ended.wait(EVERY_S):
            line()

    thread = threading.Thread(target=run, name="kitestring-progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        line()


def summary(result: Result, secrets: Redactor) -> None:
    """Print the table of a finished sync, its errors and suspicions, and its figures."""
    # Earlier versions of a record in its batch, records that a mapper left out: where there are any the sum needs them.
    seldom = [name for name in ("Superseded", "Filtered") if result.total(name.lower()) > 0]
    counts = ["Read", "Written", "Unchanged", "Deleted", "Rejected", *seldom]
    table(
        ["Stream", "Status", *counts, "Size", "Time"],
        [
            [
                name,
                stream.status.value,
                *(count(getattr(stream, name.lower())) for name in counts),
                size(stream.nbytes),
                span(stream.seconds),
            ]
            for name, stream in result.streams.items()
        ],
        right=range(2, len(counts) + 4),
    )
    for line in figure_lines({name: result.total(name) for name in figures_of(result)}):
        typer.echo(line)
    for name, stream in result.streams.items():
        for suspicion in stream.suspicions:
            typer.echo(typer.style("Suspicious: ", fg="yellow") + f"{name}: {single_line(secrets.text(suspicion))}")
        if stream.error is not None:
            show_error(f"{name}: {stream.error.message}", stream.error.hint, secrets)
    if result.error is not None:
        show_error(result.error.message, result.error.hint, secrets)
    color = COLORS[result.status.value]
    typer.echo(
        f"{result.connection}: {typer.style(result.status.value, fg=color, bold=True)} in {span(result.seconds)}"
    )


def show_error(message: str, hint: str, secrets: Redactor) -> None:
    typer.echo(typer.style("Error: ", fg="red") + single_line(secrets.text(message)))
    if hint:
        typer.echo(typer.style("Hint:  ", fg="cyan") + single_line(secrets.text(hint)))


def figures_of(result: Result) -> list[str]:
    return list(dict.fromkeys(name for stream in result.streams.values() for name in stream.figures))


def figure_lines(figures: dict[str, float]) -> list[str]:
    """The destination's figures as sentences: chunks, tokens and cost in one, others by name."""
    remaining = dict(figures)
    lines, parts = [], []
    for name, label in (("written", "written"), ("embedded", "embedded"), ("reused", "reused"), ("deleted", "deleted")):
        value = remaining.pop(f"chunks_{name}", None)
        if value is not None:
            parts.append(f"{count(value)} {label}")
    chunks = remaining.pop("chunks", None)
    if chunks is not None:
        parts.insert(0, count(chunks))
    line = f"Chunks: {', '.join(parts)}" if parts else ""
    tokens, cost = remaining.pop("tokens", None), remaining.pop("cost_usd", None)
    if tokens is not None:
        line += ("; " if line else "") + f"{count(tokens)} tokens"
    if cost is not None:
        line += ("; " if line else "") + money(cost)
    if line:
        lines.append(line)
    lines.extend(f"{name.replace('_', ' ').capitalize()}: {value:,g}" for name, value in remaining.items())
    return lines


def show_estimate(connection: str, estimate: Estimate, secrets: Redactor) -> None:
    """The table of a dry run."""
    names = list(dict.fromkeys(name for stream in estimate.streams.values() for name in stream.figures))

    def cell(name: str, value: float | None) -> str:
        return "" if value is None else money(value) if name == "cost_usd" else count(value)

    rows: list[Sequence[str]] = []
    for name, stream in estimate.streams.items():
        read = count(stream.read) + (" (sample)" if stream.sampled else "")
        rows.append(
            [name, read, count(stream.deleted), size(stream.nbytes), *(cell(n, stream.figures.get(n)) for n in names)]
        )
    titles = {"cost_usd": "Cost"}
    head = ["Stream", "Read", "Deleted", "Size", *(titles.get(n, n.replace("_", " ").capitalize()) for n in names)]
    table(head, rows, right=range(1, len(head)))
    for line in figure_lines({name: estimate.total(name) for name in names}):
        typer.echo(line)
    for name, stream in estimate.streams.items():
        if stream.error is not None:
            show_error(f"{name}: {stream.error.message}", stream.error.hint, secrets)
    typer.echo(f"{connection}: a dry run; nothing was written.")
