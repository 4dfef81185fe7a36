"""`kitestring replay`: writes rejected records again."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from kitestring.cli.exit_codes import code_of_result
from kitestring.cli.global_options import CONFIG_HELP, cli_context
from kitestring.cli.sync import cancel_on_signal, run_from_flags, run_from_project, state_store


def replay(
    ctx: typer.Context,
    connection: Annotated[str, typer.Argument(help="The connection whose rejected records to write again.")],
    source: Annotated[str, typer.Option(help="For a sync by flags: its source.", show_default=False)] = "",
    source_config: Annotated[list[str] | None, typer.Option(help=CONFIG_HELP, show_default=False)] = None,
    destination: Annotated[str, typer.Option(help="For a sync by flags: its destination.", show_default=False)] = "",
    destination_config: Annotated[
        list[str] | None, typer.Option(help="Its options, as --source-config.", show_default=False)
    ] = None,
    show: Annotated[bool, typer.Option("--show", help="Only list them: stream, reason, count.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Write rejected records again, after you corrected the cause or the records.

    A sync stores each rejected record with its reason in .kitestring/rejects/CONNECTION.jsonl. Correct the cause, or
    the records in that file. Records that are written now are removed from the file.

    \b
    kitestring replay helpdesk --show
    kitestring replay helpdesk
    """
    from kitestring import engine
    from kitestring.cli import display
    from kitestring.cli.output import count, table
    from kitestring.engine.waits import noted_waits
    from kitestring.library import detach, rejects_at

    cli = cli_context(ctx)
    rejects = rejects_at(cli.home / "rejects")
    if show:
        counts: dict[tuple[str, str], int] = {}
        for entry in rejects.read(connection):
            key = (entry["stream"], str(entry.get("reason", "")))
            counts[key] = counts.get(key, 0) + 1
        if as_json:
            typer.echo(json.dumps([{"stream": s, "reason": r, "count": n} for (s, r), n in counts.items()], indent=2))
        elif counts:
            table(["Stream", "Reason", "Records"], [[s, r, count(n)] for (s, r), n in counts.items()], right=(2,))
            typer.echo(str(rejects.path(connection)))
        else:
            typer.echo(f"{connection} has no rejected records ({rejects.path(connection)}).")
        return
    if source or destination:
        run = run_from_flags(cli, source, source_config, destination, destination_config)
    else:
        run = run_from_project(cli, connection)
    progress = engine.Progress()
    with cancel_on_signal() as cancel, noted_waits(progress), display.live(connection, progress, quiet=as_json):
        result = engine.replay(
            detach(run.source()),
            detach(run.destination()),
            rejects,
            connection,
            run.streams,
            states=None if cli.server else state_store(cli, ""),
            prefix=run.prefix,
            namespace=run.namespace,
            progress=progress,
            cancel=cancel,
        )
    if as_json:
        typer.echo(cli.secrets.text(json.dumps(result.as_dict(), indent=2)))
    else:
        display.summary(result, cli.secrets)
    raise typer.Exit(code_of_result(result))
