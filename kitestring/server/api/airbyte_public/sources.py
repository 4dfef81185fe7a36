"""Sources of Airbyte's public API."""

from kitestring.server.api.airbyte_public import endpoints

router = endpoints.router("source")
