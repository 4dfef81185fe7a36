"""Airbyte's public API, at /v1 and /api/public/v1: one file per resource."""
