"""A stand-in for rerankers, in the wire formats of Cohere, Jina and text-embeddings-inference.

It scores a text by the share of the question's words that it has. Facts: docs.cohere.com/reference/rerank (v2),
api.jina.ai/redoc (rerank), huggingface.github.io/text-embeddings-inference (/rerank), read 2026-11.
"""

from __future__ import annotations

from typing import Any, ClassVar

from kitestring.testing.stand_in import Answer, Call, StandIn, route
from stand_ins.command_line import run

KEY = "rerank-key-0815"


class RerankerStandIn(StandIn):
    """Rerankers on 127.0.0.1. `lost`: how many results of each answer are left out."""

    name: ClassVar[str] = "reranker"

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.lost = 0

    @route("POST", "/v2/rerank")
    def cohere(self, call: Call) -> Any:
        return self._hosted(call, {"model", "query", "documents", "top_n"})

    @route("POST", "/v1/rerank")
    def jina(self, call: Call) -> Any:
        return self._hosted(call, {"model", "query", "documents", "top_n", "return_documents"})

    @route("POST", "/rerank")
    def tei(self, call: Call) -> Any:
        body = call.json()
        if set(body) != {"query", "texts", "truncate"}:
            return Answer(422, {"error": "unknown fields", "error_type": "Validation"})
        return self._results(body["query"], body["texts"], "score")

    def _hosted(self, call: Call, fields: set[str]) -> Any:
        if call.headers.get("authorization") != f"Bearer {KEY}":
            return Answer(401, {"message": "invalid api token"})
        body = call.json()
        if set(body) != fields or not body["model"]:
            return Answer(400, {"message": "invalid request: unknown fields"})
        return {"id": "1", "results": self._results(body["query"], body["documents"], "relevance_score")}

    def _results(self, query: str, texts: list[str], name: str) -> list[dict[str, Any]]:
        words = set(query.casefold().split())
        scores = [len(words & set(text.casefold().split())) / len(words) for text in texts]
        order = sorted(range(len(texts)), key=lambda index: -scores[index])
        return [{"index": index, name: scores[index]} for index in order][: len(texts) - self.lost]


if __name__ == "__main__":
    run(RerankerStandIn)
