"""`kitestring state`: show, set, move and reset the states of connections."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kitestring.cli.global_options import cli_context
from kitestring.cli.sync import STATE, run_from_project, state_store

if TYPE_CHECKING:
    from kitestring.cli.global_options import CliContext
    from kitestring.engine import StateStore
    from kitestring.types import State

app = typer.Typer(
    help="""States of connections: where the next sync of each stream continues.

    \b
    kitestring state list
    kitestring state show helpdesk tickets
    kitestring state set helpdesk tickets '{"cursor": "2026-01-01"}'
    kitestring state reset helpdesk tickets      the next sync reads this stream from the start
    kitestring state refresh code issues --partition repository=acme/web     … or this part of it
    kitestring state export helpdesk > state.json        without a name: of all connections
    kitestring state import helpdesk state.json
    kitestring state accept helpdesk             accept what its destination contains now as complete
    """,
    no_args_is_help=True,
    rich_markup_mode=None,
)

YES = typer.Option("--yes", "-y", help="Do not ask.")
FORCE = typer.Option("--force", help="Also for an unknown connection or stream.")
CONNECTION = typer.Argument(help="The connection.")


@app.command("list")
def list_(
    ctx: typer.Context,
    state: Annotated[str, STATE] = "",
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """List the connections that have a state, and their streams."""
    from kitestring.types import COUNTS

    states = state_store(cli_context(ctx), state)
    by_connection = {name: sorted(s for s in states.load(name) if s != COUNTS) for name in states.connections()}
    if as_json:
        typer.echo(text_of(by_connection))
    elif not by_connection:
        typer.echo("No connection has a state yet.")
    for name, streams in by_connection.items() if not as_json else ():
        typer.echo(f"{name}: {', '.join(stream or '(all streams)' for stream in streams)}")


@app.command()
def show(
    ctx: typer.Context,
    connection: Annotated[str, CONNECTION],
    stream: Annotated[str, typer.Argument(help="One stream. Default: all.")] = "",
    state: Annotated[str, STATE] = "",
) -> None:
    """Print the state of a connection, or of one stream, as JSON."""
    states = states_of(ctx, connection, state)
    content = states[require_state(states, connection, stream)] if stream else states
    typer.echo(text_of(content))


@app.command("export")
def export(
    ctx: typer.Context,
    connection: Annotated[str, typer.Argument(help="The connection. Default: all.")] = "",
    file: Annotated[str, typer.Argument(help="The file to write. Default: stdout.")] = "",
    state: Annotated[str, STATE] = "",
) -> None:
    """Write the state of a connection as JSON: {stream: state}; of all: {connection: {stream: state}}."""
    from kitestring.errors import ConfigError

    content = states_of(ctx, connection, state) if connection else all_states(ctx, state)
    text = text_of(content) + "\n"
    if not file:
        typer.echo(text, nl=False)
        return
    try:
        cli_context(ctx).path(file).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{file} cannot be written: {error.strerror}", hint="Choose another place.") from error


@app.command("set")
def set_(
    ctx: typer.Context,
    connection: Annotated[str, CONNECTION],
    stream: Annotated[str, typer.Argument(help="The stream.")],
    value: Annotated[str, typer.Argument(help="Its new state: a JSON object.")],
    state: Annotated[str, STATE] = "",
    force: Annotated[bool, FORCE] = False,
    yes: Annotated[bool, YES] = False,
) -> None:
    """Replace the state of a stream."""
    cli = cli_context(ctx)
    states = state_store(cli, state)
    new = parse_object(value, "the state")
    with states.lock(connection):
        saved = states.load(connection)
        old = saved.get(stream)
        if old is None and not (force or cli.server):  # a server knows its streams
            require_streams(cli, states, connection, [stream])
        if old is not None and old != new:
            confirm(f"The state of {stream} is {text_of(old, lines=False)}. Replace it?", yes)
        states.save(connection, stream, new)
    typer.echo(f"The next sync of {connection} reads {stream} from {text_of(new, lines=False)}.")


@app.command()
def reset(
    ctx: typer.Context,
    connection: Annotated[str, CONNECTION],
    stream: Annotated[str, typer.Argument(help="One stream. Default: all.")] = "",
    state: Annotated[str, STATE] = "",
    yes: Annotated[bool, YES] = False,
) -> None:
    """Delete the state, so that the next sync reads from the start. Written records stay."""
    states = state_store(cli_context(ctx), state)
    with states.lock(connection):
        saved = states_of(ctx, connection, state)
        stream = require_state(saved, connection, stream) if stream else ""
        confirm(f"Forget the state of {stream or ', '.join(saved)} of {connection}?", yes)
        states.clear(connection, stream or None)
    typer.echo(f"The next sync of {connection} reads {stream or 'everything'} from the start.")


@app.command()
def refresh(
    ctx: typer.Context,
    connection: Annotated[str, CONNECTION],
    stream: Annotated[str, typer.Argument(help="The stream.")],
    partition: Annotated[
        list[str],
        typer.Option(
            "--partition",
            help="The partition: repository=acme/web, channel=C01. Repeated: all values must match.",
            metavar="NAME=VALUE",
        ),
    ],
    state: Annotated[str, STATE] = "",
    yes: Annotated[bool, YES] = False,
) -> None:
    """Reset one partition of a stream (a repository, a project, a channel): the next sync reads it from the start."""
    from kitestring.declarative.partition_state import refresh_partitions
    from kitestring.errors import ConfigError

    values = dict(pair.partition("=")[::2] for pair in partition)
    if not all("=" in pair for pair in partition):
        raise ConfigError(f"{' '.join(partition)} is not a NAME=VALUE", hint="Write --partition repository=acme/web.")
    states = state_store(cli_context(ctx), state)
    with states.lock(connection):
        saved = states_of(ctx, connection, state)
        old = saved[require_state(saved, connection, stream)]
        if "states" not in old and "use_global_cursor" not in old:
            raise ConfigError(
                f"the state of {stream} does not distinguish partitions",
                hint=f"Sync once, or `kitestring state reset {connection} {stream}` to read the whole stream.",
            )
        new, partitions = refresh_partitions(old, values)
        if not partitions:
            names = sorted(
                {name for entry in old.get("states") or () for name in entry["partition"] if name != "parent_slice"}
            )
            unknown = [name for name in values if name not in names]
            raise ConfigError(
                f"the state of {stream} has no partitions by {', '.join(unknown)}"
                if unknown and names
                else f"the state of {stream} has no partition {' '.join(partition)}: it is read from the start anyway",
                hint=f"Its partitions have {', '.join(names) or 'no name'}; `kitestring state show` lists them.",
            )
        confirm(f"Read {len(partitions)} partition(s) of {stream} of {connection} from the start?", yes)
        states.save(connection, stream, new)
    typer.echo(f"The next sync of {connection} reads {len(partitions)} partition(s) of {stream} from the start.")


@app.command()
def accept(
    ctx: typer.Context,
    connection: Annotated[str, CONNECTION],
    state: Annotated[str, STATE] = "",
) -> None:
    """Accept that the destination contains fewer records than before, or that the source lists fewer.

    The next sync counts what the destination holds. In streams with detect_deletes it deletes what the source does not
    list, however much that is.
    """
    from kitestring.engine.count_baseline import LISTINGS, accepted_state
    from kitestring.types import COUNTS

    cli = cli_context(ctx)
    states = state_store(cli, state)
    if cli.server:
        from kitestring.cli import server_target

        with server_target.client(cli) as server:
            server.accept_deletions(server.connection(connection)["connectionId"])
        typer.echo(f"The next sync of {connection} deletes what the source no longer lists.")
        return
    with states.lock(connection):
        counts = states.load(connection).get(COUNTS) or {}
        if not counts:
            states_of(ctx, connection, state)
        accepted = accepted_state(counts)
        if accepted:
            states.save(connection, COUNTS, accepted)
        else:
            states.clear(connection, COUNTS)
    waiting = sorted(name for name, note in (accepted.get(LISTINGS) or {}).items() if note.get("accepted"))
    if waiting:
        typer.echo(f"The next sync of {connection} deletes what the source no longer lists of {', '.join(waiting)}.")
    else:
        typer.echo(f"The next sync of {connection} counts what its destination holds, and goes on from there.")


@app.command("import")
def import_(
    ctx: typer.Context,
    connection: Annotated[str, CONNECTION],
    file: Annotated[str, typer.Argument(help="{stream: state} as JSON, as `export` writes it; - for stdin.")],
    state: Annotated[str, STATE] = "",
    force: Annotated[bool, FORCE] = False,
    yes: Annotated[bool, YES] = False,
) -> None:
    """Replace the states of a connection by those of a file."""
    from kitestring.errors import ConfigError

    try:
        text = sys.stdin.read() if file == "-" else cli_context(ctx).path(file).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(f"{file} cannot be read: {reason}", hint="`kitestring state export` writes one.") from error
    new = parse_object(text, file)
    for stream, value in new.items():
        if not isinstance(value, dict):
            raise ConfigError(
                f"the state of {stream} in {file} is {type(value).__name__}, it should be a JSON object",
                hint='Write {"stream": {…}}, as `kitestring state export` does.',
            )
    cli = cli_context(ctx)
    states = state_store(cli, state)
    with states.lock(connection):
        old = states.load(connection)
        new_streams = [stream for stream in new if stream not in old]
        if new_streams and not (force or cli.server):
            require_streams(cli, states, connection, new_streams)
        if old and old != new:
            confirm(f"{connection} has states of {', '.join(sorted(old))}. Replace them all?", yes)
        for stream, value in new.items():
            states.save(connection, stream, value)
        for stream in set(old) - set(new):
            states.clear(connection, stream)
    typer.echo(f"{connection} has the states of {', '.join(sorted(new)) or 'no stream'}.")


def states_of(ctx: typer.Context, connection: str, state: str) -> dict[str, State]:
    """The states of a connection; `ConfigError` if there are none."""
    from kitestring.errors import ConfigError
    from kitestring.suggest import did_you_mean
    from kitestring.types import COUNTS

    states = state_store(cli_context(ctx), state)
    by_stream = states.load(connection)
    by_stream.pop(COUNTS, None)  # the engine's own entry, no state of a stream
    if not by_stream:
        names = states.connections()
        raise ConfigError(
            f"the connection {connection} has no state{did_you_mean(connection, names)}",
            hint=f"These have one: {', '.join(names)}." if names else "None has one yet: `kitestring sync` makes it.",
        )
    return by_stream


def all_states(ctx: typer.Context, state: str) -> dict[str, dict[str, State]]:
    """The states of all connections that have some."""
    from kitestring.types import COUNTS

    states = state_store(cli_context(ctx), state)
    by_connection = {name: {k: v for k, v in states.load(name).items() if k != COUNTS} for name in states.connections()}
    return {name: streams for name, streams in by_connection.items() if streams}


def require_streams(cli: CliContext, states: StateStore, connection: str, streams: list[str]) -> None:
    """Raise `ConfigError` for a stream that the connection does not have: no sync would ever look at its state.

    A connection of the project is known by the catalog of its source, where that can be had, else by the streams that
    the project names for it; another one by the states it has.
    """
    from kitestring.errors import ConfigError
    from kitestring.suggest import did_you_mean
    from kitestring.types import COUNTS, GLOBAL

    force = "Add --force to set it all the same."
    in_project = cli.file.file.connections if cli.file is not None else {}
    names = sorted({*in_project, *states.connections()})
    if connection not in names:
        raise ConfigError(
            f"there is no connection {connection}{did_you_mean(connection, names)}",
            hint=(f"These are known: {', '.join(names)}. " if names else "") + force,
        )
    keys = {stream for stream in states.load(connection) if stream not in (COUNTS, GLOBAL)}
    if connection in in_project:
        keys |= keys_of(cli, connection)
    for stream in streams:
        if stream and stream not in keys:
            raise ConfigError(
                f"the connection {connection} has no stream {stream}{did_you_mean(stream, keys)}",
                hint=f"It has: {', '.join(sorted(keys))}. {force}",
            )


def keys_of(cli: CliContext, connection: str) -> set[str]:
    """The keys of the streams of a connection of the project."""
    from kitestring.errors import KitestringError

    run = run_from_project(cli, connection)
    chosen = None if run.streams is None else [selection.name for selection in run.streams]
    try:
        source = run.source()
        try:
            catalog = source.discover()
        finally:
            source.close()
    except KitestringError:
        return set(chosen or ())
    if chosen is None:
        return {stream.key for stream in catalog}
    return {match.key if (match := catalog.get(name)) is not None else name for name in chosen}


def require_state(states: dict[str, State], connection: str, stream: str) -> str:
    from kitestring.errors import ConfigError
    from kitestring.suggest import did_you_mean

    if stream not in states:
        raise ConfigError(
            f"the stream {stream} of {connection} has no state{did_you_mean(stream, states)}",
            hint=f"These have one: {', '.join(states)}.",
        )
    return stream


def text_of(value: Any, lines: bool = True) -> str:
    from kitestring.json_codec import dumps_text

    return dumps_text(value, sort_keys=True, indent=lines)


def parse_object(text: str, what: str) -> dict[str, Any]:
    from kitestring.errors import ConfigError
    from kitestring.json_codec import JsonError, loads

    try:
        value = loads(text)
    except JsonError as error:
        raise ConfigError(f"{what} is not JSON: {error}", hint="Write a JSON object in single quotes.") from None
    if not isinstance(value, dict):
        raise ConfigError(f"{what} is {type(value).__name__}, it should be a JSON object", hint="Write {…}.")
    return value


def confirm(question: str, yes: bool) -> None:
    """Ask for confirmation. Without a terminal, `--yes` is required."""
    from kitestring.errors import ConfigError

    if yes:
        return
    if not sys.stdin.isatty():
        raise ConfigError("this needs a confirmation, and there is no terminal to ask on", hint="Add --yes.")
    if not typer.confirm(question):
        typer.echo("Nothing was changed.")
        raise typer.Exit(1)
