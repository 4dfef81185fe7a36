"""What a connector declares of itself: `Facts`. The core keeps no table of connectors' names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Proposal:
    """What `kitestring init` writes for a connector, so that somebody who begins has little to change."""

    config: str = ""
    """A configuration, YAML with comments, with `${VARIABLE}` for secrets. Without it one is made from the form. In
    that of a destination `{collection}` stands for the name to write to, `{processing}` for what is embedded."""
    name: str = ""
    """What it is called in the project file; empty for the connector's name."""
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
    """What a connector is, and what it needs of the machine that it runs on.

    What is not declared is refused where it matters: a server with `allow_private_hosts: false` runs no connector that
    says nothing of its network or its programs.
    """

    network: Literal["none", "python", "native"] | None = None
    """How it reaches the network. "none": not at all. "python": by Python's sockets, each of whose addresses the egress
    policy checks. "native": by a driver with sockets of its own, which `Config.pin` ties to the addresses that were
    checked, each connection to its own."""
    programs: bool | None = None
    """Whether it starts programs, or runs code that its configuration brings."""
    searchable: bool = False
    """Whether what it wrote can be searched by meaning."""
    packages: tuple[str, ...] = ()
    """The modules of other packages that it imports when it works: looked for before it is built."""
    extra: str = ""
    """The extra of `kitestring` that installs these packages; empty where it bears the connector's name."""
    preload: tuple[str, ...] = ()
    """Modules that take long to import and may be imported before a fork: they start no thread and no connection."""
    icon: str = ""
    """An SVG file's name beside the connector, or an address."""
    category: str = ""
    """Where a catalog lists it: `database`, `help desk`, `vector store`, `files`, …"""
    oauth: Mapping[str, Any] = field(default_factory=dict)
    """How an account gives its consent in a browser (OAuth): the fields of `Vendor` in `server/oauth/vendor.py`."""
    summary: str = ""
    """What it reads or writes, in half a sentence: "issues, comments and wikis of projects"."""
    proposal: Proposal = Proposal()
    """What `kitestring init` writes for it."""
    docs: str = ""
    """The address of its page; empty where it is in Kitestring's reference."""
