"""Reads that go on: what a source promises that can follow the changes of its data."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from kitestring.errors import ConfigError
from kitestring.source import Source

FOLLOWING_DELAY_S = 0.4
"""How long a record waits for others before it is written, while changes are followed."""


@dataclass(frozen=True, slots=True)
class Following:
    """How long a read goes on: for `seconds`, or until `stop` is set."""

    seconds: float
    stop: threading.Event


@runtime_checkable
class FollowsChanges(Protocol):
    """A source whose incremental reads can wait for the next changes instead of ending."""

    def refuse_to_follow(self) -> None:
        """`ConfigError` if it cannot with this configuration. Nothing is connected."""

    def follow(self, following: Following | None) -> None:
        """The next read gives each change soon after it was committed. At its end it stops at the first place where
        the next read can continue, however many changes wait behind that.

        None: no read follows. Until then `close` may leave open what the next read needs; now it is closed."""


def follower(source: Source) -> FollowsChanges:
    """The source, if it can follow its changes. `ConfigError` if it cannot."""
    if not isinstance(source, FollowsChanges):
        raise cannot_follow(type(source).__name__)
    source.refuse_to_follow()
    return source


def needs_capture(method: str) -> ConfigError:
    """The error of a source whose configuration does not capture changes. `method`: its `replication_method`."""
    return ConfigError(
        f"the source reads by `replication_method: {method}`, and a continuous connection needs change data capture",
        hint="Set `replication_method: CDC`, or give the connection a schedule, such as `every 5 minutes`.",
    )


def cannot_follow(name: str) -> ConfigError:
    return ConfigError(
        f"the source {name} cannot follow changes, so a connection from it cannot be continuous",
        hint="Give the connection a schedule, such as `every 5 minutes`.",
    )
