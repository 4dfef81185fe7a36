"""Vectors without a model, for trials and tests: the same text always gets the same vector."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import ConfigDict

from kitestring.facts import Facts
from kitestring.vector.embedder import Embedder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Fake(Embedder):
    """For trials only: a random direction for each text. Only equal texts are near, so a search finds no meaning."""

    facts: ClassVar[Facts] = Facts(network="none", programs=False)

    model_config = ConfigDict(title="Fake")

    form_order: ClassVar[int] = 30
    meaningful: ClassVar[bool] = False

    mode: Literal["fake"] = "fake"

    @property
    def dimension(self) -> int:
        return 1536

    @property
    def model_name(self) -> str:
        return "fake"

    @property
    def usd_per_million_tokens(self) -> float | None:
        return 0.0

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        import numpy as np

        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        for row, text in zip(vectors, texts, strict=True):
            seed = hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).digest()
            # SFC64 is the cheapest of numpy's generators to seed and its stream is fixed across numpy versions.
            generator = np.random.Generator(np.random.SFC64(int.from_bytes(seed, "little")))
            generator.standard_normal(dtype=np.float32, out=row)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors
