"""`kitestring sync`: runs connections of the project, or a connection given by flags."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kitestring import home_folder
from kitestring.cli.exit_codes import CANCELLED, FAILED, code_of_result, report_error, worst
from kitestring.cli.global_options import CONFIG_HELP, CliContext, cli_context, listed

if TYPE_CHECKING:
    from kitestring.engine import Result, Selection, StateStore
    from kitestring.library import DestinationHandle, SourceHandle

STATE = typer.Option(
    "--state", metavar="FILE", help="Store the state in this file: .json (readable), else SQLite.", show_default=False
)


@dataclass
class Run:
    """One connection, ready to be run."""

    name: str
    source: Callable[[], SourceHandle]
    destination: Callable[[], DestinationHandle]
    streams: list[Selection] | None
    prefix: str = ""
    namespace: str | None = None
    max_rejects: int = 1000
    max_nulled_share: float = 0.01
    allow_empty: bool = False
    accept_deletes: bool = False
    window_s: float | None = None
    """The length of the windows of a continuous sync; None for one that ends."""


def sync(
    ctx: typer.Context,
    connections: Annotated[
        list[str] | None, typer.Argument(help="Connections of the project file. Default: all, one after the other.")
    ] = None,
    source: Annotated[str, typer.Option(help="A source of the project, or a connector.", show_default=False)] = "",
    source_config: Annotated[list[str] | None, typer.Option(help=CONFIG_HELP, show_default=False)] = None,
    destination: Annotated[
        str, typer.Option(help="A destination of the project, or a connector.", show_default=False)
    ] = "",
    destination_config: Annotated[
        list[str] | None, typer.Option(help="Its options, as --source-config.", show_default=False)
    ] = None,
    streams: Annotated[
        list[str] | None, typer.Option("--streams", "-s", help="Only these streams: a,b.", show_default=False)
    ] = None,
    full_refresh: Annotated[
        bool, typer.Option("--full-refresh", help="Delete the saved state of the streams and read everything again.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read and estimate (records, chunks, tokens, cost); write nothing.")
    ] = False,
    allow_empty: Annotated[
        bool, typer.Option("--allow-empty", help="Allow an overwrite with no records to empty the destination.")
    ] = False,
    accept: Annotated[
        bool,
        typer.Option(
            "--accept",
            help="Delete what the source no longer lists, however much it is, in streams with detect_deletes.",
        ),
    ] = False,
    max_rejects: Annotated[
        int | None,
        typer.Option(min=0, help="The largest number of rejected records. Default: 1000.", show_default=False),
    ] = None,
    continuous: Annotated[
        bool,
        typer.Option("--continuous", help="Go on with changes until Ctrl-C, and reconcile every few minutes."),
    ] = False,
    window: Annotated[
        float, typer.Option(metavar="SECONDS", min=1, help="With --continuous: the time between reconciliations.")
    ] = 300.0,
    state: Annotated[str, STATE] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Copy what is new from sources to destinations.

    \b
    kitestring sync                              every connection of kitestring.yaml
    kitestring sync helpdesk --streams tickets
    kitestring sync helpdesk --dry-run           what would it cost?
    kitestring sync shop --continuous            changes of a database, about a second after their commit
    kitestring sync --source sample -s users --source-config count=1000 \\
        --destination files --destination-config '{"path": "out", "format": "jsonl"}'

    The state is saved, so the next run copies only changes. Ctrl-C stops at a checkpoint; a second Ctrl-C ends at
    once. No data is lost in either case.
    """
    cli = cli_context(ctx)
    flags = source or destination or source_config or destination_config
    if cli.server:
        if flags or state or dry_run:
            raise typer.BadParameter("a server runs connections of its own: give their names, and no flags for ends")
        if continuous:
            raise typer.BadParameter("on a server, a connection with `schedule: continuous` goes on by itself")
        if allow_empty:
            raise typer.BadParameter("a server allows it by a setting of the connection: set its `allow_empty`")
        if accept:
            raise typer.BadParameter("on a server, accept with `kitestring state accept NAME`, then sync")
        from kitestring.cli import server_target

        raise typer.Exit(server_target.sync(cli, connections or (), listed(streams), full_refresh, as_json, quiet))
    if flags and connections:
        raise typer.BadParameter("give connection names, or --source and --destination, not both")
    if flags:
        runs = [run_from_flags(cli, source, source_config, destination, destination_config)]
    else:
        runs = [run_from_project(cli, name) for name in connections or connection_names(cli)]
    if continuous and dry_run:
        raise typer.BadParameter("--dry-run estimates one sync, and --continuous has no end: leave one of the two out")
    if continuous and len(runs) > 1:
        raise typer.BadParameter(f"--continuous runs one connection, and there are {len(runs)}: name one")
    stream_names = listed(streams)
    codes, printed = [], []
    for run in runs:
        run.allow_empty = run.allow_empty or allow_empty
        run.accept_deletes = accept
        run.window_s = window if continuous else None
        run.max_rejects = run.max_rejects if max_rejects is None else max_rejects
        if stream_names:
            run.streams = select_streams(run, stream_names)
        try:
            if dry_run:
                code, out = estimate_connection(cli, run, state, full_refresh, as_json)
            else:
                code, out = sync_connection(cli, run, state, full_refresh, as_json, quiet)
        except Exception as error:  # noqa: BLE001 - one connection that cannot run does not keep the others from it
            code = report_error(error, cli)
            out = {"connection": run.name, "status": "failed", "error": error_body(cli, error)}
        codes.append(code)
        printed.append(out)
        if code == CANCELLED:
            break
    if as_json:
        typer.echo(json.dumps(printed[0] if len(printed) == 1 else printed, indent=2))
    raise typer.Exit(worst(codes))


def connection_names(cli: CliContext) -> list[str]:
    from kitestring.errors import ConfigError

    names = list(cli.needed.file.connections)
    if not names:
        raise ConfigError(
            f"{cli.needed.path} has no connections", hint="Add one: a source, a destination and the streams."
        )
    return names


def run_from_project(cli: CliContext, name: str) -> Run:
    connection = cli.needed.connection(name)
    return Run(
        name,
        lambda: cli.source(connection.source),
        lambda: cli.destination(connection.destination),
        connection.selections,
        connection.prefix,
        connection.namespace,
        connection.max_rejects,
        connection.max_nulled_share,
        connection.allow_empty,
    )


def run_from_flags(
    cli: CliContext,
    source: str,
    source_config: list[str] | None,
    destination: str,
    destination_config: list[str] | None,
) -> Run:
    if not source or not destination:
        missing = "--destination" if source else "--source"
        raise typer.BadParameter(f"a sync by flags needs both ends: {missing} is missing")
    reader, writer = cli.source(source, source_config), cli.destination(destination, destination_config)
    from kitestring.library import connection_name

    return Run(connection_name(reader, writer), lambda: reader, lambda: writer, None)


def select_streams(run: Run, names: list[str]) -> list[Selection]:
    """The wanted streams, with what the connection says about them."""
    from kitestring.engine import Selection
    from kitestring.errors import ConfigError
    from kitestring.suggest import did_you_mean

    if run.streams is None:
        return [Selection(name) for name in names]
    selections = {selection.name: selection for selection in run.streams}
    for name in names:
        if name not in selections:
            raise ConfigError(
                f"the connection {run.name} has no stream {name}{did_you_mean(name, selections)}",
                hint=f"It has: {', '.join(selections)}.",
            )
    return [selections[name] for name in names]


def state_store(cli: CliContext, state: str) -> StateStore:
    from kitestring.library import states_at

    if cli.server:
        from kitestring.cli import server_target

        return server_target.ServerStates(server_target.client(cli))
    states = states_at(cli.path(state) if state else cli.home / "state.sqlite")
    assert states is not None
    return states


def sync_connection(
    cli: CliContext, run: Run, state: str, full_refresh: bool, as_json: bool, quiet: bool
) -> tuple[int, Any]:
    """Run one connection and show it; its exit code and its result as JSON."""
    from kitestring import library
    from kitestring.cli import display
    from kitestring.cli.warm_search import owner_of_place
    from kitestring.engine import Continuous, Progress
    from kitestring.engine.waits import noted_waits

    states = state_store(cli, state)
    source, destination = run.source(), run.destination()
    home_folder.private(cli.home)
    if full_refresh:
        forget(states, run)
    progress = Progress()
    with (
        cancel_on_signal() as cancel,
        noted_waits(progress),
        owner_of_place(cli.home, destination.connector),
        display.live(run.name, progress, quiet),
    ):
        continuous = None if run.window_s is None else Continuous(cancel, run.window_s, retries=True)
        result: Result = library.sync(
            source,
            destination,
            run.streams,
            connection=run.name,
            state=states,
            rejects=cli.home / "rejects",
            max_rejects=run.max_rejects,
            max_nulled_share=run.max_nulled_share,
            prefix=run.prefix,
            namespace=run.namespace,
            allow_empty=run.allow_empty,
            accept_deletes=run.accept_deletes,
            progress=progress,
            cancel=cancel if continuous is None else None,
            continuous=continuous,
        )
    if not as_json:
        display.summary(result, cli.secrets)
        rejected = int(result.total("rejected"))
        if rejected:
            typer.echo(
                f"{rejected} rejected records are kept in {library.rejects_at(cli.home / 'rejects').path(run.name)}; "
                f"correct the cause, then: kitestring replay {run.name}"
            )
    return code_of_result(result), json.loads(cli.secrets.text(json.dumps(result.as_dict(), default=str)))


def forget(states: StateStore, run: Run) -> None:
    """Clear the state of the streams that will be read, so that they begin at the start."""
    with states.lock(run.name):
        if run.streams is None:
            states.clear(run.name)
            return
        names = {selection.name for selection in run.streams}
        for key in states.load(run.name):
            if key in names or key.rpartition(".")[2] in names:  # a selection may leave the namespace out
                states.clear(run.name, key)


def estimate_connection(cli: CliContext, run: Run, state: str, full_refresh: bool, as_json: bool) -> tuple[int, Any]:
    from kitestring import library
    from kitestring.cli import display

    with cancel_on_signal() as cancel:
        estimate = library.estimate(
            run.source(),
            run.destination(),
            run.streams,
            connection=run.name,
            state=False if full_refresh else state_store(cli, state),
            prefix=run.prefix,
            namespace=run.namespace,
            cancel=cancel,
        )
    if not as_json:
        display.show_estimate(run.name, estimate, cli.secrets)
    code = CANCELLED if cancel.is_set() else FAILED if any(s.error for s in estimate.streams.values()) else 0
    return code, {"connection": run.name, "dry_run": True, "streams": estimate.as_dict()}


def error_body(cli: CliContext, error: Exception) -> dict[str, str]:
    from kitestring.errors import KitestringError, public_name

    return {
        "type": public_name(error) if isinstance(error, KitestringError) else type(error).__name__,
        "message": cli.secrets.text(str(error)),
        "hint": cli.secrets.text(getattr(error, "hint", "")),
    }


@contextlib.contextmanager
def cancel_on_signal() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C or SIGTERM sets; the second ends the process at once."""
    cancel = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        if cancel.is_set():
            os._exit(128 + number)
        cancel.set()
        # Not through `echo`: a signal may come while stderr's own lock is held.
        os.write(2, b"\nStopping at a checkpoint; once more to end at once.\n")

    if threading.current_thread() is not threading.main_thread():
        yield cancel
        return
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield cancel
    finally:
        if not cancel.is_set():  # else the second one may come while the process ends
            for number, handler in before.items():
                signal.signal(number, handler)
