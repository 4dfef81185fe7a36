"""`kitestring connectors`: list, search, show and install connectors."""

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

app = typer.Typer(help="List, search, show and install connectors.", no_args_is_help=True, rich_markup_mode=None)

KIND = Annotated[str, typer.Option(help="source or destination. Default: both.")]
AS_JSON = Annotated[bool, typer.Option("--json", help="As JSON.")]


@app.command("list")
def list_(
    ctx: typer.Context,
    kind: KIND = "",
    all_: Annotated[bool, typer.Option("--all", "-a", help="Installable connectors too.")] = False,
    as_json: AS_JSON = False,
) -> None:
    """List the connectors: Kitestring's own, the project's, the installed ones; with --all every public one of Airbyte.

    \b
    kitestring connectors list --kind destination
    kitestring connectors list --all --json
    """
    rows = [row for row in connector_rows(ctx, kind) if all_ or row["status"] != "available"]
    show_rows(rows, as_json)


@app.command()
def search(
    ctx: typer.Context,
    words: Annotated[list[str], typer.Argument(help="Words of a name.")],
    kind: KIND = "",
    as_json: AS_JSON = False,
) -> None:
    """Search installed and installable connectors by name.

    \b
    kitestring connectors search git
    kitestring connectors search google ads
    """
    from kitestring.airbyte.connector_index import search_entries
    from kitestring.errors import ConfigError

    rows = search_entries(" ".join(words), connector_rows(ctx, kind), lambda row: (row["name"], words_of(row)))
    if not rows and not as_json:
        raise ConfigError(
            f"no connector has a name like {' '.join(words)}",
            hint="`kitestring connectors update` refreshes the index; any HTTP API: kitestring manifest new.",
        )
    show_rows(rows, as_json)


@app.command()
def show(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The connector.")],
) -> None:
    """Show a connector: its description, origin and options.

    \b
    kitestring connectors show milvus
    kitestring connectors show source-pokeapi
    """
    from kitestring import registry
    from kitestring.airbyte import connector_index
    from kitestring.cli.connector import form_lines, kinds, nearest
    from kitestring.errors import ConfigError

    folder = manifest_folder(ctx)
    connectors = [
        connector for kind in kinds("") for connector in registry.connectors(kind, folder) if connector.name == name
    ]
    if not connectors:
        try:
            connectors = [registry.connector(nearest(name), name, folder)]
        except ConfigError:
            entries = [entry for kind in kinds("") if (entry := connector_index.index().get(kind, name))]
            if not entries:
                raise
            for entry in entries:
                typer.echo("\n".join(entry_lines(entry)))
                typer.echo(f"not installed: kitestring connectors install {entry.name}\n")
            return
    for connector in connectors:
        typer.echo(f"{connector.kind} {connector.name}: {described(connector)}\nfrom {origin(connector)}")
        typer.echo(facts_line(connector.facts()))
        if connector.installation is not None:
            typer.echo("\n".join(entry_lines(connector.installation.entry)[1:]))
        typer.echo("\nOptions:\n" + "\n".join(form_lines(connector.spec(), "  ")) + "\n")


app.command()(install.install)
app.command()(install.update)
app.command()(install.remove)


def connector_rows(ctx: typer.Context, kind: str) -> Iterator[dict[str, Any]]:
    """Every connector as a row: kind, name, title, status (there, installed, available), from, version, more."""
    from kitestring import registry
    from kitestring.airbyte import connector_index, installed_connectors
    from kitestring.cli.connector import kinds

    installed_versions: dict[tuple[str, str], list[str]] = {}
    for installation in installed_connectors.installations():
        installed_versions.setdefault((installation.entry.kind, installation.entry.name), []).append(
            installation.entry.version
        )
    index = connector_index.index()
    for connector_kind in kinds(kind):
        for connector in registry.connectors(connector_kind, manifest_folder(ctx)):
            yield {
                "kind": connector_kind,
                "name": connector.name,
                "status": "there",
                "from": origin(connector),
                "title": connector.title(),
                "summary": summary(connector),
            }
        entries = {entry.name: entry for entry in index.entries if entry.kind == connector_kind}
        for installation in installed_connectors.installations():
            if installation.entry.kind == connector_kind:
                entries.setdefault(installation.entry.name, installation.entry)
        for entry in entries.values():
            versions = installed_versions.get((connector_kind, entry.name), [])
            yield {
                "kind": connector_kind,
                "name": entry.name,
                "status": "installed" if versions else "available",
                "from": f"Airbyte's {entry.road}",
                "title": entry.title,
                "version": installed_connectors.current(entry) if versions else entry.version,
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


def show_rows(rows: list[dict[str, Any]], as_json: bool) -> None:
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
                words_of(row) + (f" ({row['support']}, {row['licence']})" if "support" in row else ""),
            ]
            for row in rows
        ],
    )


def words_of(row: dict[str, Any]) -> str:
    """The name and the description of a connector's row."""
    return f"{row['title']}: {row['summary']}" if row.get("summary") else str(row["title"])


def described(connector: Connector) -> str:
    return words_of({"title": connector.title(), "summary": summary(connector)})


def entry_lines(entry: IndexEntry) -> list[str]:
    """The index entry of a connector, as lines."""
    how = {
        "manifest": "a manifest, run natively",
        "package": f"the package {entry.package}, in an environment of its own",
        "image": f"the image {entry.image}, run by docker or podman",
    }
    lines = [f"{entry.kind} {entry.name}: {entry.title}"]
    lines.append(f"version {entry.version}, {how[entry.road]}")
    lines.append(f"licence {entry.licence or 'unknown'}, support {entry.support or 'unknown'}")
    return [*lines, entry.docs] if entry.docs else lines


def facts_line(facts: Facts) -> str:
    """The declared facts of a connector, as a line."""
    network = {None: "network not declared", "none": "no network", "python": "network by Python's sockets"}
    programs = {None: "programs not declared", True: "runs programs", False: "runs no programs"}
    parts = [facts.category, network.get(facts.network, "network by a driver"), programs[facts.programs]]
    parts += ["searchable" if facts.searchable else "", "follows changes" if facts.follows_changes else ""]
    return ", ".join(filter(None, parts))


def manifest_folder(ctx: typer.Context) -> Path | None:
    """The folder of the project's own manifests; None without a project."""
    from kitestring.cli.global_options import cli_context

    file = cli_context(ctx).file
    return None if file is None else file.connectors


def summary(connector: Connector) -> str:
    """The data it moves, or how to install what it needs; empty for an installed connector."""
    from kitestring.errors import ConfigError, KitestringError

    if connector.installation is not None:
        return ""
    try:
        if declared := connector.facts().summary:
            return declared
        form = connector.spec()
    except ConfigError as error:
        return f"({error.hint})"
    except KitestringError as error:  # a broken connector does not hide the others
        return f"({error.message})"
    text = " ".join(str(form.get("description") or "").split())
    return text.split(". ")[0].rstrip(".")


def origin(connector: Connector) -> str:
    if connector.installation is not None:
        return f"{connector.installation.folder}, installed {connector.installation.at}"
    if connector.manifest is not None:
        return f"the manifest {connector.manifest.name}"
    return (
        f"the package {connector.entry_point.value}"
        if connector.entry_point is not None
        else f"the module {connector.module}"
    )
