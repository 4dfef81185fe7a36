"""Cohere's embedding models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import ConfigDict, model_validator

from kitestring.config import option, secret
from kitestring.vector.embedders.remote import Remote

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Model = Literal[
    "embed-english-light-v2.0",
    "embed-english-v2.0",
    "embed-multilingual-v2.0",
    "embed-english-v3.0",
    "embed-english-light-v3.0",
    "embed-multilingual-v3.0",
    "embed-multilingual-light-v3.0",
    "embed-v4.0",
]


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """Limits and price of a model. `tokens`: the most a text may have. `usd`: list price of a million tokens, if
    public."""

    dimensions: int
    tokens: int
    usd: float | None = None
    shorter_dimensions: tuple[int, ...] = ()


# https://docs.cohere.com/docs/models and https://cohere.com/pricing, as of November 2025.
MODELS = {
    "embed-english-light-v2.0": ModelFacts(1024, 512, 0.10),
    "embed-english-v2.0": ModelFacts(4096, 512, 0.10),
    "embed-multilingual-v2.0": ModelFacts(768, 256, 0.10),
    "embed-english-v3.0": ModelFacts(1024, 512, 0.10),
    "embed-english-light-v3.0": ModelFacts(384, 512, 0.10),
    "embed-multilingual-v3.0": ModelFacts(1024, 512, 0.10),
    "embed-multilingual-light-v3.0": ModelFacts(384, 512, 0.10),
    "embed-v4.0": ModelFacts(1536, 128_000, 0.12, (256, 512, 1024, 1536)),
}


class Cohere(Remote):
    """Cohere's embedding models.

    Tokens are counted with OpenAI's table, since Cohere's is not public. Cohere cuts tokens beyond the model's limit
    (`truncate: END`).
    """

    model_config = ConfigDict(title="Cohere")

    form_order: ClassVar[int] = 20

    mode: Literal["cohere"] = "cohere"
    cohere_key: str = secret(title="Cohere API key", min_length=1, order=0)
    model: Model = option(
        "embed-english-light-v2.0",
        title="Model",
        description="embed-v4.0 is the newest; embed-english-light-v2.0 stays the default so that collections made"
        " earlier keep their vectors.",
        order=1,
    )
    dimensions: int | None = option(
        None, title="Dimensions", description="Shorter vectors, for embed-v4.0 only: 256, 512 or 1024.", order=2
    )
    base_url: str = option("https://api.cohere.com", title="Base URL", description="For proxies and gateways.", order=3)

    @model_validator(mode="after")
    def _dimensions_fit(self) -> Self:
        facts = MODELS[self.model]
        allowed = facts.shorter_dimensions or (facts.dimensions,)
        if self.dimensions is not None and self.dimensions not in allowed:
            raise ValueError(f"{self.model} makes {' or '.join(map(str, allowed))} dimensions, not {self.dimensions}")
        return self

    @property
    def dimension(self) -> int:
        return self.dimensions or MODELS[self.model].dimensions

    @property
    def model_name(self) -> str:
        return f"{self.model}:{self.dimension}"

    @property
    def max_tokens(self) -> int:
        return MODELS[self.model].tokens

    @property
    def max_inputs(self) -> int:
        return 96

    @property
    def usd_per_million_tokens(self) -> float | None:
        return MODELS[self.model].usd

    def secrets(self) -> list[str]:
        return [self.cohere_key]

    def request(self, texts: Sequence[str], query: bool) -> tuple[str, dict[str, str], dict[str, Any]]:
        body: dict[str, Any] = {"model": self.model, "texts": list(texts), "truncate": "END"}
        version = "v1"
        if not self.model.endswith("v2.0"):
            # From the third generation on, documents and questions are embedded differently.
            version = "v2"
            body |= {"input_type": "search_query" if query else "search_document", "embedding_types": ["float"]}
        if self.dimension != MODELS[self.model].dimensions:
            body["output_dimension"] = self.dimension
        return f"{self.base_url.rstrip('/')}/{version}/embed", {"Authorization": f"Bearer {self.cohere_key}"}, body

    def vectors(self, body: bytes) -> list[NDArray[np.float32]]:
        import numpy as np
        import orjson

        embeddings = orjson.loads(body)["embeddings"]  # float32 keeps no digit that orjson would lose
        return list(np.asarray(embeddings["float"] if isinstance(embeddings, dict) else embeddings, dtype=np.float32))
