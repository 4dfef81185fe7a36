"""A SQL destination that is one local file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import field_validator, model_validator

from kitestring.config import option
from kitestring.errors import ConfigError, KitestringError
from kitestring.sql.destination import SqlDestination


class SqlFile(SqlDestination):
    """Creates the file and its folders when the first stream begins; `check` creates nothing."""

    path: str = option(order=0, local_path=True)
    """The database file; it is created if it is absent."""

    airbyte_columns: bool = option(False, order=9, title="Airbyte's columns")
    """Whether tables also have Airbyte's columns: `_airbyte_raw_id`, `_airbyte_extracted_at`, `_airbyte_meta` and
    `_airbyte_generation_id`."""

    @model_validator(mode="before")
    @classmethod
    def _as_airbyte_has_it(cls, values: Any) -> Any:
        """Accept `destination_path`, the name of the path in Airbyte's connectors."""
        if not isinstance(values, Mapping) or "destination_path" not in values or "path" in values:
            return values
        return {("path" if name == "destination_path" else name): value for name, value in values.items()}

    @field_validator("path")
    @classmethod
    def _is_a_file(cls, path: str) -> str:
        if path.strip().startswith(":memory:"):
            raise ValueError(f"{path} is not a file, so all data would be lost at the end: give the path of a file")
        return path

    def _airbyte_columns(self) -> bool:
        return self.airbyte_columns

    def _translated(self, error: Exception) -> KitestringError:
        """An error of the driver or of the file system as one of ours."""
        raise NotImplementedError

    @property
    def _file(self) -> Path:
        return Path(self.path).expanduser()

    def check(self) -> None:
        path = self._file
        try:
            nearest = next(place for place in [path, *path.absolute().parents] if place.exists())
        except OSError as error:
            raise self._translated(error) from error
        if path.is_dir() or (nearest != path and not nearest.is_dir()):
            raise ConfigError(f"no database file can be created in {nearest}", hint="Choose another `path`.")
        if not os.access(nearest, os.W_OK):
            raise ConfigError(
                f"{nearest} may not be written by this user", hint="Choose another `path`, or its rights."
            )
        if path.exists():
            with self._connection() as connection:
                connection.columns(self._schema(), "_")  # to open the file: connecting alone may not read it
            self.close()

    def _is_there(self) -> bool:
        try:
            return self._file.exists()
        except OSError as error:
            raise self._translated(error) from error
