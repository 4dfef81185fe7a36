"""`kitestring jobs`: jobs of a server."""

from __future__ import annotations

import json
import time
from datetime import datetime
from typing import Annotated, Any

import typer

from kitestring.cli.global_options import cli_context

app = typer.Typer(
    help="""List, show, follow and cancel jobs of a server.

    \b
    kitestring --server http://127.0.0.1:8000 jobs list
    kitestring jobs show 7                 attempts, figures of each stream, reasons
    kitestring jobs log 7 --level warning
    kitestring jobs cancel 7               stops at a checkpoint

    The server is --server or KITESTRING_SERVER, by default the one of this machine.
    """,
    no_args_is_help=True,
    rich_markup_mode=None,
)
JOB = typer.Argument(help="The number of the job.")
AS_JSON = typer.Option("--json", help="As JSON.")
LOCAL_SERVER = "http://127.0.0.1:8000"


def server_of(ctx: typer.Context) -> Any:
    from kitestring.client import Client

    return Client.of(cli_context(ctx).server or LOCAL_SERVER)


def local_time(ms: int | None) -> str:
    return "" if ms is None else f"{datetime.fromtimestamp(ms / 1000):%Y-%m-%d %H:%M:%S}"


@app.command("list")
def list_(
    ctx: typer.Context,
    connection: Annotated[str, typer.Option(help="Only jobs of this connection.", show_default=False)] = "",
    status: Annotated[list[str] | None, typer.Option(help="Only with this status; repeatable.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=200)] = 20,
    as_json: Annotated[bool, AS_JSON] = False,
) -> None:
    """List jobs, the newest first."""
    from kitestring.cli.output import count, table

    with server_of(ctx) as server:
        connection_id = server.connection(connection)["connectionId"] if connection else None
        jobs = server.jobs(connectionId=connection_id, status=status or None, limit=limit)
        names = {job["connectionId"]: job["name"] for job in server.listed("connection")} if not as_json else {}
    if as_json:
        typer.echo(json.dumps(jobs, indent=2))
        return
    table(
        ["Job", "Connection", "Kind", "Status", "Records", "Attempts", "Began", "Ended"],
        [
            [
                str(job["jobId"]),
                names.get(job["connectionId"], job["connectionId"]),
                job["kind"],
                job["status"],
                count(job["records"]),
                str(job["attempts"]),
                local_time(job["startedAtMs"]),
                local_time(job["endedAtMs"]),
            ]
            for job in jobs
        ],
        right=(0, 4, 5),
    )


@app.command()
def show(ctx: typer.Context, job: Annotated[int, JOB], as_json: Annotated[bool, AS_JSON] = False) -> None:
    """Show a job: its attempts, the figures of its streams, its errors and suspicions."""
    from kitestring.cli import display
    from kitestring.cli.server_target import result_of

    with server_of(ctx) as server:
        details = server.job(job)
    if as_json:
        typer.echo(json.dumps(details, indent=2))
        return
    for attempt in details["history"]:
        until = f"to {local_time(attempt['endedAtMs'])}" if attempt["endedAtMs"] is not None else "until now"
        typer.echo(f"attempt {attempt['number']}: {attempt['status']}  {local_time(attempt['startedAtMs'])} {until}")
        if attempt["error"]:
            typer.echo(f"  {attempt['error'].get('message', '')}")
    if details["endedAtMs"] is None:
        show_progress(details)
    else:
        display.summary(result_of(f"job {job} ({details['kind']})", details), cli_context(ctx).secrets)


def show_progress(job: dict[str, Any]) -> None:
    """Print an unfinished job: the progress of its last attempt, and what it waits for."""
    from kitestring.cli.output import count, size, span, table

    last = job["history"][-1] if job["history"] else {}
    progress = last.get("progress") or {}
    streams = progress.get("streams") or last.get("durable") or {}  # progress comes with the first renewal of the lease
    rows = [
        [name, stream["status"], count(stream["read"]), count(stream["written"]), size(stream.get("bytes", 0))]
        for name, stream in streams.items()
    ]
    if job["status"] == "running" and rows:
        table(["Stream", "Status", "Read", "Written", "Size"], rows, right=range(2, 5))
        waiting = progress.get("waiting")
        if waiting:
            does = f"waits {span(waiting['seconds'])}" if waiting["seconds"] else "tries again"
            typer.echo(f"It {does}: {waiting.get('reason') or 'no reason was given'}.")
    if job["status"] == "running":
        status = f"running for {span(max(time.time() - job['startedAtMs'] / 1000, 0.0))}"
    elif job["status"] == "incomplete":
        status = f"incomplete, its next attempt is due at {local_time(job['runAfterMs'])}"
    else:
        status = f"{job['status']}, due at {local_time(job['runAfterMs'])}"
    if job["cancelRequested"]:
        status += ", asked to stop"
    records = f"; {count(job['records'])} records are delivered so far" if job["history"] else ""
    typer.echo(f"job {job['jobId']} ({job['kind']}): {status}{records}")


@app.command()
def cancel(ctx: typer.Context, job: Annotated[int, JOB]) -> None:
    """Stop a job: at its next checkpoint if it runs, else at once. Copied records stay."""
    with server_of(ctx) as server:
        status = server.cancel(job)["status"]
    typer.echo(f"Job {job} is {status}." if status == "cancelled" else f"Job {job} was asked to stop.")


@app.command()
def log(
    ctx: typer.Context,
    job: Annotated[int, JOB],
    attempt: Annotated[int, typer.Option(help="Which attempt. Default: the last.", show_default=False)] = 0,
    level: Annotated[str, typer.Option(help="At least debug, info, warning or error.")] = "info",
    text: Annotated[str, typer.Option(help="Only entries that contain this text.", show_default=False)] = "",
    as_json: Annotated[bool, AS_JSON] = False,
) -> None:
    """Print the log of a job's attempt."""
    with server_of(ctx) as server:
        number = attempt or server.job(job)["attempts"]
        if not number:
            typer.echo(f"Job {job} has not begun: it has no log yet.", err=True)
            return
        for entry in server.log(job, number, level=level, text=text or None):
            if as_json:
                typer.echo(json.dumps(entry, default=str))
                continue
            standard_fields = ("at_ms", "level", "logger", "message", "place")
            other_fields = "".join(f" {name}={value}" for name, value in entry.items() if name not in standard_fields)
            typer.echo(
                f"{local_time(entry.get('at_ms'))} {entry.get('level', ''):7} {entry.get('message', '')}{other_fields}"
            )
