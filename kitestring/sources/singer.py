"""Singer taps, hundreds of which are on PyPI."""

from __future__ import annotations

from kitestring.airbyte.singer import SingerSource as Singer

__all__ = ["Singer"]
