"""The configuration that `kitestring init` writes for a vector store: the part that all of them share."""

from __future__ import annotations

FIRST_CHUNK_SIZE = 200
"""Tokens. Every embedder reads chunks of this size whole."""

SHARED = f"""\
processing:
  # Tokens in a chunk, in the embedding model's own encoding.
  chunk_size: {FIRST_CHUNK_SIZE}
  chunk_overlap: 20
  {{processing}}
embedding:
  # A small model that comes with `kitestring[local]`: no key, no network. For a larger one:
  #   mode: openai
  #   openai_key: ${{OPENAI_API_KEY}}
  mode: local
"""


def proposed_config(store: str) -> str:
    """A first configuration. `store`: the options of the store, YAML with comments; `{collection}` in it is replaced by
    the name to write to."""
    return SHARED + store
