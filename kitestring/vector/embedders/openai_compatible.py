"""Any server that speaks OpenAI's embeddings endpoint: vLLM, Ollama, text-embeddings-inference, LiteLLM, …"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import ConfigDict

from kitestring.config import option, secret
from kitestring.vector.embedders.openai_wire import MAX_INPUTS, MAX_TOKENS, embeddings_body, embeddings_of
from kitestring.vector.embedders.remote import Remote

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class OpenAICompatible(Remote):
    """Any server with OpenAI's embeddings endpoint.

    Tokens are counted with OpenAI's table, since the server's own is unknown: `max_tokens` should leave a margin below
    the model's limit. After a server refuses a request for its number of texts, requests get fewer texts.
    """

    model_config = ConfigDict(title="OpenAI-compatible")

    form_order: ClassVar[int] = 50

    mode: Literal["openai_compatible"] = "openai_compatible"
    api_key: str = secret("", title="API key", order=0)
    base_url: str = option(
        title="Base URL",
        description="The address before /embeddings.",
        examples=["https://your-service-name.com", "http://localhost:11434/v1"],
        min_length=1,
        order=1,
    )
    model: str = option(
        "text-embedding-ada-002",
        alias="model_name",
        title="Model name",
        description="The model as the server calls it.",
        examples=["text-embedding-ada-002", "nomic-embed-text"],
        order=2,
    )
    dimensions: int = option(
        ge=1,
        title="Embedding dimensions",
        description="The length of the model's vectors.",
        examples=[1536, 384],
        order=3,
    )
    token_limit: int = option(
        MAX_TOKENS,
        ge=1,
        alias="max_tokens",
        title="Longest text",
        description="The most tokens the model takes in one text; longer chunks are not made.",
        examples=[512, 8191],
        order=4,
    )
    batch_size: int = option(
        MAX_INPUTS,
        ge=1,
        title="Texts in a request",
        description="The most texts the server takes at a time.",
        order=5,
    )
    send_dimensions: bool = option(
        False,
        title="Ask for the dimensions",
        description="Send the dimensions with each request, for models that can shorten their vectors.",
        order=6,
    )

    @property
    def dimension(self) -> int:
        return self.dimensions

    @property
    def model_name(self) -> str:
        return f"{self.model}:{self.dimensions}"

    @property
    def max_tokens(self) -> int:
        return self.token_limit

    @property
    def max_inputs(self) -> int:
        return self.batch_size

    def secrets(self) -> list[str]:
        return [self.api_key] if self.api_key else []

    def request(self, texts: Sequence[str], query: bool) -> tuple[str, dict[str, str], dict[str, Any]]:
        return (
            f"{self.base_url.rstrip('/')}/embeddings",
            {"Authorization": f"Bearer {self.api_key}"} if self.api_key else {},
            embeddings_body(texts, self.model, self.dimensions if self.send_dimensions else None),
        )

    def vectors(self, body: bytes) -> list[NDArray[np.float32]]:
        return embeddings_of(body)
