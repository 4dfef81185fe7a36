"""What every embedder is: texts in, vectors out."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from kitestring.config import Config
from kitestring.facts import Facts
from kitestring.vector.tokenizer import Encoding, cl100k

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from kitestring.http import Share
    from kitestring.types import Record


class Embedder(Config):
    """Turns texts into vectors. One subclass per file in `embedders/`, told apart by `mode`.

    `embed` may be called by several threads at once; batching, limits and retries happen inside. The fields of a
    subclass are its configuration.
    """

    facts: ClassVar[Facts] = Facts()
    """What it declares of itself. What it leaves out is refused where it matters."""

    @property
    @abstractmethod
    def dimension(self) -> int:
        """The length of a vector."""

    @property
    @abstractmethod
    def model_name(self) -> str:
        """The identity of the model and of everything that changes its vectors. Part of every chunk's digest."""

    @property
    def max_tokens(self) -> int:
        """The most tokens the model takes in one text."""
        return 8191

    @property
    def encoding(self) -> str:
        """The name of the tokenizer by which chunks are measured."""
        return "cl100k_base"

    @property
    def usd_per_million_tokens(self) -> float | None:
        """The list price, None where it is not known; 0 for what runs here."""
        return None

    def tokens(self) -> Encoding:
        """The tokenizer of the name `encoding`."""
        return cl100k()

    @abstractmethod
    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """The vectors of the texts, in their order: shape (number of texts, dimension), float32."""

    def embed_records(self, records: Sequence[Record], texts: Sequence[str]) -> NDArray[np.float32]:
        """The vectors of chunks: `texts[i]` is a chunk of `records[i]`. Differs only where records bring vectors."""
        return self.embed(texts)

    def embed_query(self, text: str) -> NDArray[np.float32]:
        """The vector to search with: shape (dimension,). Differs where a model tells questions from documents."""
        vector: NDArray[np.float32] = self.embed([text])[0]
        return vector

    def check(self) -> None:
        """Raise what is wrong (`AuthError`, `ConfigError`, `TransientError`): one small call."""
        self.embed(["test"])

    def share(self, share: Share) -> None:
        """Draw on budgets that other processes draw on too; where there are none to keep, nothing."""

    def close(self) -> None:
        """Let go of connections; embeddings under way end with `Cancelled`."""
