"""Request and response of OpenAI's embeddings endpoint, which many servers implement.

https://platform.openai.com/docs/api-reference/embeddings
"""

from __future__ import annotations

import binascii
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAX_INPUTS = 2048
MAX_TOKENS = 8191
MAX_REQUEST_TOKENS = 300_000


def embeddings_body(texts: Sequence[str], model: str | None = None, dimensions: int | None = None) -> dict[str, Any]:
    """The JSON of a request. base64 makes the response a quarter of the size and saves parsing every number."""
    body: dict[str, Any] = {"input": list(texts), "encoding_format": "base64"}
    if model is not None:
        body["model"] = model
    if dimensions is not None:
        body["dimensions"] = dimensions
    return body


def embeddings_of(body: bytes) -> list[NDArray[np.float32]]:
    """The vectors of a response in the order of the texts: little-endian float32 in base64, or lists of numbers from
    servers that do not know base64."""
    import numpy as np

    # A vector is float32: the exact reader of numbers would be 25 times the work, for digits that are dropped.
    data = sorted(orjson.loads(body)["data"], key=lambda item: item.get("index", 0))
    vectors = []
    for item in data:
        value = item["embedding"]
        if isinstance(value, str):
            vectors.append(np.frombuffer(binascii.a2b_base64(value), dtype="<f4"))
        else:
            vectors.append(np.asarray(value, dtype=np.float32))
    return vectors
