"""The setting of a stream for records that its source no longer lists: validated when it is set, stored in the form of
the API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kitestring.airbyte.modes import Mode
from kitestring.delete_detection import EVERY_HOURS, MOST_PERCENT, DeleteDetection
from kitestring.errors import ConfigError
from kitestring.server.http.problem import Problem

NAMES = {"mode": "mode", "everyHours": "every_hours", "mostPercent": "most_percent"}


def validate(request: Any, stream: str, mode: Mode) -> str | dict[str, Any] | None:
    """The setting as it is kept: a mode, or with it what differs from the defaults; None for off. `Problem` 422 for
    what cannot be."""
    try:
        detection = DeleteDetection.of(to_project_file(request))
    except ConfigError as error:
        raise Problem(422, error.message, hint=error.hint) from error
    if detection is None:
        return None
    if not mode.needs_key or mode.write.replace:
        raise Problem(
            422,
            f"detectDeletes is {detection.mode} for {stream}, and the sync mode {mode.name} "
            + ("replaces all records anyway" if mode.write.replace else "keeps every version"),
            hint="Take off, or a sync mode that keeps one record for each key and replaces nothing.",
        )
    if mode.write.deletes == "mark" and detection.mode == "hard":
        raise Problem(
            422,
            f"detectDeletes is hard for {stream}, and the sync mode {mode.name} removes no record",
            hint="Take soft, or another sync mode.",
        )
    extra = {
        name: value
        for name, value, default in (
            ("everyHours", detection.every_hours, EVERY_HOURS),
            ("mostPercent", detection.most_percent, MOST_PERCENT),
        )
        if value != default
    }
    return {"mode": detection.mode, **extra} if extra else detection.mode


def to_project_file(setting: Any) -> Any:
    """A setting of the API in the spelling of a project file."""
    if not isinstance(setting, Mapping):
        return setting
    return {NAMES.get(name, name): value for name, value in setting.items() if value is not None}


def to_api(setting: Any) -> Any:
    """A setting of a project file in the spelling of the API."""
    if not isinstance(setting, Mapping):
        return setting
    spelled = {inner: outer for outer, inner in NAMES.items()}
    return {spelled.get(name, name): value for name, value in setting.items()}
