"""Every exception of Kitestring, sorted by what happens next.

    KitestringError
    ├── ConfigError       the user must change something       never retried
    ├── AuthError         credentials refused                  never retried; a schedule pauses
    ├── TransientError    may work later; retry_after_s        retried with backoff inside the attempt
    ├── RecordError       this record only                     kept in the rejects, the sync goes on up to a limit
    ├── SchemaError       the stream changed against policy    the stream stops, others go on
    ├── ConnectorError    a defect in a connector              fails; asks for a report with versions
    └── Cancelled         asked to stop                        state saved

The message states the facts that collide, `hint` is the next action, and everything else is data in keyword fields,
so that a log can show it and a secret can be masked by its field.
"""

from __future__ import annotations

from typing import Any


class KitestringError(Exception):
    """Root of the tree. `str(error)` is one sentence for the user; `hint` the next action; `fields` the facts."""

    def __init__(self, message: str, *, hint: str = "", **fields: Any) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.fields = fields

    def __reduce__(self) -> tuple[Any, ...]:
        # Errors cross process borders (a worker's child, a cluster): keyword fields must survive pickling.
        return _rebuild, (type(self), self.message, self.hint, self.fields)


def _rebuild(kind: type[KitestringError], message: str, hint: str, fields: dict[str, Any]) -> KitestringError:
    return kind(message, hint=hint, **fields)


def public_name(error: KitestringError) -> str:
    """The name of the error's class, or of the first of its bases that is in this module: results and messages between
    processes have no other names."""
    return next(kind.__name__ for kind in type(error).__mro__ if kind.__module__ == __name__)


class ConfigError(KitestringError):
    """The user must change something (a setting, a file, a permission). Never retried."""


class AuthError(KitestringError):
    """The other side refused the credentials. Never retried; a schedule pauses."""


class TransientError(KitestringError):
    """May work later. `retry_after_s`: seconds the other side asked to wait, or None."""

    def __init__(self, message: str, *, hint: str = "", retry_after_s: float | None = None, **fields: Any) -> None:
        super().__init__(message, hint=hint, retry_after_s=retry_after_s, **fields)
        self.retry_after_s = retry_after_s


class RecordError(KitestringError):
    """One record cannot be taken. It is kept in the rejects with this message as its reason."""


class SchemaError(KitestringError):
    """The stream changed against the policy. The stream stops, the others go on."""


class ConnectorError(KitestringError):
    """A defect in a connector: it broke its contract. Fails; asks for a report with versions."""


class Cancelled(KitestringError):
    """Asked to stop. State up to the last durable checkpoint is saved."""
