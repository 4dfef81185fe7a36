"""`kitestring connectors install | update | remove`: Airbyte's public connectors, install, upgrade and remove."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from kitestring.airbyte.connector_index import Change, IndexEntry, Kind
    from kitestring.airbyte.registry_client import RegistryClient

REGISTRY = Annotated[
    str,
    typer.Option(
        envvar="KITESTRING_REGISTRY_URL",
        help="A mirror of the connector registry. Default: https://connectors.airbyte.com/files",
        show_default=False,
    ),
]
MOST_LINES = 12
"""How many lines of each kind the summary of an update shows."""


def install(
    ctx: typer.Context,
    names: Annotated[list[str], typer.Argument(help="Connectors: source-pokeapi, or source-pokeapi@0.3.50.")],
    registry: REGISTRY = "",
    python: Annotated[str, typer.Option(help="For a package: another Python than this one.", show_default=False)] = "",
    force: Annotated[bool, typer.Option("--force", help="Download installed versions again.")] = False,
) -> None:
    """Install public connectors of Airbyte: a manifest from its registry, or a package from PyPI.

    Without @VERSION, this installs the newest version in the index. An installed version is not downloaded again.

    \b
    kitestring connectors install source-pokeapi
    kitestring connectors install source-faker@6.2.21 --python 3.11
    kitestring connectors install source-pokeapi --registry https://mirror.example.com/files
    """
    from dataclasses import replace

    from kitestring.airbyte import installed_connectors
    from kitestring.airbyte.registry_client import RegistryClient

    remote = RegistryClient(registry)
    for name in names:
        entry, version = entry_and_version(name)
        target = replace(entry, version=version or entry.version)
        before = installed_connectors.current(entry)
        existing = installed_connectors.installed(entry.kind, entry.name, target.version)
        if existing is None or force:
            target = installed_connectors.facts(entry, target.version, remote)
            warn_of_breaking_changes(target, before)
        done = installed_connectors.install(target, registry=remote, python=python, force=force)
        print_entry(done.entry, "is there already" if existing is not None and not force else "installed")
        if installed_connectors.COMPONENTS in done.sha256:
            typer.echo("  its manifest names Python classes: their file is kept beside it, nothing of it was run")
        pins = pins_of(ctx, done.entry)
        if pins is not None:
            other_versions = ", ".join(
                f"{name} ({version})" for _, name, version in pins if version != done.entry.version
            )
            if other_versions:
                typer.echo(f"  pinned to another version in the project file: {other_versions}")
            elif not pins:
                typer.echo(f'  pin it in kitestring.yaml, beside `connector`: version: "{done.entry.version}"')


def update(
    ctx: typer.Context,
    names: Annotated[list[str] | None, typer.Argument(help="Installed connectors to upgrade.")] = None,
    registry: REGISTRY = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Accept breaking changes.")] = False,
) -> None:
    """Refresh the index of connectors and list the changes; with names, upgrade these to their newest version.

    An upgrade shows the breaking changes. If there are any, it needs --yes. It also updates a version that the project
    file pins. Only connectors that you name are upgraded.

    \b
    kitestring connectors update
    kitestring connectors update source-pokeapi
    """
    from kitestring.airbyte import connector_index
    from kitestring.airbyte.registry_client import RegistryClient

    remote = RegistryClient(registry)
    before = connector_index.index()
    entries = remote.entries()
    connector_index.save(entries)
    show_difference(connector_index.difference(before.entries, entries), len(entries))
    for name in names or ():
        upgrade(ctx, name, remote, yes)


def upgrade(ctx: typer.Context, name: str, remote: RegistryClient, yes: bool) -> None:
    """One connector to the newest version of the index, and the pins of the project file with it."""
    from kitestring.airbyte import installed_connectors
    from kitestring.cli.global_options import cli_context
    from kitestring.errors import ConfigError

    entry, version = entry_and_version(name)
    pins = pins_of(ctx, entry) or []
    old_versions = [
        old_version
        for old_version in {installed_connectors.current(entry), *(pin for _, _, pin in pins)}
        if old_version
    ]
    if not old_versions:
        raise ConfigError(
            f"{entry.name} is not installed, so it cannot be upgraded",
            hint=f"Install it: kitestring connectors install {entry.name}",
        )
    target = installed_connectors.facts(entry, version or entry.version, remote)
    changes: dict[str, Change] = {}
    for old_version in old_versions:
        changes |= {change.version: change for change in target.breaking(old_version, target.version)}
    if changes:
        typer.echo(f"breaking changes of {entry.name} on the way to {target.version}:")
        for change in changes.values():
            typer.echo(change_line(change))
        if not yes:
            raise ConfigError(
                f"{entry.name} stays at {', '.join(sorted(old_versions))}: "
                f"the way to {target.version} has breaking changes",
                hint=f"When you are ready for them: kitestring connectors update {name} --yes",
            )
    done = installed_connectors.install(target, registry=remote)
    print_entry(done.entry, "upgraded" if [target.version] != old_versions else "is at its newest version")
    project = cli_context(ctx).file
    for kind, source, pin in pins:
        if project is not None and pin != target.version:
            place = project.place(f"{kind}s", source, "version")
            if project.repin(kind, source, target.version):
                typer.echo(f"  {place}: version {pin} is now {target.version}")
            else:
                typer.echo(f"  {place}: write the new version yourself: the old one has an unusual form")


def remove(
    names: Annotated[list[str], typer.Argument(help="Installed connectors: source-pokeapi, or with @VERSION.")],
) -> None:
    """Delete installed connectors, all versions or the one named, with their environments.

    \b
    kitestring connectors remove source-pokeapi
    kitestring connectors remove source-pokeapi@0.3.50
    """
    from kitestring.airbyte import installed_connectors
    from kitestring.airbyte.connector_index import plain
    from kitestring.errors import ConfigError

    for name in names:
        bare, _, version = name.partition("@")
        spellings = {plain(bare), f"source-{plain(bare)}", f"destination-{plain(bare)}"}
        matches = [
            installation
            for installation in installed_connectors.installations()
            if installation.entry.name in spellings and version in ("", installation.entry.version)
        ]
        if not matches:
            installed = ", ".join(
                f"{installation.entry.name}@{installation.entry.version}"
                for installation in installed_connectors.installations()
            )
            raise ConfigError(f"{name} is not installed", hint=f"Installed: {installed or 'none'}.")
        for installation in matches:
            installed_connectors.remove(installation)
            typer.echo(f"removed {installation.entry.name}@{installation.entry.version}")


def entry_and_version(name: str) -> tuple[IndexEntry, str]:
    """The entry of a name in the index, or of an installation, and the version after the @."""
    from kitestring import registry
    from kitestring.airbyte import connector_index, installed_connectors
    from kitestring.cli.connector import kinds, nearest
    from kitestring.errors import ConfigError

    bare, _, version = name.partition("@")
    index = connector_index.index()
    entries = [entry for kind in kinds("") if (entry := index.get(kind, bare))]
    if not entries:
        entries = [
            installation.entry for kind in kinds("") if (installation := installed_connectors.installed(kind, bare))
        ]
    if len(entries) == 1:
        return entries[0], version
    if entries:
        raise ConfigError(
            f"{bare} is a source and a destination", hint=f"Say which: {' or '.join(entry.name for entry in entries)}."
        )
    if any(own.name == bare.replace("-", "_") for kind in kinds("") for own in registry.connectors(kind)):
        raise ConfigError(f"{bare} comes with Kitestring, there is nothing to install", hint="Use it by this name.")
    registry.connector(nearest(bare), f"{bare}@{version or 'newest'}")  # raises, with the nearest name
    raise AssertionError


def pins_of(ctx: typer.Context, entry: IndexEntry) -> list[tuple[Kind, str, str]] | None:
    """Kind, name and version of what the project file pins; None without a project file."""
    from kitestring.cli.global_options import cli_context

    project = cli_context(ctx).file
    return None if project is None else project.pins(entry.name)


def print_entry(entry: IndexEntry, what: str) -> None:
    typer.echo(f"{entry.name}@{entry.version} {what} ({entry.title}, licence {entry.licence or 'unknown'})")
    if entry.licence and entry.licence.lower() not in ("mit", "apache-2.0"):
        typer.echo(f"  {entry.licence} is not an open-source licence: read it before you offer this to others")


def warn_of_breaking_changes(target: IndexEntry, before: str) -> None:
    """Print the breaking changes of a newer version. The user named it, so it is installed."""
    if before:
        for change in target.breaking(before, target.version):
            typer.echo(f"breaking change since {before}:\n{change_line(change)}", err=True)


def change_line(change: Change) -> str:
    until = f" (until {change.deadline})" if change.deadline else ""
    return f"  {change.version}{until}: {change.message}" + (f"\n    {change.docs}" if change.docs else "")


def show_difference(difference: object, count: int) -> None:
    """Print what a refresh of the index changed."""
    from kitestring.airbyte.connector_index import Difference
    from kitestring.airbyte.installed_connectors import installations

    assert isinstance(difference, Difference)
    typer.echo(
        f"{count} connectors in the index: {len(difference.added)} new, {len(difference.removed)} gone, "
        f"{len(difference.changed)} with another version"
    )
    lines = [f"  new   {entry.name} {entry.version}: {entry.title}" for entry in difference.added]
    print_lines(lines)
    print_lines([f"  gone  {entry.name}" for entry in difference.removed])
    installed = {(installation.entry.kind, installation.entry.name) for installation in installations()}
    mine = [pair for pair in difference.changed if (pair[1].kind, pair[1].name) in installed]
    print_lines([f"  {new.name} {old.version} is now {new.version} (installed)" for old, new in mine])
    for entry, change in difference.breaking():
        if (entry.kind, entry.name) in installed:
            typer.echo(f"  breaking change of {entry.name}:\n{change_line(change)}")


def print_lines(lines: list[str]) -> None:
    for line in lines[:MOST_LINES]:
        typer.echo(line)
    if len(lines) > MOST_LINES:
        typer.echo(f"  and {len(lines) - MOST_LINES} more")
