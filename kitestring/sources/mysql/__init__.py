"""MySQL and MariaDB: the tables and views of a database, whole, from a cursor value on, or by the binary log."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import PrivateAttr, model_validator

from kitestring.change_following import FOLLOWING_DELAY_S, Following, needs_capture
from kitestring.config import choice, option
from kitestring.facts import Facts, Proposal
from kitestring.source import Item, Source
from kitestring.sources.mysql.capture import Capture
from kitestring.sources.mysql.reader import MysqlReader
from kitestring.sources.mysql.replication_method import ChangeDataCapture, ReplicationMethod, Standard, method_of
from kitestring.sql.first_load import merged
from kitestring.sql.source import SqlSource, TableReader
from kitestring.types import GLOBAL, Catalog, Partition, State, States, Stream
from kitestring.vendors.mysql import PROPOSAL, MysqlConfig
from kitestring.vendors.ssh_tunnel import asks_for_no_tunnel

AIRBYTES: dict[str, Callable[[Any], bool]] = {
    "tunnel_method": asks_for_no_tunnel,
    "jdbc_url_params": lambda value: not value,
    "check_privileges": lambda _: True,
    "checkpoint_target_interval_seconds": lambda _: True,
    "max_db_connections": lambda _: True,
}
"""Options of Airbyte's source-mysql 3.51 that do not exist here, and whether a value has no effect."""


class Mysql(MysqlConfig, SqlSource, Source):
    """Reads the tables and views of a database of MySQL or MariaDB. Nothing is written there.

    A full refresh reads a table with an integer key in ranges of it, several at a time. An incremental read is ordered
    by the cursor column and can continue after any checkpoint, or reads the server's binary log.
    """

    facts: ClassVar[Facts] = Facts(
        title="MySQL",
        network="python",
        programs=False,
        follows_changes=True,
        packages=("numpy", "pyarrow", "pymysql"),
        preload=("numpy", "pyarrow", "pymysql"),
        category="database",
        summary="tables and views of MySQL or MariaDB, as Arrow",
        proposal=Proposal(config=PROPOSAL),
    )
    splits: ClassVar[bool] = True
    airbyte_options: ClassVar[Mapping[str, Callable[[Any], bool]]] = AIRBYTES
    airbyte_refusal: ClassVar[str] = "tunnels and JDBC parameters"

    database: str = option(order=2, examples=["shop"])
    """The database whose tables and views are streams."""

    replication_method: ReplicationMethod = choice(
        "method", default_factory=Standard, order=6, title="How changes are read", type="object"
    )

    connections: int = option(4, ge=1, le=64, order=7, group="advanced", alias="concurrency")
    """How many connections read at the same time."""

    unfit_values: Literal["reject", "null"] = option("reject", order=8, group="advanced", title="Unfit values")
    """What becomes of a row with a value that its type does not hold, such as the date 0000-00-00 or a time of 30
    hours: it is rejected, or the value is null. A row with such a value in its key is always rejected."""

    _capture: Capture | None = PrivateAttr(default=None)

    @model_validator(mode="before")
    @classmethod
    def _method_alone(cls, values: Any) -> Any:
        if isinstance(values, Mapping) and values.get("replication_method"):
            return {**values, "replication_method": method_of(values["replication_method"])}
        return values

    def model_post_init(self, context: Any, /) -> None:
        super().model_post_init(context)
        if isinstance(self.replication_method, ChangeDataCapture):
            self._capture = Capture(self, self.replication_method, self.connections)

    @property
    def nulls_unfit(self) -> bool:
        return self.unfit_values == "null"

    def check(self) -> None:
        super().check()
        if self._capture is not None:
            self._capture.check()

    def discover(self) -> Catalog:
        catalog = super().discover()
        return catalog if self._capture is None else Catalog(tuple(self._capture.streams(list(catalog))))

    def groups(self, streams: Sequence[Stream]) -> list[list[Stream]]:
        """Captured streams share the log; every other stream is for itself."""
        captured = [stream for stream in streams if self._capture is not None and stream.incremental]
        return [*([captured] if captured else []), *([stream] for stream in streams if stream not in captured)]

    def partitions(self, streams: Sequence[Stream], states: States) -> Iterator[Partition]:
        if self._capture is not None and streams[0].incremental:
            return self._capture.partitions(streams, states)
        return super().partitions(streams, states)

    def read(self, partition: Partition, states: States) -> Iterator[Item]:
        capture = self._capture
        if capture is None or not partition.stream.incremental:
            return super().read(partition, states)
        return capture.read_log(partition, states) if "windows" in partition.data else capture.read_part(partition)

    def merge(self, stream: str, state: State, checkpoint: State) -> State:
        return checkpoint if self._capture is None or stream == GLOBAL else merged(state, checkpoint)

    def leave_out(self, stream: str) -> bool:
        return self._capture is not None and self._capture.leave_out(stream)

    def refuse_to_follow(self) -> None:
        if self._capture is None:
            raise needs_capture(self.replication_method.method)

    def follow(self, following: Following | None) -> None:
        self.refuse_to_follow()
        assert self._capture is not None
        self._capture.following = following

    def max_delay_s(self) -> float | None:
        method = self.replication_method
        follows = self._capture is not None and self._capture.following is not None
        if follows or (isinstance(method, ChangeDataCapture) and method.follow_seconds):
            return FOLLOWING_DELAY_S
        return None

    def close(self) -> None:
        if self._capture is not None:
            self._capture.close()

    def place(self) -> str:
        return str(self.server_address)

    def open_reader(self) -> TableReader:
        return MysqlReader(self)

    def concurrency(self) -> int:
        return self.connections
