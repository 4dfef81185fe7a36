"""Files: Parquet, JSON lines or CSV in a local folder or at any fsspec URL, one folder per stream."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, ClassVar

from pydantic import field_validator

from kitestring.config import option, secret
from kitestring.errors import ConfigError
from kitestring.facts import Facts
from kitestring.files.cloud_storage import machine_use
from kitestring.files.destination import FilesDestination
from kitestring.files.store import LocalStore, RemoteStore, Store


class Files(FilesDestination):
    """Writes each stream into its own folder, on this machine or at a URL."""

    facts: ClassVar[Facts] = Facts(
        title="Files",
        network="python",  # fsspec's cloud file systems; a local folder opens no socket
        programs=False,
        packages=("fsspec", "pyarrow"),
        preload=("fsspec", "pyarrow"),
        category="files",
        summary="Parquet, JSON lines or CSV, in a folder or any fsspec URL",
    )

    path: str = option(order=0, examples=["./data", "s3://bucket/folder"], local_path=lambda path: not remote(path))
    """A local folder, or a URL that fsspec knows (`s3://`, `gs://`, `abfs://`, `sftp://`, …)."""

    storage_options: dict[str, Any] = secret(default_factory=dict, order=5, title="Storage options")
    """The options of the file system in fsspec's form: key, secret, token, endpoint_url, …"""

    @field_validator("storage_options", mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return json.loads(value) if isinstance(value, str) else value

    def machine_use(self) -> str | None:
        return machine_use(self.path, self.storage_options) if remote(self.path) else None

    def new_store(self) -> Store:
        return RemoteStore(self.path, self.storage_options) if remote(self.path) else LocalStore(local(self.path))


def remote(path: str) -> bool:
    """Whether a path is an address for fsspec, and not a local folder."""
    return "://" in path and not path.startswith("file://")


def local(path: str) -> Path:
    """The local folder of `path`. `ConfigError` if it cannot be one, or looks like an address with a typo."""
    slip = re.match(r"([A-Za-z][A-Za-z0-9+.-]+):/?(?!/)", path)  # one letter is a drive of Windows
    if slip and slip[1] != "file":
        raise ConfigError(
            f"{path} begins like an address but lacks its two slashes",
            hint=f"Write {slip[1]}://…, or ./{path} for a folder of this name.",
        )
    if "\0" in path or not path.strip():
        raise ConfigError("`path` is empty or contains a NUL character", hint="Name a folder or a URL.")
    try:
        return Path(path.removeprefix("file://")).expanduser()
    except RuntimeError as error:
        raise ConfigError(f"{path} names the home of an unknown user", hint="Write the whole path.") from error
