"""Assembles the commands, and turns errors into an exit code and two lines."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from kitestring.cli import (
    airbyte,
    ask,
    config_as_code,
    connector,
    connectors,
    demo,
    evaluate,
    init,
    jobs,
    manifest,
    manifest_transfer,
    new,
    replay,
    search,
    server,
    similar,
    state,
    store,
    sync,
    users,
    version,
)
from kitestring.cli.exit_codes import report_error
from kitestring.cli.global_options import CliContext

GLOBAL_FLAGS = {"--debug": 0, "--server": 1, "--project": 1, "-p": 1, "--log-level": 1, "--log-format": 1}
"""Options of `kitestring` itself, with how many values they take. They may appear anywhere on the line."""


class Group(TyperGroup):
    """The command group: takes the global options anywhere on the line, and turns errors into two lines."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, global_options_first(args))

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # the reader of our output has gone (`| head`)
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None
        except KeyboardInterrupt:
            raise typer.Exit(130) from None
        except Exception as error:
            if type(error).__module__.split(".")[0] in ("typer", "click"):  # usage errors and exits: theirs to show
                raise
            raise typer.Exit(report_error(error, ctx.obj)) from None


def global_options_first(args: list[str]) -> list[str]:
    """The arguments with the global options in front, up to a `--`."""
    front: list[str] = []
    rest: list[str] = []
    number = 0
    while number < len(args):
        argument = args[number]
        if argument == "--" or (not rest and argument == "airbyte"):  # that one has a command line of its own
            rest.extend(args[number:])
            break
        count = GLOBAL_FLAGS.get(argument.split("=", 1)[0])
        if count is None:
            rest.append(argument)
        elif "=" in argument:
            front.append(argument)
        else:
            front.extend(args[number : number + 1 + count])
            number += count
        number += 1
    return front + rest


app = typer.Typer(
    cls=Group,
    help="""Move data into the places where it is searched.

    Kitestring reads from sources (help desks, APIs, databases, files) and writes to destinations (vector databases
    first). It works by a project file, kitestring.yaml, or by flags alone.

    \b
    Start here:
      kitestring demo                   see it work, offline, in a minute
      kitestring init                   write a commented kitestring.yaml
      kitestring check                  test every connector of the project
      kitestring sync                   run its connections
      kitestring search "late parcel"   search what was synced
      kitestring ask "is it on its way?" answer a question from it

    \b
    Without a project file:
      kitestring sync --source sample --destination duckdb --destination-config path=try.duckdb
      kitestring read sample users --limit 3
    """,
    epilog="Exit codes: 0 succeeded, 1 failed, 2 usage, configuration or credentials, 3 suspicious, 130 cancelled.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


@app.callback()
def options(
    ctx: typer.Context,
    project: Annotated[
        str,
        typer.Option(
            "--project",
            "-p",
            envvar="KITESTRING_PROJECT",
            help="The project file. Default: kitestring.yaml here or in a folder above.",
            show_default=False,
        ),
    ] = "",
    server_url: Annotated[
        str,
        typer.Option(
            "--server",
            envvar="KITESTRING_SERVER",
            help="The address of a server: sync, check, search, state and jobs are about it, not about this folder. "
            "Credentials: KITESTRING_TOKEN, or KITESTRING_CLIENT_ID and KITESTRING_CLIENT_SECRET.",
            show_default=False,
        ),
    ] = "",
    debug: Annotated[bool, typer.Option("--debug", help="Log everything, and show tracebacks.")] = False,
    log_level: Annotated[
        str,
        typer.Option(
            help="debug, info, warning or error. Default: warning on a terminal, else info.", show_default=False
        ),
    ] = "",
    log_format: Annotated[
        str, typer.Option(help="text or json. Default: text on a terminal, else json.", show_default=False)
    ] = "",
    version_wanted: Annotated[
        bool,
        typer.Option("--version", callback=version.print_version, is_eager=True, help="Show the version, and exit."),
    ] = False,
) -> None:
    from kitestring.cli import log_output

    if log_level and log_level.lower() not in log_output.LEVELS:
        raise typer.BadParameter(f"{log_level} is not one of {', '.join(log_output.LEVELS)}", param_hint="--log-level")
    if log_format not in ("", "text", "json"):
        raise typer.BadParameter(f"{log_format} is neither text nor json", param_hint="--log-format")
    ctx.obj = CliContext(project=project, debug=debug, server=server_url)
    log_output.begin(log_level.lower() or ("debug" if debug else ""), log_format, ctx.obj.secrets)


app.command()(demo.demo)
app.command()(init.init)
app.command()(connector.check)
app.command()(sync.sync)
app.command()(search.search)
app.command()(ask.ask)
app.command()(similar.similar)
app.command("eval")(evaluate.evaluate)
app.command()(connector.discover)
app.command()(connector.read)
app.command()(connector.spec)
app.add_typer(connectors.app, name="connectors")
manifest.app.command()(manifest_transfer.pull)
manifest.app.command()(manifest_transfer.push)
app.add_typer(manifest.app, name="manifest")
app.add_typer(new.app, name="new")
app.add_typer(state.app, name="state")
app.command()(replay.replay)
app.command()(init.schema)
app.add_typer(users.app, name="user")
app.add_typer(users.secrets, name="secrets")
app.add_typer(store.app, name="store")
app.add_typer(jobs.app, name="jobs")
app.command()(config_as_code.plan)
app.command()(config_as_code.apply)
app.command()(config_as_code.export)
app.command()(server.up)
app.command()(server.api)
app.command()(server.worker)
app.add_typer(airbyte.app, name="airbyte")
app.command()(version.version)
