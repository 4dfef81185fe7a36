"""`kitestring version`."""

from __future__ import annotations

from typing import Annotated

import typer


def print_version(wanted: bool) -> None:
    """Show the version alone, for `--version`."""
    if wanted:
        from kitestring import __version__

        typer.echo(f"kitestring {__version__}")
        raise typer.Exit


def version(as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """Show the versions of Kitestring, Python and the system; put them into a bug report."""
    import json
    import platform

    from kitestring import __version__

    facts = {"kitestring": __version__, "python": platform.python_version(), "system": platform.platform()}
    typer.echo(json.dumps(facts) if as_json else "\n".join(f"{key} {value}" for key, value in facts.items()))
