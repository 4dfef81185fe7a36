"""Kitestring's own API, at /api/kitestring/v1: what Airbyte's has no word for."""
