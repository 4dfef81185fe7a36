"""`kitestring jobs`: what a server has run and runs."""

from __future__ import annotations

import json
import time
from datetime import datetime
from typing import Annotated, Any

import typer

from kitestring.cli.exit_codes import given_of

app = typer.Typer(
    help="""What a server has run and runs.

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
HERE = "http://127.0.0.1:8000"


def server_of(ctx: typer.Context) -> Any:
    from kitestring.client import Client

    return Client.of(given_of(ctx).server or HERE)


def moment(ms: int | None) -> str:
    return "" if ms is None else f"{datetime.fromtimestamp(ms / 1000):%Y-%m-%d %H:%M:%S}"


@app.command("list")
def list_(
    ctx: typer.Context,
    connection: Annotated[str, typer.Option(help="Only those of this connection.", show_default=False)] = "",
    status: Annotated[list[str] | None, typer.Option(help="Only with this status; repeatable.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=200)] = 20,
    as_json: Annotated[bool, AS_JSON] = False,
) -> None:
    """List jobs, the newest first."""
    from kitestring.cli.output import count, table

    with server_of(ctx) as server:
        wanted = server.connection(connection)["connectionId"] if connection else None
        found = server.jobs(connectionId=wanted, status=status or None, limit=limit)
        names = {one["connectionId"]: one["name"] for one in server.listed("connection")} if not as_json else {}
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    table(
        ["Job", "Connection", "Kind", "Status", "Records", "Attempts", "Began", "Ended"],
        [
            [
                str(one["jobId"]),
                names.get(one["connectionId"], one["connectionId"]),
                one["kind"],
                one["status"],
                count(one["records"]),
                str(one["attempts"]),
                moment(one["startedAtMs"]),
                moment(one["endedAtMs"]),
            ]
            for one in found
        ],
        right=(0, 4, 5),
    )


@app.command()
def show(ctx: typer.Context, job: Annotated[int, JOB], as_json: Annotated[bool, AS_JSON] = False) -> None:
    """Show a job: its attempts, the figures of its streams, why it failed or is suspicious."""
    from kitestring.cli import display
    from kitestring.cli.server_target import result_of

    with server_of(ctx) as server:
        found = server.job(job)
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    for one in found["history"]:
        until = f"to {moment(one['endedAtMs'])}" if one["endedAtMs"] is not None else "until now"
        typer.echo(f"attempt {one['number']}: {one['status']}  {moment(one['startedAtMs'])} {until}")
        if one["error"]:
            typer.echo(f"  {one['error'].get('message', '')}")
    if found["endedAtMs"] is None:
        underway(found)
    else:
        display.summary(result_of(f"job {job} ({found['kind']})", found), given_of(ctx).secrets)


def underway(job: dict[str, Any]) -> None:
    """Where a job stands that has not ended: its last attempt's progress, and what it waits for."""
    from kitestring.cli.output import count, size, span, table

    last = job["history"][-1] if job["history"] else {}
    progress = last.get("progress") or {}
    streams = progress.get("streams") or last.get("durable") or {}  # progress comes with the first renewal of the lease
    rows = [
        [name, one["status"], count(one["read"]), count(one["written"]), size(one.get("bytes", 0))]
        for name, one in streams.items()
    ]
    if job["status"] == "running" and rows:
        table(["Stream", "Status", "Read", "Written", "Size"], rows, right=range(2, 5))
        waiting = progress.get("waiting")
        if waiting:
            typer.echo(f"It waits {span(waiting['seconds'])}: {waiting.get('reason') or 'no reason was given'}.")
    if job["status"] == "running":
        standing = f"running for {span(max(time.time() - job['startedAtMs'] / 1000, 0.0))}"
    elif job["status"] == "incomplete":
        standing = f"incomplete, its next attempt is due at {moment(job['runAfterMs'])}"
    else:
        standing = f"{job['status']}, due at {moment(job['runAfterMs'])}"
    if job["cancelRequested"]:
        standing += ", asked to stop"
    records = f"; {count(job['records'])} records are delivered so far" if job["history"] else ""
    typer.echo(f"job {job['jobId']} ({job['kind']}): {standing}{records}")


@app.command()
def cancel(ctx: typer.Context, job: Annotated[int, JOB]) -> None:
    """Stop a job: at once where nothing runs, else at its next checkpoint. What was copied stays."""
    with server_of(ctx) as server:
        status = server.cancel(job)["status"]
    typer.echo(f"Job {job} is {status}." if status == "cancelled" else f"Job {job} was asked to stop.")


@app.command()
def log(
    ctx: typer.Context,
    job: Annotated[int, JOB],
    attempt: Annotated[int, typer.Option(help="Which attempt. Default: the last.", show_default=False)] = 0,
    level: Annotated[str, typer.Option(help="At least debug, info, warning or error.")] = "info",
    text: Annotated[str, typer.Option(help="Only entries that hold this text.", show_default=False)] = "",
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
            known = ("at_ms", "level", "logger", "message")
            more = "".join(f" {name}={value}" for name, value in entry.items() if name not in known)
            typer.echo(f"{moment(entry.get('at_ms'))} {entry.get('level', ''):7} {entry.get('message', '')}{more}")
