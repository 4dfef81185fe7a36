"""Client of Airbyte's public connector registry, or a mirror: its index, the facts and files of a connector."""

from __future__ import annotations

import os
from typing import Any, overload
from urllib.parse import quote

from kitestring import json_codec
from kitestring.airbyte.connector_index import IndexEntry, entries_of
from kitestring.errors import AuthError, ConfigError, TransientError

PUBLIC = "https://connectors.airbyte.com/files"
VARIABLE = "KITESTRING_REGISTRY_URL"
INDEX = "registries/v0/oss_registry.json"
LARGEST_INDEX, LARGEST_FILE = 256 * 1024 * 1024, 16 * 1024 * 1024


class RegistryClient:
    """Fetches from a registry. `url` is that of its `files`; by default KITESTRING_REGISTRY_URL or Airbyte's own.

    `metadata/IMAGE/VERSION/` has the files of one version: `oss.json` with its facts, `manifest.yaml`, and
    `components.py` where the manifest needs it (PyAirbyte and Airbyte's platform use these addresses).
    """

    def __init__(self, url: str = "") -> None:
        self.url = (url or os.environ.get(VARIABLE) or PUBLIC).rstrip("/")

    def entries(self) -> list[IndexEntry]:
        """Every connector of the registry."""
        content = self._get(INDEX, LARGEST_INDEX)
        assert content is not None
        return entries_of(decode(content, f"{self.url}/{INDEX}"))

    def entry(self, image: str, version: str) -> IndexEntry | None:
        """The facts of one version; None where the registry does not have them. `version` may be `latest`."""
        path = f"{path_of(image, version)}/oss.json"
        content = self._get(path, LARGEST_FILE, optional=True)
        if content is None:
            return None
        values = decode(content, f"{self.url}/{path}")
        if not isinstance(values, dict):
            raise ConfigError(f"{self.url}/{path} is not an entry of a registry", hint="Check the address.")
        return IndexEntry.of(values)

    @overload
    def file(self, image: str, version: str, name: str) -> bytes: ...

    @overload
    def file(self, image: str, version: str, name: str, *, optional: bool) -> bytes | None: ...

    def file(self, image: str, version: str, name: str, *, optional: bool = False) -> bytes | None:
        """A file of one version; with `optional`, None where the registry has none."""
        content = self._get(f"{path_of(image, version)}/{name}", LARGEST_FILE, optional=optional)
        assert optional or content is not None
        return content

    def _get(self, path: str, largest: int, optional: bool = False) -> bytes | None:
        """The bytes at a path; with `optional`, None where the registry has none."""
        from kitestring.http import Response, Retries, Return, Session

        class OrNotFound(Retries):
            def judge(self, attempt: int, response: Response | None, error: Exception | None) -> Any:
                return (
                    Return()
                    if response is not None and response.status == 404
                    else super().judge(attempt, response, error)
                )

        try:
            with Session(
                policy=OrNotFound(attempts=3, longest_wait_s=30.0), max_wait_s=60.0, timeout_s=60.0
            ) as session:
                response = session.request("GET", f"{self.url}/{path}", stream=True)
                if response.status == 404:
                    if optional:
                        return None
                    raise ConfigError(
                        f"{self.url} has no {path}", hint="Check the name and the version.", url=f"{self.url}/{path}"
                    )
                chunks, size = [], 0
                for chunk in response.chunks():
                    size += len(chunk)
                    if size > largest:
                        response.close()
                        raise ConfigError(
                            f"{self.url}/{path} has more than {largest:,} bytes", hint="Check the address."
                        )
                    chunks.append(chunk)
                return b"".join(chunks)
        except (TransientError, AuthError) as error:
            raise type(error)(
                f"the connector registry {self.url} cannot be read: {error.message}",
                hint=f"Installed connectors work without it. A mirror: --registry URL, or {VARIABLE}.",
                url=f"{self.url}/{path}",
            ) from error


def path_of(image: str, version: str) -> str:
    if ".." in f"{image}/{version}".split("/") or not all(part for part in f"{image}/{version}".split("/")):
        raise ConfigError(f"{image}@{version} is not a connector with a version", hint="Write NAME@VERSION.")
    return f"metadata/{quote(image)}/{quote(version, safe='')}"


def decode(content: bytes, url: str) -> Any:
    try:
        return json_codec.loads(content)
    except json_codec.JsonError as error:
        raise ConfigError(
            f"{url} is not JSON: {content[:80].decode('utf-8', 'replace')!r}",
            hint="A login page or a proxy may answer instead; check the address.",
        ) from error
