"""How an attempt of a job ended, and whether a later attempt may succeed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from kitestring.errors import KitestringError, TransientError

NOT_RETRIED = ("ConfigError", "AuthError", "SchemaError", "Busy")
"""Errors after which a user has to change something."""


@dataclass(slots=True)
class Outcome:
    """How an attempt ended: succeeded, suspicious, failed, cancelled, or incomplete (the job goes back to the queue).

    `claim_lost`: the claim is no longer ours, and nothing may be written.
    """

    status: str
    streams: dict[str, Any] = field(default_factory=dict)
    errors: list[KitestringError] = field(default_factory=list)
    claim_lost: bool = False

    @property
    def retry(self) -> bool:
        """Whether a later attempt may succeed: not if the user has to change something first."""
        return any(type(error).__name__ not in NOT_RETRIED for error in self.errors)

    @property
    def retry_after_s(self) -> float | None:
        """The longest wait that the other side requested."""
        waits = [
            error.retry_after_s for error in self.errors if isinstance(error, TransientError) and error.retry_after_s
        ]
        return max(waits, default=None)
