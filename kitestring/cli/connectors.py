"""`kitestring connectors list | search | show`, and what installs them: what there is, and what there could be."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kitestring.cli import install

if TYPE_CHECKING:
    from kitestring.airbyte.connector_index import IndexEntry
    from kitestring.facts import Facts
    from kitestring.registry import Connector

app = typer.Typer(help="What can be read from and written to.", no_args_is_help=True, rich_markup_mode=None)

KIND = Annotated[str, typer.Option(help="source or destination. Default: both.")]
AS_JSON = Annotated[bool, typer.Option("--json", help="As JSON.")]


@app.command("list")
def list_(
    ctx: typer.Context,
    kind: KIND = "",
    all_: Annotated[bool, typer.Option("--all", "-a", help="Those that could be installed too.")] = False,
    as_json: AS_JSON = False,
) -> None:
    """List the connectors: Kitestring's own, the project's, the installed ones; with --all every public one of Airbyte.

    \b
    kitestring connectors list --kind destination
    kitestring connectors list --all --json
    """
    rows = [row for row in everything(ctx, kind) if all_ or row["status"] != "available"]
    shown(rows, as_json)


@app.command()
def search(
    ctx: typer.Context,
    words: Annotated[list[str], typer.Argument(help="Words of a name.")],
    kind: KIND = "",
    as_json: AS_JSON = False,
) -> None:
    """Search all connectors by name: those that are there, and those that could be installed.

    \b
    kitestring connectors search git
    kitestring connectors search google ads
    """
    from kitestring.airbyte.connector_index import search_entries
    from kitestring.errors import ConfigError

    rows = search_entries(" ".join(words), everything(ctx, kind), lambda row: (row["name"], row["title"]))
    if not rows and not as_json:
        raise ConfigError(
            f"no connector has a name like {' '.join(words)}",
            hint="`kitestring connectors update` refreshes the index; any HTTP API: kitestring manifest new.",
        )
    shown(rows, as_json)


@app.command()
def show(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The connector.")],
) -> None:
    """Show one connector: what it is, where it comes from, its options.

    \b
    kitestring connectors show milvus
    kitestring connectors show source-pokeapi
    """
    from kitestring import registry
    from kitestring.airbyte import connector_index
    from kitestring.cli.connector import form_lines, kinds, nearest
    from kitestring.errors import ConfigError

    own = custom(ctx)
    there = [one for kind in kinds("") for one in registry.connectors(kind, own) if one.name == name]
    if not there:
        try:
            there = [registry.connector(nearest(name), name, own)]
        except ConfigError:
            entries = [one for kind in kinds("") if (one := connector_index.index().get(kind, name))]
            if not entries:
                raise
            for entry in entries:
                typer.echo("\n".join(facts(entry)))
                typer.echo(f"not installed: kitestring connectors install {entry.name}\n")
            return
    for each in there:
        typer.echo(f"{each.kind} {each.name}: {summary(each)}\nfrom {origin(each)}")
        typer.echo(declared(each.facts()))
        if each.installation is not None:
            typer.echo("\n".join(facts(each.installation.entry)[1:]))
        typer.echo("\nOptions:\n" + "\n".join(form_lines(each.spec(), "  ")) + "\n")


app.command()(install.install)
app.command()(install.update)
app.command()(install.remove)


def everything(ctx: typer.Context, kind: str) -> Iterator[dict[str, Any]]:
    """Every connector as a row: kind, name, title, status (there, installed, available), from, version, more."""
    from kitestring import registry
    from kitestring.airbyte import connector_index
    from kitestring.airbyte import installed_connectors as installed
    from kitestring.cli.connector import kinds

    here: dict[tuple[str, str], list[str]] = {}
    for one in installed.installations():
        here.setdefault((one.entry.kind, one.entry.name), []).append(one.entry.version)
    index = connector_index.index()
    for each in kinds(kind):
        for connector in registry.connectors(each, custom(ctx)):
            yield {
                "kind": each,
                "name": connector.name,
                "status": "there",
                "from": origin(connector),
                "title": summary(connector),
            }
        known = {entry.name: entry for entry in index.entries if entry.kind == each}
        for one in installed.installations():
            if one.entry.kind == each:
                known.setdefault(one.entry.name, one.entry)
        for entry in known.values():
            versions = here.get((each, entry.name), [])
            yield {
                "kind": each,
                "name": entry.name,
                "status": "installed" if versions else "available",
                "from": f"Airbyte's {entry.road}",
                "title": entry.title,
                "version": installed.current(entry) if versions else entry.version,
                "versions": versions,
                "newest": entry.version,
                "image": entry.image,
                "package": entry.package,
                "language": entry.language,
                "docs": entry.docs,
                "support": entry.support,
                "licence": entry.licence,
                "id": entry.id,
            }


def shown(rows: list[dict[str, Any]], as_json: bool) -> None:
    from kitestring.cli.output import table

    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    table(
        ["Connector", "Kind", "Status", "Version", "What it is"],
        [
            [
                row["name"],
                row["kind"],
                row["status"],
                row.get("version", ""),
                row["title"] + (f" ({row['support']}, {row['licence']})" if "support" in row else ""),
            ]
            for row in rows
        ],
    )


def facts(entry: IndexEntry) -> list[str]:
    """What the index knows of a connector, as lines."""
    how = {
        "manifest": "a manifest, run natively",
        "package": f"the package {entry.package}, in an environment of its own",
        "image": f"the image {entry.image}, run by docker or podman",
    }
    lines = [f"{entry.kind} {entry.name}: {entry.title}"]
    lines.append(f"version {entry.version}, {how[entry.road]}")
    lines.append(f"licence {entry.licence or 'unknown'}, support {entry.support or 'unknown'}")
    return [*lines, entry.docs] if entry.docs else lines


def declared(facts: Facts) -> str:
    """What a connector declares of itself, as a line."""
    network = {None: "network not declared", "none": "no network", "python": "network by Python's sockets"}
    programs = {None: "programs not declared", True: "runs programs", False: "runs no programs"}
    words = [facts.category, network.get(facts.network, "network by a driver"), programs[facts.programs]]
    return ", ".join(word for word in [*words, "searchable" if facts.searchable else ""] if word)


def custom(ctx: typer.Context) -> Path | None:
    """The folder of the project's own manifests; None without a project."""
    from kitestring.cli.exit_codes import given_of

    file = given_of(ctx).file
    return None if file is None else file.connectors


def summary(one: Connector) -> str:
    """The first sentence of its description, or how to install what it needs."""
    from kitestring.errors import ConfigError, KitestringError

    if one.installation is not None:
        return one.installation.entry.title
    try:
        form = one.spec()
    except ConfigError as error:
        return f"({error.hint})"
    except KitestringError as error:  # one that breaks spoils itself alone
        return f"({error.message})"
    text = " ".join(str(form.get("description") or form.get("title") or "").split())
    return text.split(". ")[0].rstrip(".")


def origin(one: Connector) -> str:
    if one.installation is not None:
        return f"{one.installation.folder}, installed {one.installation.at}"
    if one.manifest is not None:
        return f"the manifest {one.manifest.name}"
    return f"the package {one.entry_point.value}" if one.entry_point is not None else f"the module {one.module}"
