"""Statements over ClickHouse's HTTP interface. None is sent twice: only its caller knows whether it may be."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kitestring.errors import KitestringError, TransientError
from kitestring.http import Session
from kitestring.http.message import Response
from kitestring.http.retry import Raise, Return, Verdict
from kitestring.vendors.clickhouse import ArrowBody, Place, translated

if TYPE_CHECKING:
    import pyarrow as pa

READ_TIMEOUT_S = 3_600.0
"""A change of a table, or a merge into a large one, may take long."""

SETTINGS: Mapping[str, Any] = {
    # Rows that were replaced or deleted are not read.
    "final": 1,
    # A statement has ended, on all replicas, when it is answered; an error has its status.
    "wait_end_of_query": 1,
    "async_insert": 0,
    "mutations_sync": 2,
    "alter_sync": 2,
    # The rows of one INSERT are one part of the table, which appears as a whole.
    "max_insert_threads": 1,
    "min_insert_block_size_rows": 1_048_576,
    "min_insert_block_size_bytes": 1 << 30,
    "insert_allow_materialized_columns": 1,
    "insert_null_as_default": 0,
    "max_query_size": 1 << 24,
    "join_use_nulls": 1,
    "transform_null_in": 1,
    "session_timezone": "UTC",
    "output_format_decimal_trailing_zeros": 1,
    "output_format_arrow_string_as_string": 1,
    "output_format_arrow_compression_method": "none",
    "default_format": "ArrowStream",
}


class SingleAttempt:
    """The policy of statements: every answer is judged by `translated`, and nothing is sent again."""

    def judge(self, attempt: int, response: Response | None, error: Exception | None) -> Verdict:
        if response is not None:
            return Return()
        return Raise(error if isinstance(error, KitestringError) else TransientError(f"a call failed: {error!r}"))


class Server:
    """A ClickHouse server, or the proxy of several."""

    def __init__(self, url: str, place: Place, password: str, limit_s: float | None = None) -> None:
        """`limit_s`: how long a query may take."""
        self.url = url
        self.place = place
        self.settings = dict(SETTINGS) | ({"max_execution_time": limit_s} if limit_s else {})
        self._headers = {"X-ClickHouse-User": place.user, "X-ClickHouse-Key": password}
        self._session = Session(
            timeout_s=READ_TIMEOUT_S, policy=SingleAttempt(), secrets=[password] if password else []
        )

    def close(self) -> None:
        self._session.close()

    def run(self, statement: str, data: bytes = b"", **settings: Any) -> Response:
        """Run a statement to its end; `data` are rows in the format that an INSERT ends with."""
        body = statement.encode("utf-8", "replace") + (b"\n" + data if data else b"")
        params = {**self.settings, **settings}
        response = self._session.request("POST", self.url, params=params, headers=self._headers, body=body)
        # An error behind the first rows is in the body of an answer with the status 200.
        code = response.headers.get("x-clickhouse-exception-code")
        if response.status != 200 or code:
            raise translated(response.status, response.text, self.place)
        return response

    def table(self, statement: str, **settings: Any) -> pa.Table | None:
        """The rows of a query; None where it has none to give, as a change of a table."""
        import pyarrow as pa

        response = self.run(statement, **settings)
        if not response.body:
            return None
        body = ArrowBody(response)
        try:
            with pa.ipc.open_stream(body) as stream:
                rows = stream.read_all()
            body.require_end()
        except pa.ArrowInvalid as error:
            raise TransientError(f"{self.place} answered no complete Arrow stream: {error}") from error
        return rows

    def rows(self, statement: str, **settings: Any) -> list[tuple[Any, ...]]:
        table = self.table(statement, **settings)
        if table is None or not table.num_rows:
            return []
        return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


def arrow_stream(rows: pa.Table) -> bytes:
    """Rows as they are sent: one batch, in Arrow's stream format."""
    import pyarrow as pa

    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows.combine_chunks())
    return sink.getvalue()
