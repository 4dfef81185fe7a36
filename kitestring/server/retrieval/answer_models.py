"""The language model and the reranker of a server's answers, from its settings."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from kitestring.errors import TransientError
from kitestring.retrieval.language_model import Kind, LanguageModel
from kitestring.retrieval.reranker import Reranker
from kitestring.server.settings import Settings

AT_ONCE = 8
_slots = threading.BoundedSemaphore(AT_ONCE)


def language_model(settings: Settings) -> LanguageModel | None:
    """The model that writes answers; None if none is set."""
    if not (settings.answer_url and settings.answer_model):
        return None
    kind: Kind = "anthropic" if settings.answer_kind == "anthropic" else "openai"
    prices = settings.answer_input_usd, settings.answer_output_usd
    return LanguageModel(settings.answer_url, settings.answer_model, settings.answer_key, kind, *prices)


def reranker(settings: Settings) -> Reranker | None:
    """The reranker of passages; None if none is set."""
    names = {"kind": settings.rerank_kind, "url": settings.rerank_url, "model": settings.rerank_model}
    if not settings.rerank_kind:
        return None
    return Reranker.load({**names, "key": settings.rerank_key}, "the reranker")


@contextmanager
def answer_slot() -> Iterator[None]:
    """A place among the answers that are made at this moment. `TransientError` if all are taken."""
    if not _slots.acquire(blocking=False):
        raise TransientError(
            f"{AT_ONCE} answers are written at this moment, and the server writes no more at once",
            hint="Try again in a few seconds.",
            retry_after_s=5,
        )
    try:
        yield
    finally:
        _slots.release()
