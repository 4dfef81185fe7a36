"""Transactions that the server sends while they are in progress (protocol version 2), as those that it sends whole.

https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html: the messages of a block of such a
transaction have the number of their (sub)transaction behind their kind. They wait in a temporary file for the commit,
and an aborted subtransaction is left out.
"""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import IO, Any

from kitestring.errors import ConfigError
from kitestring.vendors.postgres import pgoutput
from kitestring.vendors.postgres.pgoutput import HEADER, Message

STREAM_START, STREAM_STOP, STREAM_COMMIT, STREAM_ABORT = b"SEcA"
KEPT = frozenset({pgoutput.RELATION, pgoutput.INSERT, pgoutput.UPDATE, pgoutput.DELETE, pgoutput.TRUNCATE})
DATA = ord("w")
IN_MEMORY_BYTES = 8 * 1024 * 1024
ENTRY = struct.Struct(">II")
"""Before each message in the file: its length, and the number of its (sub)transaction."""
XID_BYTES = 4


@dataclass(slots=True)
class Streamed:
    """A transaction in progress: its messages without their numbers, and its subtransactions that were aborted."""

    file: IO[bytes] = field(
        default_factory=lambda: tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES)  # noqa: SIM115 - closed at its end
    )
    aborted: set[int] = field(default_factory=set)


class StreamedTransactions:
    """Those in progress, by their number. `close` it in the end: what is not committed is sent again."""

    def __init__(self) -> None:
        self._transactions: dict[int, Streamed] = {}
        self._current: Streamed | None = None

    def whole(self, messages: Iterable[Message]) -> Iterator[Message]:
        """The messages as in protocol version 1: those of a streamed transaction come at its commit."""
        for message in messages:
            if message[0] != DATA:
                yield message
                continue
            kind = message[HEADER]
            if kind == STREAM_START:
                number = number_at(message, HEADER + 1)
                if number not in self._transactions:
                    self._transactions[number] = Streamed()
                self._current = self._transactions[number]
            elif kind == STREAM_STOP:
                self._current = None
            elif kind == STREAM_COMMIT:
                yield from self._committed(message)
            elif kind == STREAM_ABORT:
                self._abort(number_at(message, HEADER + 1), number_at(message, HEADER + 1 + XID_BYTES))
            elif self._current is None:
                yield message
            elif kind in KEPT:
                self._keep(self._current, message)

    def _keep(self, transaction: Streamed, message: Message) -> None:
        data = bytes(message)
        behind = HEADER + 1 + XID_BYTES
        try:
            transaction.file.write(ENTRY.pack(len(data) - XID_BYTES, number_at(data, HEADER + 1)))
            transaction.file.write(data[: HEADER + 1])
            transaction.file.write(data[behind:])
        except OSError as error:
            raise ConfigError(
                f"a transaction in progress cannot be kept in a temporary file: {error.strerror or error}",
                hint="Make room in the folder for temporary files (TMPDIR names another one), or set "
                "`stream_transactions: false`.",
            ) from error

    def _committed(self, message: Message) -> Iterator[Message]:
        """The beginning of the transaction, its changes, and its end."""
        number, flags, commit, end, time = struct.unpack_from(">IBqqq", message, HEADER + 1)
        header = bytes(message[:HEADER])
        transaction = self._transactions.pop(number, None) or Streamed()
        yield header + struct.pack(">cqqI", b"B", commit, time, number)
        with transaction.file as file:
            file.seek(0)
            while entry := file.read(ENTRY.size):
                size, own_number = ENTRY.unpack(entry)
                data = file.read(size)
                # The server describes a table once per transaction, even where the subtransaction is aborted later.
                if own_number not in transaction.aborted or data[HEADER] == pgoutput.RELATION:
                    yield data
        yield header + struct.pack(">cBqqq", b"C", flags, commit, end, time)

    def _abort(self, number: int, own_number: int) -> None:
        transaction = self._transactions.get(number)
        if transaction is not None and own_number != number:
            transaction.aborted.add(own_number)
        elif transaction is not None:
            self._transactions.pop(number).file.close()

    def close(self) -> None:
        transactions, self._transactions = self._transactions, {}
        for transaction in transactions.values():
            transaction.file.close()


def number_at(message: Any, place: int) -> int:
    return int.from_bytes(message[place : place + XID_BYTES], "big")
