"""`Facts`: the declarations of a connector. The core keeps no table of connectors' names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Proposal:
    """A configuration that `kitestring init` writes for a connector, so that a new user has little to change."""

    config: str = ""
    """A configuration, YAML with comments, with `${VARIABLE}` for secrets. Without it one is made from the form. In
    that of a destination `{collection}` is the name to write to, `{processing}` the text to embed."""
    name: str = ""
    """Its name in the project file; empty for the connector's name."""
    collection: str = ""
    """Of a source: the collection for what is read of it; empty for the connector's name."""
    streams: tuple[str, ...] = ()
    """Of a source: the streams in which people search. Empty for all."""
    text_fields: tuple[str, ...] = ()
    """Of a source: what is embedded of their records. Empty for all fields."""
    metadata_fields: tuple[str, ...] = ()
    """Of a source: what is stored beside it, to filter by and to show."""


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts of a connector, and its needs of the machine it runs on.

    A server refuses what is not declared where it matters: with `allow_private_hosts: false` it runs no connector
    that does not declare its network and its programs.
    """

    title: str = ""
    """The name that people read: `PostgreSQL`. Empty for one made of the connector's name."""
    network: Literal["none", "python", "native"] | None = None
    """Its network access. "none": none at all. "python": by Python's sockets, each of whose addresses the egress
    policy checks. "native": by a driver with sockets of its own, which `Config.pin` ties to the addresses that were
    checked, each connection to its own."""
    programs: bool | None = None
    """True if it starts programs, or runs code from its configuration."""
    searchable: bool = False
    """True if its data can be searched by meaning."""
    follows_changes: bool = False
    """Of a source: True if it can follow its changes without an end (`change_following.FollowsChanges`), with change
    data capture: a connection from it can be continuous."""
    packages: tuple[str, ...] = ()
    """The modules of other packages that it imports when it works: looked for before it is built."""
    extra: str = ""
    """The extra of `kitestring` that installs these packages; empty where it bears the connector's name."""
    preload: tuple[str, ...] = ()
    """Modules that take long to import and may be imported before a fork: they start no thread and no connection."""
    icon: str = ""
    """An SVG file's name beside the connector, or an address."""
    category: str = ""
    """Its category in a catalog: `database`, `help desk`, `vector store`, `files`, …"""
    oauth: Mapping[str, Any] = field(default_factory=dict)
    """How an account gives its consent in a browser (OAuth): the fields of `Vendor` in `server/oauth/vendor.py`."""
    summary: str = ""
    """The data it reads or writes, in a phrase: "issues, comments and wikis of projects"."""
    proposal: Proposal = Proposal()
    """The proposal that `kitestring init` writes for it."""
    docs: str = ""
    """The address of its page; empty where it is in Kitestring's reference."""
