"""Destinations of Airbyte's public API."""

from kitestring.server.api.airbyte_public import actors

router = actors.router("destination")
