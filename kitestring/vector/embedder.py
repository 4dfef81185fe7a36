"""The base of every embedder: texts in, vectors out."""

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
    """Turns texts into vectors. Each subclass is a file in `embedders/` and has a field `mode` with the file's name.

    Several threads may call `embed` at once; batching, limits and retries happen inside. The fields of a subclass are
    its configuration.
    """

    facts: ClassVar[Facts] = Facts()
    """The declarations of the embedder. A hardened server refuses undeclared use."""

    form_order: ClassVar[int] = 100
    """The position in forms: lower numbers come first, the first one is the form's default; equal ones go by `mode`."""

    meaningful: ClassVar[bool] = True
    """Whether texts of similar meaning get vectors that are near each other."""

    @classmethod
    def ready(cls) -> bool:
        """Whether it works on this machine without an account: a form begins with such an embedder."""
        return False

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
        """The most tokens the model accepts in one text."""
        return 8191

    @property
    def encoding(self) -> str:
        """The name of the tokenizer that counts the tokens of chunks."""
        return "cl100k_base"

    @property
    def usd_per_million_tokens(self) -> float | None:
        """The list price; None if unknown, 0 for a model that runs locally."""
        return None

    @property
    def related_similarity(self) -> float | None:
        """The cosine below which a sentence does not answer a question, as it was measured; None if it was not."""
        return None

    def tokens(self) -> Encoding:
        """The tokenizer that `encoding` names."""
        return cl100k()

    @abstractmethod
    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """The vectors of the texts, in their order: shape (number of texts, dimension), float32."""

    def embed_records(self, records: Sequence[Record], texts: Sequence[str]) -> NDArray[np.float32]:
        """The vectors of chunks: `texts[i]` is a chunk of `records[i]`. Override it if records contain vectors."""
        return self.embed(texts)

    def embed_query(self, text: str) -> NDArray[np.float32]:
        """The vector to search with: shape (dimension,). Override it if the model embeds queries differently."""
        vector: NDArray[np.float32] = self.embed([text])[0]
        return vector

    def check(self) -> None:
        """Embed one short text. Raises `AuthError`, `ConfigError` or `TransientError`."""
        self.embed(["test"])

    def share(self, share: Share) -> None:
        """Draw on budgets that other processes draw on too; where there are none to keep, nothing."""

    def close(self) -> None:
        """Close connections; calls of `embed` in progress end with `Cancelled`."""
