"""Sources of Airbyte's catalog: any program that speaks its protocol."""

from __future__ import annotations

from kitestring.airbyte.source import AirbyteSource as Airbyte

__all__ = ["Airbyte"]
