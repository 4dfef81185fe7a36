"""The embedders that a configuration can choose are the files of the package and entry points, and errors name them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kitestring import registry
from kitestring.errors import ConfigError
from kitestring.vector import embedders

MODES = ["openai", "cohere", "fake", "azure_openai", "openai_compatible", "from_field", "local"]


def built(embedding: dict[str, Any]) -> Any:
    config = {
        "processing": {"chunk_size": 100},
        "embedding": embedding,
        "indexing": {"host": "./absent.db", "collection": "things"},
    }
    return registry.destination("milvus", config)


def test_every_file_that_holds_an_embedder_is_a_choice_and_the_form_begins_with_openai() -> None:
    assert [embedders.mode_of(embedder) for embedder in embedders.bundled()] == sorted(MODES)
    assert [embedders.mode_of(embedder) for embedder in embedders.embedder_classes()][: len(MODES)] == MODES
    folder = Path(embedders.__file__).parent
    assert {path.stem for path in folder.glob("*.py")} >= set(MODES) - {"local"}


def test_a_misspelt_mode_is_answered_with_the_nearest_one_and_all_that_are_installed() -> None:
    with pytest.raises(ConfigError, match=r"embedding\.mode should be one of openai, cohere, fake") as error:
        built({"mode": "opnai", "openai_key": "sk-hidden"})
    assert "; did you mean openai?" in error.value.message
    assert "sk-hidden" not in str(error.value)


def test_an_embedding_without_a_mode_is_a_clear_error() -> None:
    with pytest.raises(ConfigError, match=r"milvus: embedding\.mode is missing$"):
        built({})
