"""Destinations of Airbyte's catalog: any program that speaks its protocol."""

from __future__ import annotations

from kitestring.airbyte.destination import AirbyteDestination as Airbyte

__all__ = ["Airbyte"]
