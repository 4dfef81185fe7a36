"""`kitestring airbyte`: Airbyte's own command lines, spoken by Kitestring."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(
    help="Speak Airbyte's connector protocol.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.callback()
def airbyte() -> None:
    """Speak Airbyte's connector protocol."""


@app.command(
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []},
    add_help_option=False,
)
def manifest(ctx: typer.Context) -> None:
    """Run a low-code manifest as an Airbyte source: spec, check, discover, read.

    \b
    kitestring airbyte manifest spec --manifest-path manifest.yaml
    kitestring airbyte manifest read --manifest-path manifest.yaml --config config.json --catalog catalog.json
    """
    from kitestring.airbyte.manifest_command import main

    raise typer.Exit(main(ctx.args))


@app.command(
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []},
    add_help_option=False,
)
def run(ctx: typer.Context) -> None:
    """Run a source or destination of Kitestring as an Airbyte connector.

    \b
    kitestring airbyte run sample spec
    kitestring airbyte run source-sample read --config config.json --catalog catalog.json
    kitestring airbyte run destination-milvus write --config config.json --catalog catalog.json < messages
    """
    from kitestring import engine, registry
    from kitestring.airbyte.serve import main

    raise typer.Exit(main(ctx.args, registry.connector, engine))  # type: ignore[arg-type]


@app.command()
def script(
    name: Annotated[str, typer.Argument(help="A connector with its kind: source-sample, destination-milvus.")],
    folder: Annotated[str, typer.Argument(help="Where to put the file.")] = ".",
) -> None:
    """Write an executable file that is this connector, for tools that want one (PyAirbyte's `local_executable`).

    \b
    kitestring airbyte script source-sample bin       writes bin/source-sample
    """
    import sys

    from kitestring import registry
    from kitestring.airbyte import serve

    kind = "destination" if name.startswith("destination-") else "source"
    if not name.startswith(f"{kind}-"):
        raise typer.BadParameter(f"write source-{name} or destination-{name}")
    registry.connector(kind, name)  # type: ignore[arg-type]
    typer.echo(serve.script(name, folder, sys.executable))


@app.command()
def spec(
    connector: Annotated[str, typer.Argument(help="A package (airbyte-source-github==2.7.1), a path, or an image.")],
    python: Annotated[str, typer.Option(help="Another Python for a package.", show_default=False)] = "",
) -> None:
    """Show what a foreign connector says of itself: its SPEC message, with the form of its configuration.

    \b
    kitestring airbyte spec airbyte-source-github==2.7.1
    kitestring airbyte spec airbyte/source-postgres:3.7.0
    """
    import json
    from pathlib import Path

    from kitestring.airbyte.source import AirbyteSource

    kind = "path" if Path(connector).expanduser().is_file() else "image" if "/" in connector else "package"
    settings = {kind: connector, **({"python": python} if python else {})}
    typer.echo(json.dumps(AirbyteSource.load(settings, "airbyte").spec_of_connector(), indent=2))
