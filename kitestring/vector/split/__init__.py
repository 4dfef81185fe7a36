"""Splits texts into chunks that fit the embedding model."""
