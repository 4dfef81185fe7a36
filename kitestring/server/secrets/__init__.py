"""Secrets: encryption at rest, references to secrets that are kept elsewhere, key rotation."""
