"""Embedders: one file per embedder."""
