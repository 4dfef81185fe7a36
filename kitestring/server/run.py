"""Runs a server: the API, the scheduler and a worker, in one process or in several."""

from __future__ import annotations

import logging
import signal
import socket
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from kitestring.errors import ConfigError
from kitestring.server.context import Context
from kitestring.server.observability import server_log
from kitestring.server.settings import Settings

log = logging.getLogger("kitestring.server")

DRAIN_S = 30.0


class Server:
    """The parts of a server that run in this process. `start` them, `wait` for a signal or `stop`, `close`.

    Each is optional: `kitestring up` runs all, `kitestring api` the first, `kitestring worker` the other two.
    """

    def __init__(self, context: Context, *, api: bool = True, work: bool = True) -> None:
        self.context = context
        self.api = api
        self.work = work
        self.stopped = threading.Event()
        self._uvicorn: Any = None
        self._threads: list[threading.Thread] = []
        self._stops: list[Callable[[], None]] = []
        self._socket: socket.socket | None = None

    @property
    def url(self) -> str:
        """The address of the API."""
        return self.context.settings.url

    def start(self) -> None:
        """Start all parts. `ConfigError` if the port is taken, or if others could reach a server without users."""
        from kitestring.server.connections.unsealed_secrets import seal_secrets

        if self.api:
            self._listen()
        self._stops.append(server_log.begin(self.context.settings))
        seal_secrets(self.context)
        if self.work:
            self._work()
        log.info("started", extra={"api": self.url if self.api else "", "work": self.work})

    def wait(self) -> None:
        """Wait for SIGINT or SIGTERM, or until a part has ended."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: self.stopped.set())
        while not self.stopped.wait(0.5):
            if any(not thread.is_alive() for thread in self._threads):
                log.error("a part of the server has ended: the server stops")
                return

    def stop(self) -> None:
        """Stop all parts: open requests are answered, running syncs stop at a checkpoint and continue later."""
        self.context.runner.stopping.set()
        if self._uvicorn is not None:
            self._uvicorn.should_exit = True
        for stop in reversed(self._stops):
            stop()
        for thread in self._threads:
            thread.join(DRAIN_S)
        if self._socket is not None:
            self._socket.close()

    def _listen(self) -> None:
        import uvicorn

        from kitestring.server.app import create_app
        from kitestring.server.auth.authentication import require_users
        from kitestring.server.http.header_timeout import HeaderTimeout

        settings = self.context.settings
        require_users(self.context)
        self._socket = bind(settings)
        # Addresses that the server writes, as the redirect of a consent, have the actual port where the setting is 0.
        listening = settings.model_copy(update={"port": self._socket.getsockname()[1]})
        self.context = replace(self.context, settings=listening)
        config = uvicorn.Config(
            create_app(self.context),
            http=HeaderTimeout,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=5,
        )
        self._uvicorn = uvicorn.Server(config)
        thread = threading.Thread(
            target=self._uvicorn.run, kwargs={"sockets": [self._socket]}, name="kitestring-api", daemon=True
        )
        # uvicorn handles signals only in the main thread: `wait` handles them.
        thread.start()
        self._threads.append(thread)
        while not self._uvicorn.started and thread.is_alive():
            thread.join(0.02)

    def _work(self) -> None:
        from kitestring.server.connections import connection, schema_change
        from kitestring.server.connections.scheduler import Scheduler
        from kitestring.server.connections.slot_monitor import SlotMonitor
        from kitestring.server.jobs import job_end
        from kitestring.server.jobs.worker import POLL_S, Worker
        from kitestring.server.notifications.outbox import NotificationSender

        context = self.context
        context.queue.on_end.append(lambda db, job_id, status: job_end.record_job_end(context, db, job_id, status))
        # On SQLite signals come from this process alone: with the API in it, that is where jobs are enqueued.
        poll_s = POLL_S if self.api else None
        worker = Worker(context, connection.plan_of, changed=schema_change.handle, poll_s=poll_s)
        for part in (worker, Scheduler(context), SlotMonitor(context), NotificationSender(context)):
            part.start()
            self._stops.append(part.stop)


def bind(settings: Settings) -> socket.socket:
    """A socket bound to the host and port of the settings."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # With an explicit protocol, asyncio sets TCP_NODELAY; otherwise each small answer takes 40 ms longer.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((settings.host, settings.port))
    except OSError as error:
        sock.close()
        raise ConfigError(
            f"the server cannot listen on {settings.host}:{settings.port}: {error.strerror or error}",
            hint="Another program uses this port, perhaps another Kitestring. Stop it, or choose a port with --port.",
        ) from error
    return sock
