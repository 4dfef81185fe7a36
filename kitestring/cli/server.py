"""`kitestring up`, `api` and `worker`: the control plane, in one process or in several."""

from __future__ import annotations

import gc
import logging
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kitestring.cli.extras import needs_server
from kitestring.cli.global_options import cli_context

if TYPE_CHECKING:
    from kitestring.cli.global_options import CliContext
    from kitestring.server.settings import Settings

HOST = typer.Option(help="The address to listen on. Default: 127.0.0.1, this machine only.", show_default=False)
PORT = typer.Option(help="The port to listen on; 0 takes a free one. Default: 8000.", show_default=False)
WORKERS = typer.Option(min=0, help="How many jobs run at the same time. Default: 4.", show_default=False)


def up(
    ctx: typer.Context,
    host: Annotated[str | None, HOST] = None,
    port: Annotated[int | None, PORT] = None,
    workers: Annotated[int | None, WORKERS] = None,
) -> None:
    """Start the server: web interface, API, scheduler and worker in one process.

    \b
    kitestring up                                      http://127.0.0.1:8000, on SQLite in the data folder
    KITESTRING_HOME=/var/lib/kitestring kitestring up  with another data folder
    KITESTRING_DATABASE_URL=postgresql://… kitestring up

    Airbyte's API is at /v1 and /api/public/v1, Kitestring's own at /api/kitestring/v1. Every setting is a variable
    KITESTRING_…; docs/reference/settings.md lists them. Ctrl-C stops running syncs at a checkpoint; they go on at the
    next start.
    """
    run(ctx, {"host": host, "port": port, "workers": workers}, project=True)


def api(ctx: typer.Context, host: Annotated[str | None, HOST] = None, port: Annotated[int | None, PORT] = None) -> None:
    """Start the API alone, with the web interface; `kitestring worker` runs its jobs, here or on other machines."""
    run(ctx, {"host": host, "port": port}, work=False)


def worker(ctx: typer.Context, workers: Annotated[int | None, WORKERS] = None) -> None:
    """Start a worker and a scheduler without an API. Any number may share one database (KITESTRING_DATABASE_URL)."""
    run(ctx, {"workers": workers}, api=False)


def run(
    ctx: typer.Context, options: dict[str, Any], *, api: bool = True, work: bool = True, project: bool = False
) -> None:
    cli = cli_context(ctx)
    needs_server()
    gc.disable()  # what a start imports and makes stays: to look at it for garbage takes a fifth of the start
    try:
        serve(cli, options, api=api, work=work, project=project)
    finally:
        gc.enable()


def serve(cli: CliContext, options: dict[str, Any], *, api: bool, work: bool, project: bool) -> None:
    """Run the server until it is stopped. Garbage is collected as soon as it has started."""
    from kitestring.server.context import Context
    from kitestring.server.run import Server
    from kitestring.server.settings import Settings

    settings = Settings.of(home=cli.home.absolute(), **options)
    logging.getLogger("kitestring").setLevel(settings.log_level.upper())
    context = Context.of(settings)
    try:
        server = Server(context, api=api, work=work)
        server.start()
        try:
            if project and cli.file is not None:
                load(cli, context)
            gc.freeze()
            gc.enable()
            typer.echo(greeting(server.url if api else "", settings, work, is_open(context)), err=True)
            server.wait()
            typer.echo("Stopping: running syncs stop at a checkpoint, and go on at the next start.", err=True)
        finally:
            server.stop()
    finally:
        context.close()


def load(cli: CliContext, context: Any) -> None:
    """Apply the project file. An error is printed, and the server runs nevertheless."""
    from kitestring.cli.config_as_code import SIGNS, InStore
    from kitestring.cli.exit_codes import report_error
    from kitestring.errors import ConfigError, KitestringError
    from kitestring.server.http.problem import Problem

    try:
        changes = InStore(context, "").apply(cli.needed.desired_config(), False)
    except (KitestringError, Problem) as error:
        typer.echo(f"{cli.needed.path} was not applied:", err=True)
        report_error(ConfigError(error.detail, hint=error.hint) if isinstance(error, Problem) else error, cli)
        return
    summary = ", ".join(f"{SIGNS[change['action']][0]}{change['kind']} {change['name']}" for change in changes)
    typer.echo(f"{cli.needed.path} was applied: {summary or 'nothing has changed'}", err=True)


def is_open(context: Any) -> bool:
    """Whether no user is configured."""
    from kitestring.server.auth import user

    with context.store.read() as db:
        return not user.configured(db)


def greeting(url: str, settings: Settings, work: bool, open_to_all: bool) -> str:
    """The lines printed at the start: address, store, and who has access."""
    from kitestring.server.http.web_interface import DIST, PAGE

    store = (settings.database_url and "PostgreSQL") or f"SQLite in {settings.home}"
    lines = [f"Kitestring is up at {url}" if url else "The worker is up", f"  store    {store}"]
    if url and settings.interface:
        lines.append(f"  pages    {url}/" if (DIST / PAGE).exists() else "  pages    not built in this copy (make ui)")
    if url:
        lines.append(f"  API      {url}/api/public/v1 (Airbyte's), {url}/api/kitestring/v1, {url}/api/openapi.json")
    if work:
        lines.append(f"  jobs     {settings.workers} at the same time")
    if url and open_to_all:
        lines.append("  access   no user is configured: anyone on this machine may do anything (kitestring user add)")
    return "\n".join(lines)
