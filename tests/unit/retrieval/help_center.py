"""A small help center in a vector store in memory, with an embedder that knows words and no more."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kitestring.engine import Selection, sync
from kitestring.retrieval.highlight import stem, stems
from kitestring.testing.memory import MemorySource
from kitestring.types import DELETED_AT
from kitestring.vector.embedders.fake import Fake
from tests.unit.vector.memory_store import Memory, MemoryStore

ARTICLES: list[dict[str, Any]] = [
    {
        "id": 1,
        "title": "Locked accounts",
        "body": "Ten wrong passwords lock an account. The account opens again after 15 minutes.",
        "html_url": "https://help.example/1",
    },
    {
        "id": 2,
        "title": "Exports",
        "body": "The export of a workspace is made overnight. Only owners can start an export.",
        "html_url": "javascript:alert(1)",
    },
    {"id": 3, "title": "Invoices", "body": "An invoice is final. The address on it cannot be changed later."},
    {"id": 4, "title": "Gone", "body": "Account passwords were once sent by fax."},
    {"id": 4, DELETED_AT: "2026-01-01T00:00:00Z"},
]
TICKETS: list[dict[str, Any]] = [
    {"id": 1, "title": "Account locked", "body": "My account is locked after wrong passwords.", "status": "new"},
    {"id": 2, "title": "Account is locked", "body": "My account is locked after wrong passwords!", "status": "open"},
    {"id": 3, "title": "Locked out", "body": "The account of a colleague is locked for 15 minutes.", "status": "new"},
    {"id": 4, "title": "Empty export", "body": "The export of our workspace is empty.", "status": "new"},
]
DIMENSION = 512


class Words(Fake):
    """A vector has a place for each stem: texts with the same words are near."""

    @property
    def related_similarity(self) -> float | None:
        return 0.3

    def embed(self, texts: Sequence[str]) -> Any:
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        for row, text in zip(vectors, texts, strict=True):
            for word in stems(text):
                generator = np.random.default_rng(list(stem(word).encode()))
                row += generator.standard_normal(self.dimension, dtype=np.float32)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors / np.where(lengths > 0, lengths, 1)


Words.meaningful = True


def help_center(folder: Path, **options: Any) -> Memory:
    """A destination with articles and tickets, one article of which is marked as deleted."""
    store = MemoryStore()
    destination = open_center(folder, store, **options)
    source = MemorySource(
        records={"articles": ARTICLES, "tickets": TICKETS}, primary_keys={"articles": "id", "tickets": "id"}
    )
    selected = [Selection(name, write_mode="soft_delete") for name in ("articles", "tickets")]
    result = sync(source, destination, selected)
    assert result.ok, result.as_dict()
    return open_center(folder, store, **options)


def open_center(folder: Path, store: MemoryStore, **options: Any) -> Memory:
    config = {
        "processing": {"chunk_size": 100, "text_fields": ["title", "body"]},
        "embedding": {"mode": "fake"},
        "shadow_folder": str(folder),
        **options,
    }
    destination = Memory.load(config)
    destination.embedding = Words()
    destination._kept = store
    return destination
