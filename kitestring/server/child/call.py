"""The request of a job's process, the channel to its parent, and the cancel event: what an action works with."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from kitestring.redact import Redactor
from kitestring.server.child.egress import EgressPolicy, networks_of
from kitestring.server.child.protocol import ParentChannel


class ActionCall:
    """The request, the channel to the parent, and the cancel event."""

    def __init__(self, request: Mapping[str, Any], parent: ParentChannel, cancel: threading.Event) -> None:
        self.request = request
        self.parent = parent
        self.cancel = cancel
        self.secrets: set[str] = set()
        self.egress = egress_of(request)

    def hide(self, secrets: set[str]) -> None:
        """Have the parent mask these in the log from now on."""
        new = {secret for secret in secrets if len(secret) > 3} - self.secrets
        if new:
            self.secrets |= new
            # Acknowledged, so that no line with them is written before.
            self.parent.request_answer("secrets", secrets=sorted(new))

    def masked(self, node: Any) -> Any:
        """An error body with the secrets masked."""
        return Redactor(self.secrets).value(node)


def egress_of(request: Mapping[str, Any]) -> EgressPolicy | None:
    """Install the policy that keeps this process from private addresses; None if connectors may reach them."""
    if request.get("allow_private_hosts", True):
        return None
    policy = EgressPolicy(networks_of(str(request.get("allowed_networks") or "")))
    policy.install()
    return policy
