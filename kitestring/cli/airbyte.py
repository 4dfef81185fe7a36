"""`kitestring airbyte`: Airbyte's own command lines, spoken by Kitestring."""

from __future__ import annotations

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
    from kitestring.airbyte.manifest import main

    raise typer.Exit(main(ctx.args))
