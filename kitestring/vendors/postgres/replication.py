"""The streaming of a logical replication slot over libpq: https://www.postgresql.org/docs/current/protocol-replication.html

psycopg has no interface for it. `Replication` uses the connection of libpq below it, which has all that is needed.
"""

from __future__ import annotations

import select
import struct
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kitestring.errors import ConfigError, KitestringError, TransientError
from kitestring.vendors.postgres.errors import Place, translated
from kitestring.vendors.postgres.pgoutput import EPOCH_US, Message
from kitestring.vendors.sql_quoting import literal, quoted

if TYPE_CHECKING:
    import psycopg

FEEDBACK_EVERY_S = 10.0
"""The server closes a connection that is silent for `wal_sender_timeout`, 60 s by default."""
LOOK_EVERY_S = 0.3
"""How often a wait looks whether the connection was closed meanwhile."""
BURST = 1_000
STREAMING_VERSION = 140_000
CLOSING_S = 5.0

KEEPALIVE = ord("k")
DATA = ord("w")


def lsn_text(lsn: int) -> str:
    """A position as PostgreSQL writes it: `16/B374D848`."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


def lsn_number(text: str) -> int:
    high, low = text.split("/")
    return int(high, 16) << 32 | int(low, 16)


@dataclass(frozen=True, slots=True)
class ServerIdentity:
    """Which server writes the log: its system identifier, the number of its timeline (another one after each promotion
    and restoration), and where its log ends."""

    system: str
    timeline: int
    end: int


@dataclass(frozen=True, slots=True)
class NewSlot:
    """A slot that was just created: it has every transaction that commits at `position` or later, and the snapshot
    shows all others. The snapshot is there until the connection does something else."""

    position: int
    snapshot: str


class Replication:
    """A replication connection to one database. One thread receives; any thread may confirm and close."""

    def __init__(self, connection: psycopg.Connection[Any], place: Place) -> None:
        self._connection = connection
        self._libpq = connection.pgconn
        self._place = place
        self._lock = threading.Lock()
        self._confirmed = 0
        self._streaming = False
        self._closed = threading.Event()
        self._feedback: threading.Thread | None = None
        self.in_progress = False
        """It streams transactions before their commit."""

    @property
    def version(self) -> int:
        """The server's: 160004, say."""
        return self._libpq.server_version

    def query(self, command: str, timeout_s: float | None = None) -> list[dict[str, str | None]]:
        """A command of replication, or a statement of SQL; the rows as texts. `TimeoutError` when the answer takes
        longer; the connection can only be closed then."""
        from psycopg.pq import ExecStatus

        with self._translated(), self._lock:
            self._libpq.send_query(command.encode())
            deadline = None if timeout_s is None else time.monotonic() + timeout_s
            while self._libpq.is_busy():
                if self._closed.is_set():
                    raise TransientError(f"{self._place}: the connection was closed while it waited", hint="Try again.")
                if deadline is not None and time.monotonic() > deadline:
                    raise TimeoutError
                if select.select([self._libpq.socket], [], [], LOOK_EVERY_S)[0]:
                    self._libpq.consume_input()
            result = self._libpq.get_result()
            while self._libpq.get_result() is not None:
                pass
        if result is None:
            raise TransientError(f"{self._place} broke off", hint="Try again.")
        if result.status not in (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK):
            raise self._failure(result)
        names = [(result.fname(n) or b"").decode() for n in range(result.nfields)]
        return [
            {
                name: None if (value := result.get_value(row, n)) is None else bytes(value).decode()
                for n, name in enumerate(names)
            }
            for row in range(result.ntuples)
        ]

    def identity(self) -> ServerIdentity:
        (row,) = self.query("IDENTIFY_SYSTEM")
        return ServerIdentity(row["systemid"] or "", int(row["timeline"] or 0), lsn_number(row["xlogpos"] or "0/0"))

    def timeline_end(self, timeline: int, current: int) -> int | None:
        """Where the server left a timeline on its way to the current one; None if it was never on it."""
        (row,) = self.query(f"TIMELINE_HISTORY {current}")
        entries = (line.split() for line in (row["content"] or "").splitlines())
        ends = {int(entry[0]): lsn_number(entry[1]) for entry in entries if entry and entry[0].isdigit()}
        return ends.get(timeline)

    def create_slot(self, name: str, temporary: bool = False, timeout_s: float | None = None) -> NewSlot:
        """A new slot of pgoutput, and its snapshot. The server waits for the transactions that are running now;
        `TimeoutError` when that takes longer."""
        export = "(SNAPSHOT 'export')" if self.version >= 150000 else "EXPORT_SNAPSHOT"
        kind = " TEMPORARY" if temporary else ""
        (row,) = self.query(f"CREATE_REPLICATION_SLOT {quoted(name)}{kind} LOGICAL pgoutput {export}", timeout_s)
        return NewSlot(lsn_number(row["consistent_point"] or ""), row["snapshot_name"] or "")

    def stream(self, slot: str, position: int, publications: Sequence[str], in_progress: bool = False) -> None:
        """Begin to stream the transactions that commit at this position or later. Nothing is confirmed by that: another
        stream of the same slot may be further behind. `in_progress`: large ones come before their commit, from
        PostgreSQL 14 on; see `StreamedTransactions`."""
        from psycopg.pq import ExecStatus

        names = ",".join(map(quoted, publications))
        self.in_progress = in_progress and self.version >= STREAMING_VERSION
        version = "proto_version '2', streaming 'on'" if self.in_progress else "proto_version '1'"
        options = f"{version}, publication_names {literal(names)}, messages 'true'"
        command = f"START_REPLICATION SLOT {quoted(slot)} LOGICAL {lsn_text(position)} ({options})"
        with self._lock:
            result = self._libpq.exec_(command.encode())
        if result.status != ExecStatus.COPY_BOTH:
            raise self._failure(result)
        self._confirmed, self._streaming = 0, True
        self._feedback = threading.Thread(target=self._keep_alive, name="kitestring-replication", daemon=True)
        self._feedback.start()

    def receive(self, timeout_s: float) -> list[Message]:
        """The messages that are there, at most a thousand; none after this time. They begin with their kind: `w` is
        data, `k` a sign of life. `TransientError` when the connection is lost."""
        messages: list[Message] = []
        deadline = time.monotonic() + timeout_s
        with self._translated():
            while not self._closed.is_set():
                with self._lock:
                    while len(messages) < BURST:
                        size, data = self._libpq.get_copy_data(1)
                        if size <= 0:
                            break
                        messages.append(data)
                    if size < 0:
                        self._streaming = False
                        raise self._failure(self._libpq.get_result())
                    if messages:
                        return messages
                    socket = self._libpq.socket
                left = deadline - time.monotonic()
                if left <= 0 or not select.select([socket], [], [], left)[0]:
                    return []
                with self._lock:
                    self._libpq.consume_input()
        raise TransientError(f"{self._place}: the connection was closed while it was read", hint="Try again.")

    def confirm(self, position: int) -> None:
        """The server may forget the transactions that were committed before this position."""
        self._confirmed = max(self._confirmed, position)
        self.report()

    def report(self, ask: bool = False) -> None:
        """Tell the server what is confirmed. `ask`: it answers with a sign of life."""
        if not self._streaming:
            return
        now = int(time.time() * 1e6) - EPOCH_US
        status = struct.pack(">cqqqqB", b"r", self._confirmed, self._confirmed, self._confirmed, now, ask)
        with self._translated(), self._lock:
            self._libpq.put_copy_data(status)
            self._libpq.flush()

    def close(self) -> None:
        """End the stream, so that the server frees the slot at once, and disconnect."""
        import psycopg

        if self._closed.is_set():
            return
        self._closed.set()
        with self._lock, suppress(psycopg.Error, OSError):
            if self._streaming:
                self._streaming = False
                self._libpq.put_copy_end()
                self._libpq.flush()
                deadline = time.monotonic() + CLOSING_S
                while time.monotonic() < deadline:
                    size, _ = self._libpq.get_copy_data(1)
                    if size < 0:
                        break
                    if size == 0:
                        select.select([self._libpq.socket], [], [], 0.2)
                        self._libpq.consume_input()
        with suppress(psycopg.Error):
            self._connection.close()

    def _keep_alive(self) -> None:
        while not self._closed.wait(FEEDBACK_EVERY_S):
            try:
                self.report()
            except KitestringError:  # the thread that receives will meet the same error
                return

    def _failure(self, result: Any) -> KitestringError:
        import psycopg
        from psycopg.pq import DiagnosticField

        if result is None or not result.error_message:
            return TransientError(f"{self._place} ended the stream", hint="Try again.")
        code = (result.error_field(DiagnosticField.SQLSTATE) or b"").decode()
        message = (result.error_field(DiagnosticField.MESSAGE_PRIMARY) or result.error_message).decode(errors="replace")
        error = psycopg.OperationalError(message.strip())
        return replication_error(code, message.strip(), self._place) or translated(error, self._place)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn errors of libpq while it streams into ours: the connection is lost."""
        import psycopg

        try:
            yield
        except TimeoutError:
            raise
        except (psycopg.Error, OSError, ValueError) as error:  # select() raises the last two for a closed socket
            code = getattr(error, "sqlstate", None) or ""
            known = replication_error(code, str(error), self._place)
            if known is not None:
                raise known from error
            raise TransientError(
                f"{self._place} broke off while its changes were read: {' '.join(str(error).split())[:300]}",
                hint="Try again.",
            ) from error


def replication_error(code: str, message: str, place: Place) -> KitestringError | None:
    """The errors that only replication has: https://www.postgresql.org/docs/current/errcodes-appendix.html"""
    if code == "55006":  # object_in_use
        return SlotInUseError(
            f"{place}: another process reads the slot: {message}",
            hint="One connection reads a slot at a time: wait until the other has ended, or give this one its own "
            "`replication_slot`.",
        )
    if code == "53400":  # configuration_limit_exceeded
        return ConfigError(
            f"{place} has no replication slot left: {message}",
            hint="Drop a slot that nobody reads (SELECT * FROM pg_replication_slots), or raise max_replication_slots.",
        )
    if "standby connections exceeds max_wal_senders" in message or "max_wal_senders" in message:
        return TransientError(
            f"{place} has no connection for replication left: {message}", hint="Raise max_wal_senders there."
        )
    if code == "42704" and "publication" in message:
        return ConfigError(
            f"{place}: the slot begins before the publication was created: {message}",
            hint="Drop the slot, so that a new one begins behind the publication: SELECT "
            "pg_drop_replication_slot('…'). Then clear the streams of the connection: the next sync loads their tables "
            "again.",
        )
    if code == "42501":
        return ConfigError(
            f"{place}: the user {place.user} may not replicate: {message}",
            hint=f"ALTER USER {place.user} WITH REPLICATION; on Amazon RDS: GRANT rds_replication TO {place.user};",
        )
    return None


class SlotInUseError(TransientError):
    """Another process reads the slot."""
