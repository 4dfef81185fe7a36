"""What a write did and what it cost: the figures of a receipt."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Usage:
    """Chunks by what happened to them, and the tokens that were paid for (`usd_per_million`: None if unknown)."""

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
        """The cost as a figure; none where the price is not known: that is not free."""
        return {} if self.usd_per_million is None else {"cost_usd": self.tokens * self.usd_per_million / 1_000_000}
