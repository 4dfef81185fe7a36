"""A SQL destination that is one file of this machine."""

from __future__ import annotations

import os
from pathlib import Path

from kitestring.config import option
from kitestring.errors import ConfigError, KitestringError
from kitestring.sql.destination import SqlDestination


class SqlFile(SqlDestination):
    """Makes the file, and the folders that lead there, when the first stream begins; `check` makes nothing."""

    path: str = option(order=0, local_path=True)
    """The database file; it is made if it is absent."""

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
            raise ConfigError(f"{nearest} is no place for a database file", hint="Choose another `path`.")
        if not os.access(nearest, os.W_OK):
            raise ConfigError(
                f"{nearest} may not be written by this user", hint="Choose another `path`, or its rights."
            )
        if path.exists():
            with self._connection() as connection:
                connection.rows("SELECT 1")
            self.close()

    def _is_there(self) -> bool:
        try:
            return self._file.exists()
        except OSError as error:
            raise self._translated(error) from error
