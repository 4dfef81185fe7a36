"""`kitestring connectors list | show`: what there is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from kitestring.registry import Connector

app = typer.Typer(help="What can be read from and written to.", no_args_is_help=True, rich_markup_mode=None)


@app.command("list")
def list_(
    kind: Annotated[str, typer.Option(help="source or destination. Default: both.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """List the connectors.

    \b
    kitestring connectors list --kind destination
    """
    from kitestring import registry
    from kitestring.cli.connector import kinds
    from kitestring.cli.output import table

    found = [one for kind in kinds(kind) for one in registry.connectors(kind)]
    if as_json:
        typer.echo(json.dumps([{"kind": c.kind, "name": c.name, "from": origin(c)} for c in found], indent=2))
        return
    table(["Connector", "Kind", "What it is"], [[one.name, one.kind, summary(one)] for one in found])


@app.command()
def show(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The connector.")],
) -> None:
    """Show one connector: what it is, where it comes from, its options.

    \b
    kitestring connectors show milvus
    """
    from kitestring import registry
    from kitestring.cli.connector import form_lines, kinds, nearest

    found = [one for kind in kinds("") for one in registry.connectors(kind) if one.name == name]
    for one in found or [registry.connector(nearest(name), name)]:
        typer.echo(f"{one.kind} {one.name}: {summary(one)}\nfrom {origin(one)}\n\nOptions:")
        typer.echo("\n".join(form_lines(one.spec(), "  ")) + "\n")


def summary(one: Connector) -> str:
    """The first sentence of its description, or how to install what it needs."""
    from kitestring.errors import ConfigError

    try:
        form = one.spec()
    except ConfigError as error:
        return f"({error.hint})"
    text = " ".join(str(form.get("description") or form.get("title") or "").split())
    return text.split(". ")[0].rstrip(".")


def origin(one: Connector) -> str:
    if one.manifest is not None:
        return f"the manifest {one.manifest.name}"
    return f"the package {one.entry_point.value}" if one.entry_point is not None else f"the module {one.module}"
