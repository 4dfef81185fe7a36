"""The location of a lake: a local folder, or the address of an object store."""

from __future__ import annotations

import os
from pathlib import Path

from kitestring.errors import ConfigError


def is_remote(location: str) -> bool:
    """Whether a location is the address of an object store, and not a local folder."""
    return "://" in location and not location.startswith("file://")


def local_folder(location: str, option: str) -> Path:
    """The folder of a location that is not remote. `option` is its name in the configuration, for the error."""
    if "\0" in location or not location.strip():
        raise ConfigError(f"`{option}` is empty or contains a NUL character", hint="Name a folder or a URL.")
    return Path(location.removeprefix("file://")).expanduser().absolute()


def require_writable(folder: Path, option: str) -> None:
    """`ConfigError` if no tables can be created in a folder. Nothing is created."""
    nearest = next(place for place in [folder, *folder.parents] if place.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise ConfigError(f"no tables can be created in {nearest}", hint=f"Choose another `{option}`, or its rights.")
