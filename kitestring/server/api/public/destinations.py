"""Destinations of Airbyte's public API."""

from kitestring.server.api.public import actors

router = actors.router("destination")
