"""States that the platform keeps, not this program: the base of the state stores of `read` and `write`."""

from __future__ import annotations

import contextlib


class PlatformStates:
    """The part of a state store that is empty here: one process serves one call, and the platform owns the states."""

    def clear(self, connection: str, stream: str | None = None) -> None:
        raise NotImplementedError("the platform deletes its states itself")

    def connections(self) -> list[str]:
        return []

    def lock(self, connection: str) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()
