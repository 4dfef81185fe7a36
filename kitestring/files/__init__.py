"""Shared code of connectors of files: formats, and stores of files."""
