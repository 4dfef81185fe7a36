"""A reranker over HTTP: a model that reads the question and a text together, in the wire formats of Cohere, Jina and
text-embeddings-inference."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from kitestring.config import Config, option, secret
from kitestring.errors import ConfigError, ConnectorError, KitestringError, TransientError
from kitestring.http import Session

TIMEOUT_S = 60.0
VARIABLES = "KITESTRING_RERANK"
MOST_WAIT_S = 20.0

Kind = Literal["cohere", "jina", "tei"]
PATHS: Mapping[Kind, str] = {"cohere": "/v2/rerank", "jina": "/v1/rerank", "tei": "/rerank"}
ADDRESSES: Mapping[Kind, str] = {"cohere": "https://api.cohere.com", "jina": "https://api.jina.ai", "tei": ""}
MODELS: Mapping[Kind, str] = {"cohere": "rerank-v3.5", "jina": "jina-reranker-v2-base-multilingual", "tei": ""}


class Reranker(Config):
    """Scores texts by how well they answer a question.

    Facts: docs.cohere.com (reference, rerank v2), jina.ai (reranker API), and the OpenAPI document of
    huggingface/text-embeddings-inference (/rerank), read 2026-11.
    """

    kind: Kind
    """The API that the reranker speaks."""
    url: str = ""
    """Its address. Default: that of Cohere or Jina."""
    key: str = secret("")
    """Its API key."""
    model: str = ""
    """The name of the model; a server of text-embeddings-inference has one alone."""
    max_wait_s: float = option(MOST_WAIT_S, ge=0)
    """The longest that a rate limit is waited for."""

    @classmethod
    def of(cls, environment: Mapping[str, str] = os.environ) -> Reranker | None:
        """The reranker that the variables `KITESTRING_RERANK_…` name; None without a kind."""
        names = ("kind", "url", "key", "model")
        values = {name: environment.get(f"{VARIABLES}_{name.upper()}", "").strip() for name in names}
        if not any(values.values()):
            return None
        if values["kind"] not in PATHS:
            raise ConfigError(
                f"{VARIABLES}_KIND is {values['kind'] or 'not set'}", hint=f"Set it to {', '.join(PATHS)}."
            )
        return cls.load({name: value for name, value in values.items() if value}, "the reranker")

    def scores(self, question: str, texts: Sequence[str]) -> list[float]:
        """The score of each text, in the order of the texts: a higher one is better. All texts or an error: an order
        that only seems to be the reranker's is never returned."""
        if not texts:
            return []
        url = self.address()
        body = self.body(question, texts)
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        secrets = [self.key] if self.key else []
        with Session(timeout_s=TIMEOUT_S, max_wait_s=self.max_wait_s, secrets=secrets) as session:
            try:
                answer = session.request("POST", url, headers=headers, json=body).json()
            except TransientError as error:
                raise TransientError(
                    f"the reranker did not answer: {error.message}", hint=error.hint, retry_after_s=error.retry_after_s
                ) from error
            except KitestringError as error:
                raise ConfigError(
                    f"the reranker refuses: {error.message}", hint="Check its kind, address, key and model."
                ) from error
        return scores_in(answer, len(texts))

    def address(self) -> str:
        base = (self.url or ADDRESSES[self.kind]).rstrip("/")
        if not base:
            raise ConfigError("the reranker of the kind tei has no address", hint="Set its url.")
        return base if base.endswith("/rerank") else f"{base.removesuffix('/v1').removesuffix('/v2')}{PATHS[self.kind]}"

    def body(self, question: str, texts: Sequence[str]) -> dict[str, Any]:
        if self.kind == "tei":
            return {"query": question, "texts": list(texts), "truncate": True}
        model = self.model or MODELS[self.kind]
        body = {"model": model, "query": question, "documents": list(texts), "top_n": len(texts)}
        return body if self.kind == "cohere" else {**body, "return_documents": False}


def scores_in(answer: Any, count: int) -> list[float]:
    """The scores of an answer by the index of their texts. `ConnectorError` unless each text has one."""
    results = answer.get("results") if isinstance(answer, Mapping) else answer
    scores: dict[int, float] = {}
    for result in results if isinstance(results, list) else []:
        index = result.get("index") if isinstance(result, Mapping) else None
        score = result.get("relevance_score", result.get("score")) if isinstance(result, Mapping) else None
        if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < count:
            continue
        if isinstance(score, int | float) and not isinstance(score, bool) and math.isfinite(score):
            scores[index] = float(score)
    if len(scores) != count:
        raise ConnectorError(
            f"the reranker was asked about {count} texts and scored {len(scores)}",
            hint="Check the kind and the address of the reranker.",
        )
    return [scores[index] for index in range(count)]
