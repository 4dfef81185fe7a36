"""What `kitestring init` writes for a vector store: the part of it that is the same for all."""

from __future__ import annotations

SHARED = """\
processing:
  # Tokens in a chunk, in the embedding model's own encoding.
  chunk_size: 200
  chunk_overlap: 20
  {processing}
embedding:
  # A small model that comes with `kitestring[local]`: no key, no network. For a larger one:
  #   mode: openai
  #   openai_key: ${OPENAI_API_KEY}
  mode: local
"""


def proposed_config(store: str) -> str:
    """A configuration to begin with. `store`: what the store itself is told, YAML with comments; `{collection}` in it
    stands for the name to write to."""
    return SHARED + store
