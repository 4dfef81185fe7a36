"""The connection to a Milvus server or to Milvus Lite, opened with a time limit and closed completely."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from kitestring.destinations.milvus.errors import message_of, translate
from kitestring.destinations.milvus.indexing import Indexing, NoAuth, Token, UsernamePassword
from kitestring.destinations.milvus.lite_memory import fit_existing
from kitestring.errors import AuthError, ConfigError, TransientError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pymilvus import MilvusClient

# A process serves a Lite directory once, for all its connections: the last one closes it.
_lite_users: Counter[str] = Counter()
_lite_lock = threading.Lock()
LOCK_WAIT_S = 3.0
"""How long a reader waits for another process to close the directory."""
SYNC_LOCK_WAIT_S = 10.0
"""How long a sync waits: on a server, who reads gives way."""
# pymilvus pings every 10 s. A server with gRPC's own limits, Lite's for one, closes a connection that pings more often
# than every five minutes while a long call is under way, and the call fails.
GRPC_OPTIONS = {"grpc.keepalive_time_ms": 300_000, "grpc.keepalive_permit_without_calls": 0}


def connect(indexing: Indexing, lock_wait_s: float = LOCK_WAIT_S) -> MilvusClient:
    """A client. `ConfigError`, `AuthError` or `TransientError` if the connection fails."""
    silence_loggers()
    return connect_lite(indexing, lock_wait_s) if indexing.lite else connect_server(indexing)


def silence_loggers() -> None:
    """Turn off the loggers of pymilvus and Lite: they log arguments of failed calls, secrets included, and we raise
    these failures anyway."""
    import pymilvus  # noqa: F401 - it sets up its loggers when it is imported, and would undo this

    loggers = [name for name in logging.root.manager.loggerDict if name.startswith("pymilvus.")]
    for name in ("pymilvus", "milvus_lite", "grpc", *loggers):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def connect_lite(indexing: Indexing, lock_wait_s: float) -> MilvusClient:
    from pymilvus import MilvusClient

    try:
        from milvus_lite.server_manager import server_manager_instance as servers
    except ImportError as error:
        raise missing_lite(indexing) from error
    path = lite_path(indexing)
    if path.is_file():
        raise ConfigError(
            f"{path} is a file, Milvus Lite 3 keeps a directory",
            hint="It may be a database of Milvus Lite 2, which cannot be read: choose another path and sync again.",
        )
    is_new = not path.exists()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise translate(error, f"the folder {path.parent}", {}) from error
    deadline = time.monotonic() + lock_wait_s
    while True:
        with _lite_lock, collect_server_errors() as errors:
            try:
                # If other code in this process has it open, it is not ours to close.
                shared = str(path) in servers._servers and not _lite_users[str(path)]
                fit_existing(path, indexing.collection)
                client = MilvusClient(str(path), db_name=indexing.db, grpc_options=GRPC_OPTIONS)
            except Exception as error:
                failure = lite_error(path, errors, error, is_new)
                if not is_locked(errors, error) or time.monotonic() > deadline:
                    raise failure from error
            else:
                _lite_users[str(path)] += 2 if shared else 1
                return client
        time.sleep(0.1)


def lite_path(indexing: Indexing) -> Path:
    return Path(os.path.abspath(Path(indexing.host).expanduser()))


def lite_address(indexing: Indexing) -> str:
    """`host:port` of this process's server for an open Lite directory."""
    from milvus_lite.server_manager import server_manager_instance as servers

    return str(servers.start_and_get_uri(str(lite_path(indexing)))).removeprefix("http://")


def check_lite(indexing: Indexing) -> None:
    """Raise why a Lite directory cannot be created here. Creates none."""
    try:
        import milvus_lite  # noqa: F401
    except ImportError as error:
        raise missing_lite(indexing) from error
    nearest = lite_path(indexing).parent
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise ConfigError(
            f"Milvus Lite would be created at {lite_path(indexing)}, and {nearest} cannot be written",
            hint="Give this user the right to write there, or choose another path.",
            path=str(nearest),
        )


def missing_lite(indexing: Indexing) -> ConfigError:
    return ConfigError(
        f"{indexing.host} is a Milvus Lite path, and the package milvus-lite is not installed",
        hint="Install it: pip install 'kitestring[milvus]' (not on Windows: use a server there).",
    )


@contextmanager
def collect_server_errors() -> Iterator[list[BaseException]]:
    """The errors that Lite's server logs when it cannot start: the client does not get them."""
    errors: list[BaseException] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.exc_info and record.exc_info[1] is not None:
                errors.append(record.exc_info[1])

    log = logging.getLogger("milvus_lite.server_manager")
    keep, level, spread = Keep(), log.level, log.propagate
    log.addHandler(keep)
    log.setLevel(logging.ERROR)
    log.propagate = False
    try:
        yield errors
    finally:
        log.removeHandler(keep)
        log.setLevel(level)
        log.propagate = spread


def cause_of(errors: list[BaseException], error: Exception) -> str:
    cause = errors[-1] if errors else error
    return message_of(cause) if isinstance(cause, Exception) else str(cause)


def is_locked(errors: list[BaseException], error: Exception) -> bool:
    """Whether another process has the directory open."""
    return "lock" in cause_of(errors, error).lower()


def lite_error(path: Path, errors: list[BaseException], error: Exception, is_new: bool) -> Exception:
    cause, text = errors[-1] if errors else error, cause_of(errors, error)
    if is_locked(errors, error):
        return TransientError(
            f"{path} is in use by another process, and Milvus Lite serves one at a time",
            hint="Stop that process, or let both connect to `milvus-lite server --data-dir` over http.",
            path=str(path),
        )
    if "database not found" in text.lower() or ("database" in text.lower() and "not exist" in text.lower()):
        return ConfigError(f"{path} has no database of this name: {text}", hint="Correct indexing.db.", path=str(path))
    if isinstance(cause, Exception):
        return translate(cause, f"the Milvus Lite directory {path}", {"path": str(path)})
    return error


def connect_server(indexing: Indexing) -> MilvusClient:
    from pymilvus import MilvusClient

    host = indexing.host.replace("tcp://", "http://", 1)
    options: dict[str, Any] = {"uri": host, "db_name": indexing.db, "timeout": min(indexing.timeout, 10.0)}
    options["grpc_options"] = GRPC_OPTIONS
    if isinstance(indexing.auth, Token):
        options["token"] = indexing.auth.token
    elif isinstance(indexing.auth, UsernamePassword):
        options |= {"user": indexing.auth.username, "password": indexing.auth.password}
    if indexing.tls is not None:
        tls = indexing.tls
        options["secure"] = True
        if tls.client_cert:
            options |= {
                "client_pem_path": tls.client_cert,
                "client_key_path": tls.client_key,
                "ca_pem_path": tls.ca_file,
            }
        elif tls.ca_file:
            options["server_pem_path"] = tls.ca_file
        if tls.server_name:
            options["server_name"] = tls.server_name
    if indexing.address is not None:
        options |= pinned_options(indexing, options)
    try:
        return MilvusClient(**options)
    except Exception as error:
        failure = translate(error, f"Milvus at {host}", {"host": host})
        if isinstance(failure, AuthError | ConfigError | TransientError):
            raise failure from error
        raise TransientError(
            f"Milvus at {host} does not answer: {failure.message}",
            hint="Check indexing.host and indexing.auth: Milvus answers wrong credentials with silence.",
            host=host,
        ) from error


def pinned_options(indexing: Indexing, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that tie a connection to the checked address, whatever else the host name could mean.

    gRPC resolves no address by DNS and uses no proxy of the environment; the certificate must match the name.
    """
    parts = urlsplit(indexing.host)
    name, port = indexing.endpoint
    tied: dict[str, Any] = {
        "uri": f"{'https' if indexing.secure else 'http'}://{indexing.address}:{port}",
        # pymilvus shares connections by address and token: two servers with one address would share one.
        "dedicated": True,
        "db_name": indexing.db or parts.path.strip("/").partition("/")[0],
        "grpc_options": {**options["grpc_options"], "grpc.enable_http_proxy": 0},
    }
    if indexing.secure and name != indexing.address:
        tied["server_name"] = options.get("server_name") or name
    elif not indexing.secure:
        tied["grpc_options"]["grpc.default_authority"] = f"{name}:{port}"
    if isinstance(indexing.auth, NoAuth) and parts.username:
        tied["token"] = f"{parts.username}:{parts.password}" if parts.password else parts.username
    return tied


def disconnect(client: MilvusClient, indexing: Indexing) -> None:
    """Close the client; with the last one of a Lite directory in this process, release its lock."""
    client.close()
    if not indexing.lite:
        return
    from milvus_lite.server_manager import server_manager_instance as servers

    path = str(lite_path(indexing))
    with _lite_lock:
        _lite_users[path] -= 1
        if _lite_users[path] <= 0:
            del _lite_users[path]
            servers.release_server(path)
