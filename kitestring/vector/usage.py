"""Chunks and tokens of a write and their cost: the figures of a receipt."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Usage:
    """Chunks by what was done with them, and the embedded tokens (`usd_per_million`: None if unknown)."""

    usd_per_million: float | None = None
    embedded: int = 0
    reused: int = 0
    written: int = 0
    deleted: int = 0
    tokens: int = 0

    def figures(self) -> dict[str, float]:
        return {
            "chunks_embedded": self.embedded,
            "chunks_reused": self.reused,
            "chunks_written": self.written,
            "chunks_deleted": self.deleted,
            "tokens": self.tokens,
            **self.cost(),
        }

    def cost(self) -> dict[str, float]:
        """The cost as a figure; none if the price is unknown, which does not mean free."""
        return {} if self.usd_per_million is None else {"cost_usd": self.tokens * self.usd_per_million / 1_000_000}
