"""`kitestring connectors install | update | remove`: Airbyte's public connectors, fetched, upgraded and deleted."""

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
SHOWN = 12
"""How many lines of each kind the summary of an update shows."""


def install(
    ctx: typer.Context,
    names: Annotated[list[str], typer.Argument(help="Connectors: source-pokeapi, or source-pokeapi@0.3.50.")],
    registry: REGISTRY = "",
    python: Annotated[str, typer.Option(help="For a package: another Python than this one.", show_default=False)] = "",
    force: Annotated[bool, typer.Option("--force", help="Fetch again what is there already.")] = False,
) -> None:
    """Install public connectors of Airbyte: a manifest from its registry, or a package from PyPI.

    Without @VERSION the newest one that the index knows is installed. What is there already is not fetched again.

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
        entry, version = named(name)
        wanted = replace(entry, version=version or entry.version)
        before = installed_connectors.current(entry)
        known = installed_connectors.installed(entry.kind, entry.name, wanted.version)
        if known is None or force:
            wanted = installed_connectors.facts(entry, wanted.version, remote)
            warned(wanted, before)
        done = installed_connectors.install(wanted, registry=remote, python=python, force=force)
        told(done.entry, "is there already" if known is not None and not force else "installed")
        if installed_connectors.COMPONENTS in done.sha256:
            typer.echo("  its manifest names Python classes: their file is kept beside it, nothing of it was run")
        pins = pinned(ctx, done.entry)
        if pins is not None:
            others = ", ".join(f"{name} ({version})" for _, name, version in pins if version != done.entry.version)
            if others:
                typer.echo(f"  pinned to another version in the project file: {others}")
            elif not pins:
                typer.echo(f'  pin it in kitestring.yaml, beside `connector`: version: "{done.entry.version}"')


def update(
    ctx: typer.Context,
    names: Annotated[list[str] | None, typer.Argument(help="Installed connectors to upgrade.")] = None,
    registry: REGISTRY = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Accept breaking changes.")] = False,
) -> None:
    """Refresh the index of connectors, and say what changed; with names, upgrade these to their newest version.

    An upgrade shows the breaking changes on the way and waits for --yes where there are any. It also writes the new
    version into the project file where that pins the old one. Nothing is upgraded without being named.

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
    summary(connector_index.difference(before.entries, entries), len(entries))
    for name in names or ():
        upgrade(ctx, name, remote, yes)


def upgrade(ctx: typer.Context, name: str, remote: RegistryClient, yes: bool) -> None:
    """One connector to the newest version of the index, and the pins of the project file with it."""
    from kitestring.airbyte import installed_connectors
    from kitestring.cli.exit_codes import given_of
    from kitestring.errors import ConfigError

    entry, version = named(name)
    pins = pinned(ctx, entry) or []
    old = [one for one in {installed_connectors.current(entry), *(pin for _, _, pin in pins)} if one]
    if not old:
        raise ConfigError(
            f"{entry.name} is not installed, so it cannot be upgraded",
            hint=f"Install it: kitestring connectors install {entry.name}",
        )
    wanted = installed_connectors.facts(entry, version or entry.version, remote)
    changes: dict[str, Change] = {}
    for one in old:
        changes |= {change.version: change for change in wanted.breaking(one, wanted.version)}
    if changes:
        typer.echo(f"breaking changes of {entry.name} on the way to {wanted.version}:")
        for change in changes.values():
            typer.echo(change_line(change))
        if not yes:
            raise ConfigError(
                f"{entry.name} stays at {', '.join(sorted(old))}: the way to {wanted.version} has breaking changes",
                hint=f"When you are ready for them: kitestring connectors update {name} --yes",
            )
    done = installed_connectors.install(wanted, registry=remote)
    told(done.entry, "upgraded" if [wanted.version] != old else "is at its newest version")
    project = given_of(ctx).file
    for kind, source, pin in pins:
        if project is not None and pin != wanted.version:
            place = project.place(f"{kind}s", source, "version")
            if project.repin(kind, source, wanted.version):
                typer.echo(f"  {place}: version {pin} is now {wanted.version}")
            else:
                typer.echo(f"  {place}: write the new version yourself, it stands there in an unusual form")


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
        wanted = {plain(bare), f"source-{plain(bare)}", f"destination-{plain(bare)}"}
        found = [
            one
            for one in installed_connectors.installations()
            if one.entry.name in wanted and version in ("", one.entry.version)
        ]
        if not found:
            there = ", ".join(f"{one.entry.name}@{one.entry.version}" for one in installed_connectors.installations())
            raise ConfigError(f"{name} is not installed", hint=f"Installed: {there or 'none'}.")
        for one in found:
            installed_connectors.remove(one)
            typer.echo(f"removed {one.entry.name}@{one.entry.version}")


def named(name: str) -> tuple[IndexEntry, str]:
    """The entry of a name in the index, or of an installation, and the version that stands behind the @."""
    from kitestring import registry
    from kitestring.airbyte import connector_index, installed_connectors
    from kitestring.cli.connector import kinds, nearest
    from kitestring.errors import ConfigError

    bare, _, version = name.partition("@")
    index = connector_index.index()
    found = [one for kind in kinds("") if (one := index.get(kind, bare))]
    if not found:
        found = [there.entry for kind in kinds("") if (there := installed_connectors.installed(kind, bare))]
    if len(found) == 1:
        return found[0], version
    if found:
        raise ConfigError(
            f"{bare} is a source and a destination", hint=f"Say which: {' or '.join(one.name for one in found)}."
        )
    own = [one for kind in kinds("") for one in registry.connectors(kind) if one.name == bare.replace("-", "_")]
    if own:
        raise ConfigError(f"{bare} comes with Kitestring, there is nothing to install", hint="Use it by this name.")
    registry.connector(nearest(bare), f"{bare}@{version or 'newest'}")  # raises, with the nearest name
    raise AssertionError


def pinned(ctx: typer.Context, entry: IndexEntry) -> list[tuple[Kind, str, str]] | None:
    """Kind, name and version of what the project file pins; None without a project file."""
    from kitestring.cli.exit_codes import given_of

    project = given_of(ctx).file
    return None if project is None else project.pins(entry.name)


def told(entry: IndexEntry, what: str) -> None:
    typer.echo(f"{entry.name}@{entry.version} {what} ({entry.title}, licence {entry.licence or 'unknown'})")
    if entry.licence and entry.licence.lower() not in ("mit", "apache-2.0"):
        typer.echo(f"  {entry.licence} is not an open-source licence: read it before you offer this to others")


def warned(wanted: IndexEntry, before: str) -> None:
    """Say what an installation of a newer version breaks; it is asked for by name, so it is not held up."""
    if before:
        for change in wanted.breaking(before, wanted.version):
            typer.echo(f"breaking change since {before}:\n{change_line(change)}", err=True)


def change_line(change: Change) -> str:
    until = f" (until {change.deadline})" if change.deadline else ""
    return f"  {change.version}{until}: {change.message}" + (f"\n    {change.docs}" if change.docs else "")


def summary(found: object, count: int) -> None:
    """What a refresh of the index changed."""
    from kitestring.airbyte.connector_index import Difference
    from kitestring.airbyte.installed_connectors import installations

    assert isinstance(found, Difference)
    typer.echo(
        f"{count} connectors in the index: {len(found.added)} new, {len(found.removed)} gone, "
        f"{len(found.changed)} with another version"
    )
    lines = [f"  new   {one.name} {one.version}: {one.title}" for one in found.added]
    cut(lines)
    cut([f"  gone  {one.name}" for one in found.removed])
    here = {(one.entry.kind, one.entry.name) for one in installations()}
    mine = [pair for pair in found.changed if (pair[1].kind, pair[1].name) in here]
    cut([f"  {new.name} {old.version} is now {new.version} (installed)" for old, new in mine])
    for entry, change in found.breaking():
        if (entry.kind, entry.name) in here:
            typer.echo(f"  breaking change of {entry.name}:\n{change_line(change)}")


def cut(lines: list[str]) -> None:
    for line in lines[:SHOWN]:
        typer.echo(line)
    if len(lines) > SHOWN:
        typer.echo(f"  and {len(lines) - SHOWN} more")
