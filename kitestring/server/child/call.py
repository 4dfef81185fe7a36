"""The request of a job's process, the channel to its parent, and the cancel event: what an action works with."""

from __future__ import annotations

import copy
import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol, Self

from kitestring.redact import Redactor
from kitestring.server.child.egress import EgressPolicy, networks_of
from kitestring.server.child.protocol import ParentChannel


class KeepsConnectors(Protocol):
    """Keeps connectors open between calls (`open_connectors.py`)."""

    def opened(self, call: ActionCall, kind: str) -> AbstractContextManager[Any]:
        """The connector of a call."""


class ActionCall:
    """The request, the channel to the parent, and the cancel event."""

    def __init__(self, request: Mapping[str, Any], parent: ParentChannel, cancel: threading.Event) -> None:
        self.request = request
        self.parent = parent
        self.cancel = cancel
        self.secrets: set[str] = set()
        self.egress = egress_of(request)
        self.connectors: KeepsConnectors | None = None
        """In a search process: the connectors that stay open."""
        self.order = 0
        """In a search process: the number of the call, in the order of arrival."""
        self.reused = False
        """Whether the connector was open before this call."""

    def part(self, request: Mapping[str, Any], connectors: KeepsConnectors, order: int) -> Self:
        """A call of a search process: with the channel, the egress policy and the masked secrets of the process."""
        call = copy.copy(self)
        call.request, call.connectors, call.order, call.reused = request, connectors, order, False
        return call

    def hide(self, secrets: set[str]) -> None:
        """Have the parent mask these in the log from now on."""
        new = {secret for secret in secrets if len(secret) > 3} - self.secrets
        if new:
            self.secrets |= new
            # Acknowledged, so that no line with them is written before.
            self.parent.request_answer("secrets", secrets=sorted(new))

    def masked(self, node: Any) -> Any:
        """An error body with the secrets masked."""
        return Redactor(set(self.secrets)).value(node)  # calls of a search process add to them meanwhile


def egress_of(request: Mapping[str, Any]) -> EgressPolicy | None:
    """Install the policy that keeps this process from private addresses; None if connectors may reach them."""
    if request.get("allow_private_hosts", True):
        return None
    policy = EgressPolicy(networks_of(str(request.get("allowed_networks") or "")))
    policy.install()
    return policy
