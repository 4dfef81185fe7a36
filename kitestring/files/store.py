"""Stores of files: a local folder or an fsspec URL. A file appears whole or not at all.

A folder is a path below the root, its files have plain names. Both stores have the same methods.
"""

from __future__ import annotations

import ctypes
import errno
import io
import json
import os
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Protocol, cast

from kitestring.errors import AuthError, ConfigError, KitestringError, TransientError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

TEMPORARY = ".kitestring/tmp"
OWNER, LOCK = "owner.json", "lock"
"""Permanent files in the work folder of a stream."""

LOCKS: dict[str, threading.Lock] = {}
"""Locks of remote folders by path: object stores have no locks, so these work in this process only."""

LOCKS_GUARD = threading.Lock()
NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EMLINK)
WHOLE_BYTES = 32 * 1024 * 1024
"""A remote file up to this size is fetched at once."""

LEFT_S = 3600
"""A temporary file that was not modified for so many seconds belongs to no running write."""


class Store(Protocol):
    def check(self) -> None:
        """Raise if the root cannot be written. Changes nothing."""

    def names(self, folder: str) -> list[str]:
        """The names of a folder's files, sorted; [] if it is absent."""

    def folders(self, folder: str) -> list[str]:
        """The names of the folders in a folder, sorted; [] if it is absent."""

    def open(self, folder: str, name: str) -> BinaryIO: ...

    def size(self, folder: str, name: str) -> int: ...

    def put(self, folder: str, name: str, data: Any) -> None:
        """Write a file; when this returns, it is durable."""

    def claim(self, folder: str, name: str, data: bytes) -> bytes:
        """Write a file unless it exists; returns its content."""

    def share(self, folder: str, name: str, new_folder: str, new_name: str) -> None:
        """Link or copy a file to another folder; without copying bytes if possible."""

    def locked(self, folder: str) -> AbstractContextManager[None]:
        """Lock a folder against other threads, and other processes if the store has locks."""

    def drop(self, folder: str) -> None:
        """Remove a folder with its files; no error if it is absent."""

    def swap(self, new: str, old: str, replaced: Set[str]) -> None:
        """Replace the files `replaced` of `old` by the files of `new`; the others of `old` stay. Drops `new`."""

    def recover(self, new: str, old: str) -> None:
        """Finish an interrupted swap."""


class LocalStore:
    """A folder of this machine. Files are synced to disk and renamed into place; a swap is one rename."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def check(self) -> None:
        with self._reading():
            nearest = self._nearest()
        if not nearest.is_dir():
            raise ConfigError(f"{nearest} is a file, not a folder", hint="Choose another `path`.")
        if not os.access(nearest, os.W_OK | os.X_OK):
            raise ConfigError(
                f"{nearest} may not be written by this user", hint="Choose another `path`, or its rights."
            )

    def _nearest(self) -> Path:
        """The root, or the nearest existing folder above it."""
        return next(path for path in [self.root, *self.root.parents] if path.exists())

    def names(self, folder: str) -> list[str]:
        with self._reading():
            try:
                return sorted(entry.name for entry in os.scandir(self.root / folder) if entry.is_file())
            except FileNotFoundError:
                return []

    def folders(self, folder: str) -> list[str]:
        with self._reading():
            try:
                return sorted(entry.name for entry in os.scandir(self.root / folder) if entry.is_dir())
            except FileNotFoundError:
                return []

    def open(self, folder: str, name: str) -> BinaryIO:
        with self._reading():
            return open(self.root / folder / name, "rb")

    def size(self, folder: str, name: str) -> int:
        with self._reading():
            return (self.root / folder / name).stat().st_size

    def put(self, folder: str, name: str, data: Any) -> None:
        with self._writing():
            temporary = self.root / TEMPORARY / uuid.uuid4().hex
            for needed in (temporary.parent, self.root / folder):
                needed.mkdir(parents=True, exist_ok=True)
            try:
                with temporary.open("xb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                temporary.replace(self.root / folder / name)
            finally:
                temporary.unlink(missing_ok=True)
            above = (self.root / folder).parents
            sync_folders(self.root / folder, *(path for path in above if path.is_relative_to(self.root)))

    def claim(self, folder: str, name: str, data: bytes) -> bytes:
        path = self.root / folder / name
        with self._writing():
            if not path.exists():
                temporary_name = f"{name}.{uuid.uuid4().hex}"
                self.put(folder, temporary_name, data)
                try:
                    os.link(path.with_name(temporary_name), path)  # unlike a rename, a link replaces nothing
                except FileExistsError:
                    pass
                except OSError as error:
                    if error.errno not in NO_LINKS:
                        raise
                    path.with_name(temporary_name).replace(path)
                finally:
                    path.with_name(temporary_name).unlink(missing_ok=True)
                sync_folders(path.parent)
            return path.read_bytes()

    def share(self, folder: str, name: str, new_folder: str, new_name: str) -> None:
        with self._writing():
            (self.root / new_folder).mkdir(parents=True, exist_ok=True)
            try:
                os.link(self.root / folder / name, self.root / new_folder / new_name)
            except OSError as error:
                if error.errno not in NO_LINKS:
                    raise
                shutil.copy2(self.root / folder / name, self.root / new_folder / new_name)

    @contextmanager
    def locked(self, folder: str) -> Iterator[None]:
        with self._writing():
            (self.root / folder).mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.root / folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if fcntl is not None:
                with suppress(OSError):  # a file system without locks
                    fcntl.flock(descriptor, fcntl.LOCK_EX)  # until it is closed, or the process ends
            yield
        finally:
            os.close(descriptor)

    def drop(self, folder: str) -> None:
        with self._writing():
            if (self.root / folder).exists():
                shutil.rmtree(self.root / folder)

    def swap(self, new: str, old: str, replaced: Set[str]) -> None:
        with self._writing():
            source, target = self.root / new, self.root / old
            source.mkdir(parents=True, exist_ok=True)
            present = set(self.names(old))
            for name in present - replaced:
                self.share(old, name, new, name)
            sync_folders(source)
            if not target.exists():
                source.rename(target)
            elif not exchange_folders(source, target):
                aside = self._aside(source)
                target.rename(aside)
                source.rename(target)
                move_other_entries(aside, target, present)
                shutil.rmtree(aside)
            move_other_entries(source, target, present)
            sync_folders(source.parent, target.parent)
            self.drop(new)

    def recover(self, new: str, old: str) -> None:
        aside = self._aside(self.root / new)
        with self._writing():
            if aside.exists() and not (self.root / old).exists():
                aside.rename(self.root / old)
            for leftover in (aside, self.root / new):
                move_other_entries(leftover, self.root / old)
            shutil.rmtree(aside, ignore_errors=True)
            self._sweep()

    def _sweep(self) -> None:
        """Remove files of interrupted writes. Younger files may belong to a running sync."""
        for path in (self.root / TEMPORARY).glob("*"):
            with suppress(FileNotFoundError):  # a folder here is the work folder of a stream of this name
                if path.name not in (OWNER, LOCK) and path.is_file() and time.time() - path.stat().st_mtime > LEFT_S:
                    path.unlink()

    def _aside(self, source: Path) -> Path:
        return source.with_name(source.name + ".aside")

    def _reading(self) -> AbstractContextManager[None]:
        return self._using("read")

    def _writing(self) -> AbstractContextManager[None]:
        return self._using("written")

    @contextmanager
    def _using(self, how: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise ConfigError(
                    f"the disk of {self.root} is full", hint="Free space, or choose another `path`; then sync again."
                ) from error
            if error.errno == errno.ENAMETOOLONG:
                longest = max((len(os.fsencode(part)) for part in Path(error.filename or self.root).parts), default=0)
                raise ConfigError(
                    f"a name in `path` has {longest} bytes, which is more than this file system takes",
                    hint="Choose another `path`.",
                ) from error
            if error.errno == errno.ENOTDIR:
                raise ConfigError(
                    f"{self._nearest()} is a file, not a folder", hint="Choose another `path`."
                ) from error
            raise ConfigError(
                f"{error.filename or self.root} cannot be {how}: {error.strerror}",
                hint="Check `path` and the rights of this user.",
            ) from error


def sync_folders(*folders: Path) -> None:
    """Make the names in these folders durable (if the system can open a folder)."""
    for folder in folders:
        try:
            descriptor = os.open(folder, os.O_RDONLY)
        except PermissionError:  # Windows
            continue
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def move_other_entries(source: Path, target: Path, known_names: Set[str] | None = None) -> None:
    """Move other entries of a stream's folder to the one that replaces it: folders, and with `known_names` the files
    that are not among these, since another writer added them meanwhile."""
    if source.is_dir() and target.is_dir():
        for entry in os.scandir(source):
            other = entry.is_dir() or (known_names is not None and entry.name not in known_names)
            if other and not (target / entry.name).exists():
                Path(entry.path).rename(target / entry.name)


def exchange_folders(first: Path, second: Path) -> bool:
    """Swap two folders atomically; False if the system cannot. Linux: `man 2 renameat2`, RENAME_EXCHANGE."""
    rename = getattr(ctypes.CDLL(None), "renameat2", None) if os.name == "posix" else None
    cwd, flag = -100, 2
    return rename is not None and rename(cwd, os.fsencode(first), cwd, os.fsencode(second), flag) == 0


class RemoteFile(io.RawIOBase):
    """An open remote file; its errors are those of the store."""

    def __init__(self, file: BinaryIO, reaching: Callable[[], AbstractContextManager[None]]) -> None:
        self._file = file
        self._reaching = reaching

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with self._reaching():
            data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, place: int, whence: int = 0) -> int:
        return self._file.seek(place, whence)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._file.close()
        super().close()


class RemoteStore:
    """An object store or another file system of fsspec's. A file appears when it is complete.

    A swap first adds the new files and then removes the old ones: for a moment a reader sees both, never neither. The
    list of files to remove is written first, so that the next sync finishes an interrupted swap.
    """

    def __init__(self, url: str, options: Mapping[str, Any]) -> None:
        import fsspec

        protocol = url.partition("://")[0]
        try:
            self.fs, root = fsspec.core.url_to_fs(url, **options)
        except ImportError as error:
            raise ConfigError(
                f"{protocol}:// needs a package that is not installed: {error}", hint="Install it with pip."
            ) from error
        except ValueError as error:
            raise ConfigError(f"{protocol}:// is not a file system that fsspec knows", hint="Check `path`.") from error
        self.root = root.rstrip("/")
        self.url = url

    def check(self) -> None:
        with self._reaching(), suppress(FileNotFoundError):
            self.fs.ls(self.root)

    def names(self, folder: str) -> list[str]:
        return self._entries(folder, "file")

    def folders(self, folder: str) -> list[str]:
        return self._entries(folder, "directory")

    def _entries(self, folder: str, kind: str) -> list[str]:
        with self._reaching():
            self.fs.invalidate_cache()
            try:
                entries = self.fs.ls(self._path(folder), detail=True)
            except FileNotFoundError:
                return []
            return sorted(PurePosixPath(entry["name"]).name for entry in entries if entry["type"] == kind)

    def open(self, folder: str, name: str) -> BinaryIO:
        """A small file as a whole, in one request; a large one in parts."""
        with self._reaching():
            if self.size(folder, name) <= WHOLE_BYTES:
                return io.BytesIO(self.fs.cat_file(self._path(folder, name)))
            return cast(BinaryIO, RemoteFile(self.fs.open(self._path(folder, name), "rb"), self._reaching))

    def size(self, folder: str, name: str) -> int:
        with self._reaching():
            return int(self.fs.size(self._path(folder, name)))

    def put(self, folder: str, name: str, data: Any) -> None:
        with self._reaching():
            self.fs.makedirs(self._path(folder), exist_ok=True)
            self.fs.pipe_file(self._path(folder, name), bytes(data))

    def claim(self, folder: str, name: str, data: bytes) -> bytes:
        if name not in self.names(folder):
            self.put(folder, name, data)
        return self.open(folder, name).read()

    def share(self, folder: str, name: str, new_folder: str, new_name: str) -> None:
        with self._reaching():
            self.fs.makedirs(self._path(new_folder), exist_ok=True)
            self.fs.cp_file(self._path(folder, name), self._path(new_folder, new_name))

    @contextmanager
    def locked(self, folder: str) -> Iterator[None]:
        with LOCKS_GUARD:
            lock = LOCKS.setdefault(self._path(folder), threading.Lock())
        with lock:
            yield

    def drop(self, folder: str) -> None:
        with self._reaching():
            if self.fs.exists(self._path(folder)):
                self.fs.rm(self._path(folder), recursive=True)

    def swap(self, new: str, old: str, replaced: Set[str]) -> None:
        self.put(*self._list(new), json.dumps(sorted(replaced)).encode())
        self.recover(new, old)

    def recover(self, new: str, old: str) -> None:
        folder, name = self._list(new)
        if name not in self.names(folder):
            return
        replaced = json.loads(self.open(folder, name).read())
        added = self.names(new)
        for file_name in added:
            self.share(new, file_name, old, file_name)
        present = set(self.names(old))
        with self._reaching():
            for file_name in replaced:
                if file_name in present and file_name not in added:
                    self.fs.rm_file(self._path(old, file_name))
        self.drop(new)
        with self._reaching():
            self.fs.rm_file(self._path(folder, name))

    def _list(self, new: str) -> tuple[str, str]:
        folder, _, name = new.rpartition("/")
        return folder, f"{name}.json"

    def _path(self, *parts: str) -> str:
        return "/".join((self.root, *parts))

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except KitestringError:
            raise
        except FileNotFoundError as error:
            raise ConfigError(f"{self.url} does not exist: {error}", hint="Check `path`.") from error
        except PermissionError as error:
            raise AuthError(
                f"{self.url} may not be written with these credentials", hint="Check `storage_options`."
            ) from error
        except Exception as error:
            # Every file system has its own errors (botocore, gcsfs, …).
            raise TransientError(
                f"{self.url} cannot be reached: {type(error).__name__}", hint="Check `path` and `storage_options`."
            ) from error
