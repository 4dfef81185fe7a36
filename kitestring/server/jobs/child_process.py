"""The parent's side of a child process: one thread reads messages, another the log."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kitestring.errors import KitestringError
from kitestring.server.child.protocol import Pipe, error_body
from kitestring.server.jobs.forkserver import ForkServer

LINE_BYTES = 1024 * 1024


class ChildProcess:
    """A child process that serves a request, with an initial lease.

    `on_message` gets each message, `write` each line of its log (without the line break). Both are called from threads
    of this object, one call of each at a time. The result of `on_message` is the body of the answer if the message
    has a number; an error that it raises is answered too. After `drain`, all output of the child has been handled.
    """

    def __init__(
        self,
        fork_server: ForkServer,
        request: Mapping[str, Any],
        on_message: Callable[[dict[str, Any]], Mapping[str, Any] | None],
        write: Callable[[bytes], None],
        lease_s: float,
    ) -> None:
        down, up, errors = os.pipe(), os.pipe(), os.pipe()
        try:
            self._process = fork_server.spawn(down[0], up[1], errors[1], lease_s)
        except BaseException:
            for descriptor in (down[1], up[0], errors[0]):
                os.close(descriptor)
            raise
        self._server = fork_server
        self._pipe = Pipe(up[0], down[1])
        self._errors = errors[0]
        self._request = dict(request)
        self._on_message = on_message
        self._write = write
        self._closing = threading.Lock()
        self.broken: KitestringError | None = None
        self._requested = threading.Event()
        self._threads = [
            threading.Thread(target=descriptor, name=f"kitestring-child-{self.pid}", daemon=True)
            for descriptor in (self._listen, self._log)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def status(self) -> int | None:
        """The exit code, or minus the signal that ended it; None while it runs."""
        return self._process.status

    @property
    def lease_ended(self) -> bool:
        """Whether the fork server ended it because its lease was not renewed in time."""
        return self._process.lease_ended

    @property
    def cpu_s(self) -> float:
        """Seconds of processor time that it has used; 0 if the system does not report them."""
        try:
            fields = Path(f"/proc/{self.pid}/stat").read_bytes().rpartition(b")")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        except (OSError, ValueError, IndexError):
            return 0.0

    def lease(self, seconds: float) -> None:
        """End it after so many seconds, unless this is called again before."""
        self._process.lease(seconds)

    def send(self, kind: str, **body: Any) -> None:
        """Send a message after the request. Nothing is sent to a process that has ended."""
        self._requested.wait()
        with contextlib.suppress(OSError):
            self._pipe.send(kind, **body)

    def cancel(self) -> None:
        """Ask it to stop at its next checkpoint."""
        self._process.kill(signal.SIGTERM)

    def dump(self) -> None:
        """Write the stacks of all its threads to its log, even if it does not react."""
        self._process.kill(signal.SIGUSR1)

    def kill(self) -> None:
        """End it now."""
        self._process.kill(signal.SIGKILL)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for it to end; False if it did not end within this time."""
        return self._process.wait(timeout_s)

    def drain(self, timeout_s: float = 10.0) -> None:
        """After its end: wait until all its output is handled, and close its pipes.

        A pipe that is still open then is held by a process that it started; that is not waited for.
        """
        for thread in self._threads:
            thread.join(timeout_s)
        if not any(thread.is_alive() for thread in self._threads):
            self._pipe.close()
            with contextlib.suppress(OSError):
                os.close(self._errors)

    def _listen(self) -> None:
        try:
            try:
                with contextlib.suppress(BrokenPipeError):
                    self._pipe.send("request", **self._request)
            finally:
                self._request = {}
                self._requested.set()
            for message in self._pipe.messages():
                if message["kind"] == "used":
                    self._server.preload([str(module) for module in message["modules"]])
                    continue
                body: Mapping[str, Any] | None = None
                try:
                    body = self._on_message(message)
                except KitestringError as error:
                    body = {"error": error_body(error)}
                if "number" in message:
                    with contextlib.suppress(BrokenPipeError):
                        self._pipe.send("answer", number=message["number"], **(body or {}))
        except KitestringError as error:  # an invalid message: the child cannot be trusted any more
            self.broken = error
            self.kill()

    def _log(self) -> None:
        rest = b""
        while block := os.read(self._errors, 65536):
            *lines, rest = (rest + block).split(b"\n")
            for line in lines:
                self._write(line)
            if len(rest) > LINE_BYTES:
                self._write(rest)
                rest = b""
        if rest:
            self._write(rest)
