"""The configuration: Airbyte's is accepted unchanged, and the form is one that Airbyte's interface can show."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from kitestring.config import Config, choice
from kitestring.errors import ConfigError, RecordError
from kitestring.vector.embedders import Embedding, cohere, openai
from kitestring.vector.embedders.fake import Fake
from kitestring.vector.embedders.from_field import FromField
from kitestring.vector.processing import Processing


class Vectors(Config):
    processing: Processing
    embedding: Embedding = choice("mode")


AIRBYTE = {
    "processing": {
        "chunk_size": 1000,
        "chunk_overlap": 50,
        "text_fields": ["subject", "comments.*.body"],
        "metadata_fields": ["status"],
        "text_splitter": {
            "mode": "separator",
            "separators": ['"\\n\\n"', '"\\n"', '" "', '""'],
            "keep_separator": False,
        },
        "field_name_mappings": [{"from_field": "a", "to_field": "b"}],
    }
}


@pytest.mark.parametrize(
    ("embedding", "dimension"),
    [
        ({"mode": "openai", "openai_key": "k"}, 1536),
        ({"mode": "cohere", "cohere_key": "k"}, 1024),
        ({"mode": "fake"}, 1536),
        (
            {"mode": "azure_openai", "openai_key": "k", "api_base": "https://x.openai.azure.com", "deployment": "d"},
            1536,
        ),
        (
            {"mode": "openai_compatible", "api_key": "", "base_url": "http://x", "model_name": "m", "dimensions": 768},
            768,
        ),
        ({"mode": "openai_compatible", "base_url": "http://x", "dimensions": 384}, 384),
        ({"mode": "from_field", "field_name": "v", "dimensions": 3}, 3),
    ],
)
def test_airbyte_s_configurations_are_taken_as_they_are(embedding: dict[str, Any], dimension: int) -> None:
    assert Vectors.load({**AIRBYTE, "embedding": embedding}).embedding.dimension == dimension


def test_configurations_from_airbyte_keep_its_models() -> None:
    first = Vectors.load({**AIRBYTE, "embedding": {"mode": "openai", "openai_key": "k"}}).embedding
    second = Vectors.load({**AIRBYTE, "embedding": {"mode": "cohere", "cohere_key": "k"}}).embedding
    assert first.model_name == "text-embedding-ada-002:1536"
    assert second.model_name == "embed-english-light-v2.0:1024"
    assert (first.usd_per_million_tokens, Fake().usd_per_million_tokens) == (0.10, 0.0)


@pytest.mark.parametrize(
    "splitter",
    [
        None,
        {"mode": "markdown", "split_level": 6},
        {"mode": "code", "language": "sol"},
        {"mode": "separator"},
    ],
)
def test_every_splitter_of_airbyte_is_taken(splitter: dict[str, Any] | None) -> None:
    Processing.load({"chunk_size": 8191, "text_splitter": splitter})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "chunk_size is missing"),
        ({"chunk_size": 0}, "chunk_size should be greater than or equal to 1"),
        ({"chunk_size": 8192}, "chunk_size should be less than or equal to 8191"),
        ({"chunk_size": 10, "text_feilds": []}, "did you mean text_fields"),
        ({"chunk_size": 10, "text_fields": ["a..b"]}, "is not a field path"),
        ({"chunk_size": 10, "text_splitter": {"mode": "markdown", "split_level": 7}}, "split_level"),
        ({"chunk_size": 10, "text_splitter": {"mode": "code", "language": "cobol"}}, "language"),
    ],
)
def test_what_is_wrong_is_named(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Processing.load(values)


def test_the_form_has_no_references_and_tells_choices_apart_by_a_constant() -> None:
    form = Vectors.spec()
    text = repr(form)
    assert "$ref" not in text
    assert "discriminator" not in text
    choices = {choice["properties"]["mode"]["const"]: choice for choice in form["properties"]["embedding"]["oneOf"]}
    assert list(choices) == ["openai", "cohere", "fake", "azure_openai", "openai_compatible", "from_field", "local"]
    for mode, keys in {
        "openai": ["openai_key"],
        "azure_openai": ["openai_key"],
        "cohere": ["cohere_key"],
        "openai_compatible": ["api_key"],
    }.items():
        marked = [name for name, field in choices[mode]["properties"].items() if field.get("airbyte_secret")]
        assert marked == keys
    for branch in choices.values():
        assert branch["title"]
        assert all(field.get("title") for field in branch["properties"].values())
    assert choices["openai_compatible"]["required"] == ["base_url", "dimensions"]
    splitters = form["properties"]["processing"]["properties"]["text_splitter"]["oneOf"]
    assert [splitter["properties"]["mode"]["const"] for splitter in splitters] == ["separator", "markdown", "code"]


def test_the_fake_s_vector_depends_on_the_text_alone() -> None:
    first, second, other = Fake().embed(["a", "a", "b"])
    assert np.array_equal(first, second)
    assert abs(first @ other) < 0.2
    assert np.isclose(np.linalg.norm(first), 1)
    assert np.array_equal(Fake().embed(["x", "a"])[1], first)
    assert first[:3].tolist() == pytest.approx([0.0078447, 0.0086227, 0.0406414], abs=1e-6), (
        "the same in every release: stored vectors stay valid"
    )
    assert Fake().embed(["\ud800"]).shape == (1, 1536)


def test_vectors_can_come_from_the_records() -> None:
    embedder = FromField.load({"mode": "from_field", "field_name": "meta.vector", "dimensions": 2})
    records = [{"meta": {"vector": [1, 2.5]}}, {"meta": {"vector": [3, 4]}}]
    assert embedder.embed_records(records, ["a", "b"]).tolist() == [[1, 2.5], [3, 4]]
    embedder.check()
    for value in (None, [1], [[1, 2]], "text", [1, float("nan")], ["a", "b"]):
        with pytest.raises(RecordError):
            embedder.embed_records([{"meta": {"vector": value}}], ["a"])
    with pytest.raises(RecordError, match=r"no field meta\.vector"):
        embedder.embed_records([{}], ["a"])
    with pytest.raises(ConfigError, match="a text alone cannot be embedded"):
        embedder.embed(["a"])


def test_every_option_is_in_the_reference() -> None:
    folder = Path(__file__).parents[3] / "docs" / "reference"
    pages = (folder / "processing.md").read_text("utf-8") + (folder / "embedders.md").read_text("utf-8")
    form = Vectors.spec()["properties"]
    choices = form["embedding"]["oneOf"]
    splitters = form["processing"]["properties"]["text_splitter"]["oneOf"]
    names = {name for part in (form["processing"], *choices, *splitters) for name in part["properties"]}
    modes = {choice["properties"]["mode"]["const"] for choice in (*choices, *splitters)}
    missing = [name for name in sorted(names | modes) if f"`{name}`" not in pages]
    assert missing == ["mode"] or not missing
    for model in (*get_args(openai.Model), *get_args(cohere.Model)):
        assert model in pages
