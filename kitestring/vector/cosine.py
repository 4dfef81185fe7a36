"""Comparing texts and stored chunks by their vectors, for whoever reads a collection (`destination.Compares`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kitestring.stored_rows import ReadingFacts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from kitestring.vector.embedder import Embedder
    from kitestring.vector.store import Store


class ComparesTexts:
    """The comparisons of every vector destination: by cosine, whatever the metric of the collection is."""

    if TYPE_CHECKING:
        embedding: Embedder

        @property
        def store(self) -> Store: ...

    def reading_facts(self) -> ReadingFacts:
        embedder = self.embedding
        return ReadingFacts(self.store.hybrid, embedder.meaningful, embedder.related_similarity)

    def similarities(self, text: str, texts: Sequence[str]) -> list[float]:
        if not texts:
            return []
        import numpy as np

        vectors = unit(np.asarray(self.embedding.embed(list(texts))))
        query = unit(np.asarray(self.embedding.embed_query(text))[None, :])[0]
        return [float(value) for value in vectors @ query]

    def chunk_similarities(self, chunk_ids: Sequence[str]) -> list[list[float]]:
        import numpy as np

        store = self.store
        located = store.located(list(chunk_ids))
        vectors = store.vectors(list(located.values()))
        known = {text: vectors[stored.row] for text, stored in located.items() if stored.row in vectors}
        if not known:
            return [[0.0] * len(chunk_ids) for _ in chunk_ids]
        zero = np.zeros_like(next(iter(known.values())), dtype=np.float32)
        matrix = unit(np.stack([np.asarray(known.get(text, zero), dtype=np.float32) for text in chunk_ids]))
        return [[float(value) for value in row] for row in matrix @ matrix.T]


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The vectors with the length 1; a zero stays zero."""
    import numpy as np

    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1.0), dtype=np.float32)
