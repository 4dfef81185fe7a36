"""Stores of renewed credentials; they let one process renew at a time.

A one-time refresh token ends with its use: the process that renews it saves the new pair before anything uses it, and
no second process renews at the same time.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from kitestring.errors import ConfigError, TransientError

log = logging.getLogger("kitestring.credentials")

LONGEST_WAIT_S = 120.0
"""The longest renewal of another process: a token request with its retries takes no longer."""
POLL_S = 0.1
RESERVED = 16_384
"""Bytes that are on the disk before a renewal, in which the new pair finds place: tokens are up to 4 kB long."""


class CredentialStore(Protocol):
    """Keeps what a renewal changes of a configuration."""

    def renewing(self, key: str) -> contextlib.AbstractContextManager[Mapping[str, Any] | None]:
        """Entered by one process at a time for each `key`, the name of one credential.

        Yields the configuration with what was kept last, or None where nothing was kept. `ConfigError` where nothing
        could be kept, `TransientError` where another process renews for too long.
        """
        ...

    def keep(self, key: str, changed: Mapping[str, Any], config: Mapping[str, Any]) -> None:
        """Keep what changed, durably, within `renewing`. `changed` has only that, `config` is all of it."""
        ...


@runtime_checkable
class RenewsCredentials(Protocol):
    """A source that renews its credentials itself."""

    def keep_credentials(self, store: CredentialStore) -> None:
        """Have renewed credentials kept there."""
        ...


@dataclass(frozen=True, slots=True)
class CredentialEnd:
    """A credential that ends at a known moment, and what to do before."""

    name: str
    at: datetime
    hint: str = ""

    @property
    def days_left(self) -> int:
        """Whole days until then; below zero when it is over."""
        return (self.at - datetime.now(UTC)).days

    def __str__(self) -> str:
        day = f"{self.at:%Y-%m-%d}"
        when = f"ended on {day}" if self.days_left < 0 else f"ends on {day}, in {self.days_left} days"
        return f"{self.name} {when}. {self.hint}".strip()


@runtime_checkable
class TellsCredentialEnds(Protocol):
    """A source that knows when its credentials end."""

    def credential_ends(self) -> list[CredentialEnd]:
        """The credentials that end, and when. May ask the API; leaves out what is not known."""
        ...


class ReportedCredentials:
    """Passes each new configuration to `report`; its receiver saves it, and lets only one process renew."""

    def __init__(self, report: Callable[[dict[str, Any]], None]) -> None:
        self._report = report

    def renewing(self, key: str) -> contextlib.AbstractContextManager[Mapping[str, Any] | None]:
        return contextlib.nullcontext()

    def keep(self, key: str, changed: Mapping[str, Any], config: Mapping[str, Any]) -> None:
        self._report(dict(config))


class NarrowedCredentials:
    """Keeps in `store` what a source renews whose configuration has other `values` than the one that is kept."""

    def __init__(self, store: CredentialStore, config: Mapping[str, Any], values: Mapping[str, Any]) -> None:
        self._store, self._config, self._values = store, config, values

    def renewing(self, key: str) -> contextlib.AbstractContextManager[Mapping[str, Any] | None]:
        return self._store.renewing(key)

    def keep(self, key: str, changed: Mapping[str, Any], config: Mapping[str, Any]) -> None:
        narrowed = {name for name in self._values if name not in changed}
        merged = {name: value for name, value in config.items() if name not in narrowed}
        merged.update({name: value for name, value in self._config.items() if name in narrowed})
        self._store.keep(key, changed, merged)


class CredentialFiles:
    """Renewed credentials as files that only their owner reads: `KEY.json` in a folder, with a lock file beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextlib.contextmanager
    def renewing(self, key: str) -> Iterator[Mapping[str, Any] | None]:
        path = self.folder / f"{key}.json"
        waited_until = time.monotonic() + LONGEST_WAIT_S
        while True:
            try:
                self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                (self.folder / ".gitignore").write_text("*\n")
                lock = path.with_suffix(".lock")
                file = os.fdopen(os.open(lock, os.O_RDWR | os.O_CREAT, 0o600), "a+")
            except OSError as error:
                raise unusable(self.folder, error) from error
            with file:
                # The folder may have been deleted meanwhile: a lock on a deleted file excludes nobody.
                if locked(file.fileno()) and _is(lock, file.fileno()):
                    credentials = self._read(path)
                    self._reserve(key)
                    try:
                        yield credentials
                    finally:
                        if _is(lock, file.fileno()):
                            with contextlib.suppress(OSError):
                                self._draft(key).unlink(missing_ok=True)
                    return
            if time.monotonic() > waited_until:
                raise TransientError(
                    f"another process has been renewing these credentials for {LONGEST_WAIT_S:.0f} s",
                    hint="Look whether another sync of this source hangs.",
                )
            time.sleep(POLL_S)

    def _draft(self, key: str) -> Path:
        return self.folder / f".{key}.tmp"

    def _reserve(self, key: str) -> None:
        """Take the disk space of what will be kept: a full disk has to fail before the old refresh token is used up."""
        try:
            with os.fdopen(os.open(self._draft(key), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(os.urandom(RESERVED))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            with contextlib.suppress(OSError):
                self._draft(key).unlink(missing_ok=True)
            raise unusable(self.folder, error) from error

    def _read(self, path: Path) -> Mapping[str, Any] | None:
        try:
            credentials = json.loads(path.read_text("utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"the renewed credentials in {path} cannot be read: {error}",
                hint="Delete the file and authorise the source again.",
            ) from error
        return credentials if isinstance(credentials, dict) else None

    def keep(self, key: str, changed: Mapping[str, Any], config: Mapping[str, Any]) -> None:
        path, draft = self.folder / f"{key}.json", self._draft(key)
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as file:
                json.dump(changed, file)
                file.truncate()
                os.fsync(file.fileno())
            draft.replace(path)
        except OSError as error:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)
            raise unusable(self.folder, error) from error
        log.info("kept renewed credentials", extra={"path": str(path)})


def unusable(folder: Path, error: OSError) -> ConfigError:
    return ConfigError(
        f"renewed credentials cannot be kept in {folder}: {error.strerror or error}",
        hint="A refresh token may be good only once: make the folder writable, or set KITESTRING_HOME.",
    )


def _is(path: Path, descriptor: int) -> bool:
    """True where an open file is the one at this path now."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except OSError:
        return False


def locked(descriptor: int) -> bool:
    """Try to lock a file; True on success. The system frees the lock when the process ends, in any way."""
    try:
        if os.name == "nt":  # pragma: no cover
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
