"""The GTIDs of everything before a place in the binary log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kitestring.vendors.mysql import binlog_event
from kitestring.vendors.mysql.binlog import Event

BEGINS = frozenset({binlog_event.GTID, binlog_event.ANONYMOUS_GTID, binlog_event.GTID_TAGGED})


class GtidPosition:
    """Moves with the transactions of a log. `gtid`: those of everything before its start. MariaDB has the last one of
    each domain; of MySQL, the last one is kept. `last`: the last transaction of MariaDB, as its GTID and its time in
    seconds since 1970: a GTID alone may be that of another transaction, after RESET MASTER. Empty where not known."""

    def __init__(self, of_mariadb: bool, gtid: str, last: Sequence[Any] = ()) -> None:
        self._of_mariadb = of_mariadb
        self._by_domain = {part.partition("-")[0]: part for part in gtid.split(",") if part} if of_mariadb else {}
        self._last = "" if of_mariadb else gtid
        self._pending = ""
        self._pending_time = 0
        self.last = list(last)

    def begin(self, event: Event) -> None:
        """A transaction begins with this event."""
        body = event.body
        if event.kind == binlog_event.MARIADB_GTID:
            sequence, domain = int.from_bytes(body[:8], "little"), int.from_bytes(body[8:12], "little")
            self._pending, self._pending_time = f"{domain}-{event.server}-{sequence}", event.time
        elif event.kind == binlog_event.GTID:
            text = body[1:17].hex()
            uuid = "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
            self._pending = f"{uuid}:{int.from_bytes(body[17:25], 'little')}"

    def commit(self) -> None:
        """The transaction that began last is complete."""
        if not self._pending:
            return
        if self._of_mariadb:
            self._by_domain[self._pending.partition("-")[0]] = self._pending
            self.last = [self._pending, self._pending_time]
        else:
            self._last = self._pending
        self._pending = ""

    @property
    def text(self) -> str:
        return ",".join(sorted(self._by_domain.values())) if self._of_mariadb else self._last
