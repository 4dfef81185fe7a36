"""`FileUploader`: download the files of records into a folder, and put their paths into the records."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import uuid
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from kitestring import json_codec
from kitestring.declarative.decoder import JsonDecoder
from kitestring.declarative.error_handler import Actions
from kitestring.declarative.extractor import Extractor
from kitestring.declarative.keyword import Node, keyword
from kitestring.declarative.page import Page
from kitestring.declarative.slice import Slice
from kitestring.errors import Cancelled, ConfigError, KitestringError, TransientError
from kitestring.paths import value_at
from kitestring.types import Record, Reject

log = logging.getLogger("kitestring.declarative")

REFERENCE = "file_reference"
"""The record's field with the path of its file, with name and members of Airbyte's protocol."""
SCHEMA: dict[str, Any] = {
    "type": ["null", "object"],
    "properties": {
        "staging_file_url": {"type": ["null", "string"]},
        "source_file_relative_path": {"type": ["null", "string"]},
        "file_size_bytes": {"type": ["null", "integer"]},
    },
}
LIMIT_MB = 10_240
"""The default limit of a folder of files."""
ATTEMPTS = 3
"""How often a file is requested if its transfer breaks off."""
LONGEST_NAME = 200
"""Bytes of one part of a path; file systems allow 255."""


class FileFolder:
    """A folder of fetched files that never holds more than `limit_bytes`."""

    def __init__(self, folder: Path, limit_bytes: int = LIMIT_MB * 1024 * 1024) -> None:
        self.folder = folder
        self.limit_bytes = limit_bytes
        self._folder_bytes: int | None = None
        self._lock = threading.Lock()

    def write(self, relative: PurePosixPath, chunks: Iterable[bytes]) -> tuple[Path, int]:
        """Write a file atomically. Returns its path and its size in bytes."""
        path = self.folder / relative
        part = path.with_name(f".{uuid.uuid4().hex}.part")
        size = 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            old = path.stat().st_size if path.is_file() else 0
            self._reserve(-old)
            try:
                with part.open("wb") as file:
                    for chunk in chunks:
                        self._reserve(len(chunk))
                        size += len(chunk)
                        file.write(chunk)
                os.replace(part, path)
            except BaseException:
                self._reserve(old - size)
                raise
        except OSError as error:
            raise FolderFullError(
                f"the file {relative} cannot be written to {self.folder}: {error.strerror or error}",
                hint="Use a writable folder with enough free space.",
            ) from error
        finally:
            with contextlib.suppress(OSError):
                part.unlink()
        return path, size

    def _reserve(self, nbytes: int) -> None:
        with self._lock:
            if self._folder_bytes is None:
                self._folder_bytes = sum(file.stat().st_size for file in self.folder.rglob("*") if file.is_file())
            if nbytes > 0 and self._folder_bytes + nbytes > self.limit_bytes:
                raise FolderFullError(
                    f"the folder {self.folder} holds {self._folder_bytes:,} bytes of files, "
                    f"with this one it would exceed {self.limit_bytes:,}",
                    hint="Move files away, or set a higher `files_limit_mb`.",
                )
            self._folder_bytes += nbytes


class FolderFullError(ConfigError):
    """The folder cannot take the file. It ends the stream, because the next file would fail too."""


@keyword("FileUploader")
class FileUploader:
    """Fetches the file of each record into the folder of files."""

    def __init__(self, node: Node, name: str = "", key: tuple[tuple[str, ...], ...] = (), **_: Any) -> None:
        self._stream, self._key = name, key
        self._connection = node.context.connection
        self._requester = node.needed_child("requester", "HttpRequester", name=f"{name} (files)")
        for action in (Actions.SPLIT_WINDOW, Actions.REDUCE_PAGE_SIZE):
            if action in self._requester.handler.actions:
                raise node.error(f"the request for a file does not support the action {action}", "requester")
        self._target: Extractor = node.needed_child("download_target_extractor", "DpathExtractor")
        self._content: Extractor | None = node.child("file_extractor", "DpathExtractor")
        self._name = node.text("filename_extractor", types=(str,)) if node.get("filename_extractor") else None

    def fetch_files(self, page: Page, files: FileFolder) -> Page:
        """Fetch the files of a page. Each record gets its `file_reference`; without its file it becomes a reject."""
        records: list[Record] = []
        rejects = list(page.rejects)
        for record in page.records:
            try:
                reference = self._fetch(record, files)
            except (Cancelled, FolderFullError):
                raise
            except KitestringError as error:
                rejects.append(Reject(record, f"its file cannot be fetched: {error.message}"))
                continue
            records.append(record if reference is None else {**record, REFERENCE: reference})
        return Page(records, rejects, page.nbytes)

    def _fetch(self, record: Record, files: FileFolder) -> dict[str, Any] | None:
        """Fetch a record's file and return its reference; None if the manifest ignores the response."""
        targets = self._target.records([record])
        if not targets or not isinstance(targets[0], str):
            raise ConfigError("the record has no address of a file")
        target = targets[0]
        relative = self._relative(record, target)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                written = self._request(target, relative, files)
                break
            except TransferError as error:
                if attempt == ATTEMPTS:
                    raise
                log.info("requesting the file %s again: %s", relative, error.message)
                self._connection.pause(0.5 * attempt)
        if written is None:
            return None
        path, size = written
        return {
            "staging_file_url": str(path),
            "source_file_relative_path": str(relative),
            "file_size_bytes": size,
        }

    def _request(self, target: str, relative: PurePosixPath, files: FileFolder) -> tuple[Path, int] | None:
        part = Slice(extra_fields={"download_target": target})
        response, action = self._requester.send(part, stream=self._content is None)
        if action == Actions.IGNORE:
            return None
        if response.status >= 400:
            raise ConfigError(f"the request for it returned status {response.status}")
        try:
            return files.write(relative, response.chunks() if self._content is None else [self._inside(response)])
        except TransientError as error:
            raise TransferError(error.message, hint=error.hint) from error

    def _inside(self, response: Any) -> bytes:
        """The content inside a JSON response: a text unchanged, any other value as JSON."""
        assert self._content is not None
        contents = self._content.records([body for run in JsonDecoder().bodies(response) for body in run])
        if not contents:
            raise ConfigError("the response has no file content where the manifest expects it")
        return contents[0].encode() if isinstance(contents[0], str) else json_codec.dumps(contents[0])

    def _relative(self, record: Record, target: str) -> PurePosixPath:
        """`stream/name`. Without a name in the manifest it comes from the record's key: the next sync replaces it."""
        if self._name is not None:
            name = str(self._name({"record": record}))
        else:
            key = [value_at(record, path) for path in self._key]
            own = key if key and None not in key else [target]
            name = str(uuid.uuid5(uuid.NAMESPACE_URL, json_codec.dumps([self._stream, *own]).decode()))
        parts = [segment for segment in name.split("/") if segment not in ("", ".")]
        if not parts or ".." in parts or "\0" in name:
            raise ConfigError(f"{name!r} is not a file name inside the folder")
        return PurePosixPath(safe_name(self._stream.replace("/", "_")), *map(safe_name, parts))


class TransferError(TransientError):
    """The transfer of a file broke off."""


def safe_name(part: str) -> str:
    """A part of a path, short enough for file systems."""
    data = part.encode("utf-8", "replace")
    return part if len(data) <= LONGEST_NAME else data[-LONGEST_NAME:].decode("utf-8", "ignore")


def with_reference(schema: Any) -> dict[str, Any]:
    """A stream's schema with the field of the file reference."""
    return {**schema, "properties": {**(schema.get("properties") or {}), REFERENCE: SCHEMA}}
