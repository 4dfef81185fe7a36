"""Several rankings of the same chunks as one."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import TypeVar

Id = TypeVar("Id", bound=Hashable)


def fused_scores(rankings: Iterable[Sequence[Id]]) -> dict[Id, float]:
    """A score for each id by its ranks: https://dl.acm.org/doi/10.1145/1571941.1572114"""
    scores: dict[Id, float] = {}
    for ranking in rankings:
        for rank, row in enumerate(ranking, 1):
            scores[row] = scores.get(row, 0.0) + 1 / (60 + rank)
    return scores
