"""The calls of Airbyte's Config API that real clients make, at /api/v1."""
