"""The client of a Chroma server or of a folder, and its errors as ours."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from kitestring.destinations.chroma.indexing import HttpMode, Indexing, PersistentMode
from kitestring.errors import AuthError, ConfigError, ConnectorError, KitestringError, TransientError

if TYPE_CHECKING:
    from chromadb.api import ClientAPI

LOCK_WAIT_S = 3.0
"""How long a reader waits for another process to close the folder."""
SYNC_LOCK_WAIT_S = 10.0
"""How long a sync waits: on a server, who reads gives way."""
LOCK_FILE = "kitestring.lock"
ANSWER_S = 300.0
"""How long an answer is waited for: Chroma's client would wait without end."""

_locks: dict[str, tuple[IO[bytes], int]] = {}
"""The locks of folders that this process has open, and their users. Chroma itself has none, and is not made for several
processes."""
_locks_lock = threading.Lock()


class Connection:
    """A client. A folder is locked while a connection of this process has it open."""

    def __init__(self, indexing: Indexing, lock_wait_s: float) -> None:
        self.indexing = indexing
        mode = indexing.auth_method
        self._folder = str(mode.folder) if isinstance(mode, PersistentMode) else None
        if self._folder is not None:
            lock(self._folder, lock_wait_s)
        try:
            with translated(indexing):
                self.client = opened(mode)
        except BaseException:
            if self._folder is not None:
                unlock(self._folder)
            raise

    def close(self) -> None:
        self.client.close()
        if self._folder is not None:
            unlock(self._folder)


def opened(mode: PersistentMode | HttpMode) -> ClientAPI:
    import chromadb
    from chromadb.config import Settings

    # Without the file .env of this folder and the credentials of this machine, which would go to another's server.
    settings = Settings(
        _env_file=None,
        anonymized_telemetry=False,
        chroma_server_host=None,
        chroma_server_http_port=None,
        chroma_client_auth_provider=None,
        chroma_client_auth_credentials=None,
    )
    if isinstance(mode, PersistentMode):
        return chromadb.PersistentClient(str(mode.folder), settings=settings)
    headers = {"X-Chroma-Token": mode.token} if mode.token else {}
    if mode.username or mode.password:
        pair = base64.b64encode(f"{mode.username}:{mode.password}".encode()).decode()
        headers["Authorization"] = f"Basic {pair}"
    limit_waits()
    return chromadb.HttpClient(
        mode.host, mode.port, mode.ssl, headers, settings, tenant=mode.tenant, database=mode.database
    )


def limit_waits() -> None:
    """Have the HTTP client of Chroma wait `ANSWER_S` for an answer. It has no option for that."""
    from chromadb.api.fastapi import FastAPI

    request: Any = FastAPI._make_request
    if request.__module__ != FastAPI.__module__:
        return

    def limited(client: Any, method: str, path: str, **options: Any) -> Any:
        return request(client, method, path, timeout=ANSWER_S, **options)

    FastAPI._make_request = limited


def lock(folder: str, wait_s: float) -> None:
    """Lock a folder for this process. `TransientError` if another one has it for longer."""
    deadline = time.monotonic() + wait_s
    while True:
        with _locks_lock:
            if folder in _locks:
                file, users = _locks[folder]
                _locks[folder] = (file, users + 1)
                return
            try:
                Path(folder).mkdir(parents=True, exist_ok=True)
                file = (Path(folder) / LOCK_FILE).open("ab")
            except OSError as error:
                raise ConfigError(
                    f"{folder} cannot be used: {error.strerror}",
                    hint="Check indexing.auth_method.path and the rights of this user.",
                ) from error
            if is_locked(file):
                _locks[folder] = (file, 1)
                return
            file.close()
        if time.monotonic() > deadline:
            raise TransientError(
                f"{folder} is in use by another process, and Chroma serves one at a time",
                hint="Stop that process, or let both connect to `chroma run --path`.",
            )
        time.sleep(0.1)


def is_locked(file: IO[bytes]) -> bool:
    """Whether the file is now locked for this process."""
    try:
        import fcntl
    except ImportError:  # Windows
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def unlock(folder: str) -> None:
    with _locks_lock:
        file, users = _locks[folder]
        if users > 1:
            _locks[folder] = (file, users - 1)
        else:
            del _locks[folder]
            file.close()


@contextmanager
def translated(indexing: Indexing) -> Iterator[None]:
    """Raise errors of the client as ours."""
    try:
        yield
    except KitestringError:
        raise
    except Exception as error:
        raise translate(error, indexing) from error


def translate(error: Exception, indexing: Indexing) -> KitestringError:
    import httpx
    from chromadb import errors

    where, text = f"Chroma at {indexing.place}", " ".join(str(error).split())[:300]
    status: Any = getattr(getattr(error, "response", None), "status_code", None)
    refused = isinstance(error, errors.AuthorizationError | errors.ChromaAuthError) or status in (401, 403)
    if refused or "Forbidden" in text or "Unauthorized" in text:
        return AuthError(f"{where} refused the credentials: {text}", hint="Check indexing.auth_method.")
    if isinstance(error, errors.RateLimitError):
        return TransientError(f"{where} limits its calls: {text}")
    causes = (error, error.__cause__, error.__context__)  # the client raises some again as ValueError
    lost = any(isinstance(cause, httpx.TransportError) for cause in causes)
    if lost or "Could not connect" in text or (status or 0) >= 500:
        return TransientError(
            f"{where} does not answer: {text}", hint="Check host and port in indexing.auth_method, and the server."
        )
    if isinstance(error, errors.NotFoundError | errors.QuotaError | OSError) or "disk" in text or "readonly" in text:
        return ConfigError(f"{where}: {text}", hint="Check `indexing` and the disk.")
    if isinstance(error, errors.InternalError) and isinstance(indexing.auth_method, HttpMode):
        return TransientError(f"{where} has an error: {text}")
    return ConnectorError(f"{where} refused a call: {text}")
