"""Fork servers of jobs that are forked from a process which has imported what each would import (a second of CPU time).

    forkserver.PROGRAM = fork_servers().program

A server under test then starts this file instead of `kitestring.server.jobs.forkserver`: it hands its socket, its
environment and its folder to the process that forks, and lives as long as the fork server. `python -m
kitestring.server.jobs.forkserver` itself runs in the tests of `tests/unit/server`, and where a server is `new`.
"""

from __future__ import annotations

import json
import os
import socket
import sys

LENGTH_BYTES = 8


class ForkServers:
    """The process that forks them. It ends with this one."""

    def __init__(self) -> None:
        import subprocess
        import tempfile

        self._folder = tempfile.TemporaryDirectory(prefix="ksfs")
        place = os.path.join(self._folder.name, "socket")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(place)
            listener.listen(64)
            number = listener.fileno()
            self._process = subprocess.Popen(
                [sys.executable, __file__, "--fork", str(number)], stdin=subprocess.PIPE, pass_fds=[number]
            )
        self.program = ("-I", "-S", __file__, place)

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        self._folder.cleanup()


def fork_servers() -> ForkServers:
    """One for all tests of this process. It ends with it."""
    import atexit

    if not _fork_servers:
        _fork_servers.append(ForkServers())
        atexit.register(_fork_servers[0].close)
    return _fork_servers[0]


_fork_servers: list[ForkServers] = []


def hand_over(place: str, number: int) -> None:
    """Have a fork server forked that serves this descriptor; return when it has ended."""
    order = json.dumps({"environment": dict(os.environ), "folder": os.getcwd()}).encode()
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(place)
        socket.send_fds(line, [len(order).to_bytes(LENGTH_BYTES, "big")], [number, 1, 2])
        os.close(number)
        line.sendall(order)
        line.recv(1)


def fork_all(listener: socket.socket) -> None:
    """Fork a fork server for each connection, until standard input closes."""
    import gc
    import importlib
    import selectors
    import signal

    from kitestring.server.child import dispatch, preload  # noqa: F401

    preload.import_modules()
    for name in preload.PRELOADED:
        importlib.import_module(name)
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        selector.register(0, selectors.EVENT_READ)
        while all(key.fileobj is listener for key, _ in selector.select()):
            line, _ = listener.accept()
            with line:
                if os.fork() == 0:
                    become_fork_server(line, listener)


def become_fork_server(line: socket.socket, listener: socket.socket) -> None:
    """Serve as the process on the other end would. Ends with it."""
    import fcntl
    import signal
    import traceback

    from kitestring.server.child import dispatch
    from kitestring.server.jobs.forkserver import PR_SET_PDEATHSIG, prctl, serve

    try:
        listener.close()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        os.setsid()
        header, descriptors, _, _ = socket.recv_fds(line, LENGTH_BYTES, 3)
        with line.makefile("rb") as file:
            order = json.loads(file.read(int.from_bytes(header, "big")))
        fcntl.fcntl(line, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(line, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(line, fcntl.F_SETFL, fcntl.fcntl(line, fcntl.F_GETFL) | os.O_ASYNC)
        orders, stdout, stderr = descriptors
        for number, descriptor in ((0, os.open(os.devnull, os.O_RDONLY)), (1, stdout), (2, stderr)):
            os.dup2(descriptor, number)
            os.close(descriptor)
        os.chdir(order["folder"])
        os.environ.clear()
        os.environ.update(order["environment"])
        places = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
        sys.path[:0] = [place for place in places if place not in sys.path]
        serve(orders, dispatch.main)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(70)


if __name__ == "__main__":
    if sys.argv[1] == "--fork":
        fork_all(socket.socket(fileno=int(sys.argv[2])))
    else:
        hand_over(sys.argv[1], int(sys.argv[2]))
