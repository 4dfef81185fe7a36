"""SSH servers on this machine: one of asyncssh for every case, and OpenSSH's own where it is installed."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh

SSHD = shutil.which("sshd") or next((path for path in ("/usr/sbin/sshd",) if os.path.exists(path)), None)


class Bastion(asyncssh.SSHServer):
    """Accepts one user, by key or password, and forwards to the allowed ports alone."""

    def __init__(self, server: SshServer) -> None:
        self.server = server

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self.server.connections.append(conn)

    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == ("guest", "pass word")

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: Any) -> bool:
        return username == "guest" and key.public_data == self.server.client_key.public_data

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> bool:
        self.server.targets.append((dest_host, dest_port))
        if dest_port == 1:
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, "not allowed")
        return True


@dataclass
class SshServer:
    """An SSH server of asyncssh in a thread of its own. The user is `guest`, the password `pass word`."""

    client_key: Any = field(default_factory=lambda: asyncssh.generate_private_key("ssh-ed25519"))
    host_key: Any = field(default_factory=lambda: asyncssh.generate_private_key("ssh-ed25519"))
    port: int = 0
    connections: list[Any] = field(default_factory=list)
    targets: list[tuple[str, int]] = field(default_factory=list)
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)

    @contextlib.contextmanager
    def running(self) -> Iterator[SshServer]:
        thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        thread.start()
        listener = asyncio.run_coroutine_threadsafe(self._listen(), self.loop).result(300)
        self.port = listener.get_port()
        try:
            yield self
        finally:
            self.cut()
            self.loop.call_soon_threadsafe(listener.close)
            self.loop.call_soon_threadsafe(self.loop.stop)
            thread.join(300)

    async def _listen(self) -> Any:
        return await asyncssh.listen(
            "127.0.0.1", 0, server_factory=lambda: Bastion(self), server_host_keys=[self.host_key]
        )

    def cut(self) -> None:
        """Cut all connections, as a network does."""
        for connection in self.connections:
            self.loop.call_soon_threadsafe(connection.abort)
        self.connections.clear()

    def tunnel(self, **more: Any) -> dict[str, Any]:
        """`tunnel_method` with the key."""
        return {
            "tunnel_method": "SSH_KEY_AUTH",
            "tunnel_host": "127.0.0.1",
            "tunnel_port": self.port,
            "tunnel_user": "guest",
            "ssh_key": self.client_key.export_private_key().decode(),
            "tunnel_host_key": self.host_key.export_public_key().decode(),
            **more,
        }


@contextlib.contextmanager
def openssh(folder: Path) -> Iterator[dict[str, Any]]:
    """OpenSSH's server; gives the `tunnel_method` for it."""
    assert SSHD is not None
    key, host_key = asyncssh.generate_private_key("ssh-rsa"), asyncssh.generate_private_key("ecdsa-sha2-nistp256")
    for name, text in (("host_key", host_key.export_private_key()), ("authorized", key.export_public_key())):
        (folder / name).write_bytes(text)
        (folder / name).chmod(0o600)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    lines = (f"Port {port}", "ListenAddress 127.0.0.1", f"HostKey {folder}/host_key", "PermitRootLogin yes",
             f"AuthorizedKeysFile {folder}/authorized", f"PidFile {folder}/pid", "StrictModes no", "UsePAM no",
             "PasswordAuthentication no", "AllowTcpForwarding yes")  # fmt: skip
    (folder / "config").write_text("\n".join(lines))
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    server = subprocess.Popen([SSHD, "-D", "-e", "-f", str(folder / "config")], stderr=subprocess.PIPE)
    try:
        deadline = time.monotonic() + 300
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
                break
            assert server.poll() is None, server.stderr.read() if server.stderr else ""
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield {
            "tunnel_method": "SSH_KEY_AUTH",
            "tunnel_host": "127.0.0.1",
            "tunnel_port": port,
            "tunnel_user": getpass.getuser(),
            "ssh_key": key.export_private_key("pkcs1-pem").decode(),
            "tunnel_host_key": f"127.0.0.1 {host_key.export_public_key().decode()}",
        }
    finally:
        server.terminate()
        server.communicate()
