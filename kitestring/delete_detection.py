"""The settings of a stream for finding the records that its source has deleted without saying so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from kitestring.config import Config, option
from kitestring.errors import ConfigError

DeletionMode = Literal["off", "soft", "hard"]
EVERY_HOURS = 24.0
MOST_PERCENT = 20.0


class DeleteDetection(Config):
    """How records that the source no longer lists are found, and what becomes of them."""

    mode: DeletionMode = "hard"
    """`hard`: they are removed. `soft`: they stay, with the time in `_ab_cdc_deleted_at`. `off`: they stay as they
    are."""
    every_hours: float = option(EVERY_HOURS, ge=0)
    """The time between two listings of the keys of a stream that is read incrementally. 0: with every sync."""
    most_percent: float = option(MOST_PERCENT, ge=0, le=100)
    """The largest share of the records that one listing may lack. With more, nothing is deleted until a second listing
    in a row lacks the same records, or the deletions are accepted."""

    @classmethod
    def of(cls, value: Any) -> DeleteDetection | None:
        """The settings from a mode, or from a mapping; None for `off` or nothing. `ConfigError` for another value."""
        if isinstance(value, DeleteDetection):
            detection = value
        elif isinstance(value, Mapping):
            detection = cls.load(value, "detect_deletes")
        elif value in (None, "off", "soft", "hard"):
            detection = cls(mode=value or "off")
        else:
            raise ConfigError(f"detect_deletes is {value!r}", hint="Choose off, soft or hard.")
        return None if detection.mode == "off" else detection
