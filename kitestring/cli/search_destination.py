"""The destination that a search of the command line is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kitestring.cli.global_options import CliContext

if TYPE_CHECKING:
    from kitestring.library import DestinationHandle


def searchable_destination(cli: CliContext, name: str, destination: str, config: list[str] | None) -> DestinationHandle:
    """The destination to search: named, that of a connection, or the only one of the project."""
    from kitestring.errors import ConfigError

    if destination:
        return cli.destination(destination, config)
    file = cli.needed.file
    if name in file.connections:
        return cli.destination(file.connections[name].destination, config)
    if name:
        if name in file.destinations:
            return cli.destination(name, config)
        from kitestring.suggest import did_you_mean

        names = [*file.connections, *file.destinations]
        raise ConfigError(
            f"{cli.needed.path} has no connection or destination {name}{did_you_mean(name, names)}",
            hint=f"It has: {', '.join(names) or 'none'}.",
        )
    from kitestring.destination import Searches
    from kitestring.registry import connector

    searchable = [
        key
        for key, entry in file.destinations.items()
        if issubclass(connector("destination", entry.connector).load(), Searches)
    ]
    if not searchable:
        raise ConfigError(
            f"{cli.needed.path} has no destination that can be searched by meaning",
            hint="Sync into a vector store: `kitestring connectors list` shows which there are.",
        )
    if len(searchable) > 1:
        raise ConfigError(
            f"{cli.needed.path} has {len(searchable)} destinations that can be searched by meaning",
            hint=f"Name one ({', '.join(searchable)}): kitestring search NAME TEXT.",
        )
    return cli.destination(searchable[0], config)
