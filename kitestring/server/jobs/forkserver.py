"""The fork server: a warm process from which child processes are forked, so that a child starts in milliseconds.

Starting Python and importing the engine takes half a second of processor time. The fork server has done that once. It
has one thread and no connections, so forking it is safe. What a child had to import besides (`child/preload.py`), the
fork server imports for the next one. It takes commands on a socket (three descriptors come with each spawn), and
reports the end of each child. When the process that started it ends, it ends, and the system kills the children
(PR_SET_PDEATHSIG). Processes that a killed child leaves behind become its children, and it ends them.

    python -m kitestring.server.jobs.forkserver DESCRIPTOR
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import orjson

from kitestring.errors import TransientError
from kitestring.server.clock import steady

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
START_S = 60.0
PROGRAM: Sequence[str] = ("-m", "kitestring.server.jobs.forkserver")
"""What Python runs as a fork server, with the descriptor of the socket as its last argument."""


class ForkedProcess:
    """A child process. `ended` is set with its `status` (exit code, or minus the signal that ended it), and with
    `lease_ended` where the fork server ended it since nobody had renewed its lease."""

    def __init__(self, server: ForkServer, number: int, line: socket.socket) -> None:
        self._server = server
        self.number = number
        self.line = line
        self.pid = 0
        self.status: int | None = None
        self.lease_ended = False
        self.started = threading.Event()
        self.ended = threading.Event()

    def lease(self, seconds: float) -> None:
        """Have the fork server end the child after so many seconds, unless this is called again before. This works even
        if the calling process is suspended and can end nothing."""
        if not self.ended.is_set():
            self._server.send({"do": "lease", "number": self.number, "seconds": seconds})

    def kill(self, sign: int = signal.SIGKILL) -> None:
        """Send a signal. Does nothing if the child has ended."""
        if not self.ended.is_set():
            self._server.send({"do": "kill", "number": self.number, "signal": int(sign)})

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for the child to end; False if it did not end within this time."""
        return self.ended.wait(timeout_s)


class ForkServer:
    """The client of the fork server. Starts it with the first child, and again if it has died.

    `program` is what Python runs instead of `PROGRAM`.
    """

    def __init__(self, program: Sequence[str] = ()) -> None:
        self._program = program or PROGRAM
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._children: dict[int, ForkedProcess] = {}
        self._number = 0
        self._preloaded: set[str] = set()
        self._closed = False

    def warm(self) -> None:
        """Start the fork server now rather than with the first child."""
        with self._lock:
            self._start()

    def spawn(self, stdin: int, stdout: int, stderr: int, lease_s: float) -> ForkedProcess:
        """Fork a child with these descriptors, which are closed here, and an initial lease.

        `TransientError` if no child can be started.
        """
        try:
            with self._lock:
                for retried in (False, True):
                    self._start()
                    assert self._socket is not None
                    self._number += 1
                    child = self._children[self._number] = ForkedProcess(self, self._number, self._socket)
                    order = frame({"do": "spawn", "number": child.number, "seconds": lease_s})
                    try:
                        socket.send_fds(self._socket, [order], [stdin, stdout, stderr])
                        break
                    except OSError as error:
                        del self._children[child.number]
                        self._drop()
                        if retried:
                            raise TransientError(
                                f"no child process can be started: {error}", hint="Look at the machine's memory."
                            ) from error
        finally:
            for descriptor in (stdin, stdout, stderr):
                os.close(descriptor)
        child.started.wait(START_S)
        if not child.started.is_set() or child.pid <= 0:
            raise TransientError("no child process can be started", hint="Look at the machine's memory and processes.")
        return child

    def send(self, message: dict[str, Any]) -> None:
        with self._lock, contextlib.suppress(OSError):
            if self._socket is not None:
                self._socket.sendall(frame(message))

    def preload(self, modules: list[str]) -> None:
        """Import these modules in the fork server, for the next child that needs them."""
        new = [module for module in modules if module not in self._preloaded]
        if new:
            self._preloaded.update(new)
            self.send({"do": "import", "modules": new})

    def close(self) -> None:
        """End the fork server, and with it every child."""
        with self._lock:
            self._closed = True
            self._drop()

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    def _drop(self) -> None:
        process, self._process = self._process, None
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket = None
        if process is not None:
            try:
                process.wait(10.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _start(self) -> None:
        if self._closed:
            raise TransientError("the server is stopping", hint="Start it again.")
        if self._socket is not None and self._process is not None and self._process.poll() is None:
            return
        self._drop()
        try:
            ours, theirs = socket.socketpair()
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, *self._program, str(theirs.fileno())],
                    stdin=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    # A Ctrl-C at the terminal goes to the server only, which ends its children in order.
                    start_new_session=True,
                )
        except OSError as error:
            raise TransientError(
                f"the fork server did not start: {error}", hint="Look at the machine's memory and processes."
            ) from error
        self._socket = ours
        self._preloaded = set()
        threading.Thread(target=self._listen, args=(ours,), name="kitestring-forkserver", daemon=True).start()

    def _listen(self, ours: socket.socket) -> None:
        try:
            with ours, ours.makefile("rb") as lines:
                for line in lines:
                    message = orjson.loads(line)
                    child = self._children.get(message["number"])
                    if child is None:
                        continue
                    if "pid" in message:
                        child.pid = message["pid"]
                        child.started.set()
                    else:
                        self._children.pop(child.number, None)
                        child.lease_ended = message["lease_ended"]
                        child.status = message["status"]
                        child.ended.set()
        except OSError:
            pass
        for child in list(self._children.values()):  # the fork server is gone: the system has killed its children
            if child.line is ours:
                self._children.pop(child.number, None)
                child.status = -signal.SIGKILL
                child.started.set()
                child.ended.set()


def frame(message: dict[str, Any]) -> bytes:
    return orjson.dumps(message) + b"\n"


# -- inside the fork server --------------------------------------------------------------------------------------------


def serve(line: int, main: Callable[[], int]) -> None:
    """Fork a child, which runs `main`, for each spawn command, until the other end closes."""
    orders = socket.socket(fileno=line)
    wake, woken = socket.socketpair()
    for sock in (wake, woken):
        sock.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it ends when its socket closes
    signal.set_wakeup_fd(woken.fileno(), warn_on_full_buffer=False)
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    children: dict[int, int] = {}
    leases = Leases(children)
    rest = b""
    received: list[int] = []
    with selectors.DefaultSelector() as selector:
        selector.register(orders, selectors.EVENT_READ)
        selector.register(wake, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is wake:
                    with contextlib.suppress(BlockingIOError):
                        wake.recv(4096)
                    reap(orders, children, leases)
                    continue
                block, descriptors, _, _ = socket.recv_fds(orders, 65536, 253)
                if not block:
                    os._exit(0)
                received += descriptors
                *lines, rest = (rest + block).split(b"\n")
                for text in lines:
                    order = orjson.loads(text)
                    if order["do"] == "spawn":
                        mine, received = received[:3], received[3:]
                        pid = fork([orders, wake, woken], mine, received, main)
                        if pid > 0:
                            children[pid] = order["number"]
                            leases.until(order["number"], order["seconds"])
                        for descriptor in mine:
                            os.close(descriptor)
                        send(orders, {"number": order["number"], "pid": pid})
                    elif order["do"] == "lease":
                        leases.until(order["number"], order["seconds"])
                    elif order["do"] == "import":
                        for name in order["modules"]:
                            with contextlib.suppress(Exception):
                                importlib.import_module(name)
                    else:
                        for pid, number in children.items():
                            if number == order["number"]:
                                with contextlib.suppress(ProcessLookupError):
                                    os.kill(pid, order["signal"])


class Leases:
    """The lease of each child, enforced by a system timer, so that it holds during a long import too."""

    def __init__(self, children: dict[int, int]) -> None:
        self._children = children
        self._until: dict[int, float] = {}
        self.ended: set[int] = set()
        """The numbers of children that were ended here, until their end is reported."""
        signal.signal(signal.SIGALRM, lambda *_: self.end())

    def until(self, number: int, seconds: float) -> None:
        self._until[number] = steady() + seconds
        self.end()

    def end(self) -> None:
        """End the children whose lease has run out, and set the timer for the next."""
        now = steady()
        running = {number: pid for pid, number in self._children.items()}
        self._until = {number: end for number, end in self._until.items() if number in running}
        for number, end in self._until.items():
            if end <= now:
                self.ended.add(number)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(running[number], signal.SIGKILL)
        coming = [end - now for end in self._until.values() if end > now]
        signal.setitimer(signal.ITIMER_REAL, max(0.001, min(coming)) if coming else 0.0)


def fork(sockets: list[socket.socket], descriptors: list[int], inherited: list[int], main: Callable[[], int]) -> int:
    """The child's process id, or 0 if none could be started. Does not return in the child."""
    parent_pid = os.getpid()
    try:
        pid = os.fork()
    except OSError:
        return 0
    if pid:
        return pid
    code = 70
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)  # timers are not inherited
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent_pid:
            os._exit(70)
        os.setsid()
        for number, descriptor in enumerate(descriptors):
            os.dup2(descriptor, number)
        for sock in sockets:
            sock.close()
        for descriptor in {*descriptors, *inherited} - {0, 1, 2}:
            os.close(descriptor)
        code = main()
    except BaseException:  # noqa: BLE001 - the process ends here; the reason goes to the log
        import traceback

        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stderr.flush()
        os._exit(code)


def reap(orders: socket.socket, children: dict[int, int], leases: Leases) -> None:
    """Report every child that has ended, and end the processes it left behind."""
    while True:
        try:
            pid, raw = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        number = children.pop(pid, None)
        clear_orphans(children)
        if number is not None:
            status, was_late = os.waitstatus_to_exitcode(raw), number in leases.ended
            leases.ended.discard(number)
            lease_ended = was_late and status == -signal.SIGKILL
            send(orders, {"number": number, "status": status, "lease_ended": lease_ended})


def clear_orphans(children: dict[int, int]) -> None:
    """Kill the processes that ended children left behind: they are children of the fork server now."""
    try:
        pids = Path(f"/proc/self/task/{os.getpid()}/children").read_text("ascii").split()
    except OSError:  # another system
        return
    for pid in pids:
        if int(pid) not in children:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(int(pid), signal.SIGKILL)


def send(orders: socket.socket, message: dict[str, Any]) -> None:
    try:
        orders.sendall(frame(message))
    except OSError:  # the client is gone
        os._exit(0)


def prctl(option: int, value: int) -> None:
    """Linux's prctl. Elsewhere it does nothing, and a child ends when its input closes."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def main() -> None:
    import gc

    gc.disable()
    from kitestring.server.child import dispatch, preload

    preload.import_modules()
    gc.freeze()  # no child looks at it, or copies the memory that it is in
    gc.enable()
    serve(int(sys.argv[1]), dispatch.main)


if __name__ == "__main__":
    main()
