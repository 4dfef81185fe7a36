"""A connector's running program: its files, its output under a watchdog, its last messages, and its end."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from kitestring.airbyte.decode import Decoder
from kitestring.errors import ConfigError, ConnectorError, TransientError

log = logging.getLogger("kitestring.airbyte")

BLOCK_BYTES = 256 * 1024
PIPE_BYTES = 1024 * 1024
TICK_S = 0.25
GRACE_S = 5.0
TAIL_LINES = 40


Heard: TypeAlias = tuple[list[Any], int]
"""Messages (`Garbage` among them) and their size in bytes."""


class Program(Protocol):
    """A program to start: a local one, or one in a container."""

    name: str

    def command(self, arguments: Sequence[str], folder: Path) -> list[str]:
        """The whole command line. `@file` among the arguments becomes the path of that file of `folder`."""

    def stop(self, folder: Path) -> None:
        """End what does not end with the process."""


class Local:
    """A program of this machine."""

    def __init__(self, argv: Sequence[str]) -> None:
        self.argv = list(argv)
        self.name = Path(self.argv[0]).name

    def command(self, arguments: Sequence[str], folder: Path) -> list[str]:
        return [
            *self.argv,
            *(str(folder / argument[1:]) if argument.startswith("@") else argument for argument in arguments),
        ]

    def stop(self, folder: Path) -> None:
        pass


class Container:
    """A program in an image, run by docker or podman. Its files are in /secrets."""

    def __init__(self, engine: str, image: str) -> None:
        self.engine = engine
        self.image = image
        self.name = image

    def command(self, arguments: Sequence[str], folder: Path) -> list[str]:
        inside = ["/secrets/" + argument[1:] if argument.startswith("@") else argument for argument in arguments]
        name = f"kitestring-{folder.parent.name}"
        flags = ["--rm", "--interactive", "--init", "--name", name, "--volume", f"{folder}:/secrets:ro"]
        return [self.engine, "run", *flags, self.image, *inside]

    def stop(self, folder: Path) -> None:
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run(
                [self.engine, "kill", f"kitestring-{folder.parent.name}"], capture_output=True, timeout=10, check=False
            )


class Process:
    """A started program. `files` are written for it as JSON, readable by this user alone, and removed at the end.

    Its command line holds no secrets. Its output is read only on demand: with a slow reader the pipe fills up, and the
    program waits.
    """

    def __init__(
        self,
        program: Program,
        arguments: Sequence[str],
        files: Mapping[str, Any],
        *,
        environment: Mapping[str, str] | None = None,
        stdin: bool = False,
        hear: Callable[[str], None] | None = None,
    ) -> None:
        self.program = program
        self.arguments = list(arguments)
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        self.stopped = False
        self._closed = False
        self.heard_at = time.monotonic()
        self._hear = hear
        self._lock = threading.Lock()
        outer = Path(tempfile.mkdtemp(prefix="kitestring-"))  # only this user may look in
        self.folder = outer / "files"
        try:
            self.folder.mkdir()
            for name, value in files.items():
                # A container's program is another user: for it the closed outer folder is the guard.
                mode = 0o644 if isinstance(program, Container) else 0o600
                with os.fdopen(os.open(self.folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
                    json.dump(value, file)
            self._process = subprocess.Popen(
                program.command(self.arguments, self.folder),
                stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                env={**clean_environment(), **(environment or {})},
                start_new_session=True,
            )
        except OSError as error:
            shutil.rmtree(outer, ignore_errors=True)
            raise ConfigError(
                f"{program.name} cannot be started: {error.strerror or error}",
                hint="Check that the program exists and is executable.",
            ) from error
        except BaseException:
            shutil.rmtree(outer, ignore_errors=True)
            raise
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._out = self._process.stdout.fileno()
        widen(self._out)
        self._errors = threading.Thread(target=self._drain, name="kitestring-stderr", daemon=True)
        self._errors.start()

    # -- reading -------------------------------------------------------------------------------------------------------

    def messages(self, quiet_s: Callable[[], float]) -> Iterator[Heard]:
        """The program's messages, as lists with their size; an empty list after a moment without output.

        `quiet_s` returns how long it may be silent (only time spent waiting counts); after that it is ended and
        `TransientError` raised. The iteration ends with the program's output.
        """
        decoder = Decoder()
        for data in self.blocks(quiet_s):
            yield decoder.feed(data) if data else [], len(data)
        last = decoder.end()
        if last:
            yield last, 0

    def blocks(self, quiet_s: Callable[[], float]) -> Iterator[bytes]:
        """The bytes that the program writes, as they come; `b""` after a moment without any."""
        waiting = select.poll()
        waiting.register(self._out, select.POLLIN | select.POLLHUP)
        silent, ticks_after_exit = 0.0, 0
        while not self.stopped:
            began = time.monotonic()
            if not waiting.poll(TICK_S * 1000):
                # A grandchild may hold the pipe open after the program has ended.
                ticks_after_exit += self._process.poll() is not None
                if ticks_after_exit > 8:
                    break
                silent += time.monotonic() - began
                if self.heard_at > began - silent:
                    silent = max(0.0, began - self.heard_at)
                if silent > quiet_s():
                    self.close()
                    raise TransientError(
                        f"{self.program.name} wrote nothing for {round(silent)} s and was ended",
                        hint="Try again; if long silence is normal for it, raise `quiet_s`.",
                    )
                yield b""
                continue
            silent, ticks_after_exit = 0.0, 0
            data = os.read(self._out, BLOCK_BYTES)
            if not data:
                break
            yield data

    def _drain(self) -> None:
        """Keep the last lines of standard error: they explain a crash."""
        assert self._process.stderr is not None
        with contextlib.suppress(OSError, ValueError):
            for raw in lines_of(self._process.stderr.fileno()):
                text = raw.decode("utf-8", "replace").rstrip()
                if text:
                    self.heard_at = time.monotonic()
                    self.tail.append(text[:2000])
                    if self._hear is not None:
                        self._hear(text[:2000])

    # -- writing -------------------------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Write to the program; waits while it does not read. `BrokenPipeError` when it has ended."""
        assert self._process.stdin is not None
        view = memoryview(data)
        while view:
            view = view[os.write(self._process.stdin.fileno(), view[:PIPE_BYTES]) :]

    def end_input(self) -> None:
        if self._process.stdin is not None and not self._process.stdin.closed:
            with contextlib.suppress(OSError):
                self._process.stdin.close()

    # -- the end -------------------------------------------------------------------------------------------------------

    def code(self, wait_s: float = 60.0) -> int:
        """The exit code, after the end of the output; ends a program that does not exit. Negative: a signal."""
        try:
            code = self._process.wait(wait_s)
        except subprocess.TimeoutExpired:
            self.close()
            raise ConnectorError(
                f"{self.program.name} closed its output and did not end in {round(wait_s)} s"
            ) from None
        self._errors.join(2.0)
        return code

    def close(self) -> None:
        """End the program and its children, and remove its files. Safe to call twice and from any thread."""
        self.stopped = True
        with self._lock:
            if self._closed:
                return
            self._closed = True
            if self._process.poll() is None:
                self._signal(signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(GRACE_S)
                self.program.stop(self.folder)
            self._signal(signal.SIGKILL)  # also children that outlive the program
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(GRACE_S)
            shutil.rmtree(self.folder.parent, ignore_errors=True)

    def release(self) -> None:
        """End the program and close its pipes: for the thread that reads them, after its last read."""
        self.close()
        self.end_input()
        self._errors.join(1.0)
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)


def lines_of(descriptor: int) -> Iterator[bytes]:
    """Lines of a pipe; an endless line is cut."""
    rest = b""
    while data := os.read(descriptor, 65536):
        *whole, rest = (rest + data).split(b"\n")
        yield from whole
        if len(rest) > 65536:
            yield rest
            rest = b""
    if rest:
        yield rest


def widen(descriptor: int) -> None:
    """Enlarge a pipe, so that the program runs on while we write."""
    with contextlib.suppress(ImportError, AttributeError, OSError):
        import fcntl

        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, PIPE_BYTES)


def clean_environment() -> dict[str, str]:
    """Our environment without variables that misdirect another Python, and without a server's own (the key of its
    secrets, its database, its secret managers): a connector gets its own secrets and no others."""
    removed = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "VAULT_TOKEN")
    variables = {k: v for k, v in os.environ.items() if k not in removed and not k.startswith("KITESTRING_")}
    return {**variables, "PYTHONIOENCODING": "utf-8"}


def container_engine() -> str:
    """docker or podman, the first that responds; `ConfigError` if none does."""
    tried = []
    for name in ("docker", "podman"):
        program = shutil.which(name)
        if program is None:
            continue
        tried.append(name)
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            done = subprocess.run([program, "info"], capture_output=True, timeout=20, check=False)
            if done.returncode == 0:
                return program
    problem = f"{' and '.join(tried)} did not answer" if tried else "neither docker nor podman is installed"
    raise ConfigError(
        f"an image needs a container engine, and {problem}",
        hint="Start docker or podman; or use the connector's Python package with `package`.",
    )
