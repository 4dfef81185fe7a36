"""A destination as one reader sees it. All reading for somebody with a permission begins here."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from kitestring.errors import ConfigError
from kitestring.filters import And, Filter, matches
from kitestring.retrieval.permission import permission_of
from kitestring.stored_rows import RowPage, RowRequest, StoredRows, StoredStream
from kitestring.vector.destination import VectorDestination
from kitestring.vector.restricted_store import RestrictedChunks

log = logging.getLogger("kitestring.retrieval")


def restricted(destination: Any, permission: Mapping[str, Any]) -> RestrictedChunks | RestrictedRows:
    """The destination with only those rows and chunks that pass a permission. It has the same reading methods, and none
    that writes. `ConfigError` for a destination that cannot apply a permission."""
    tree = permission_of(permission)
    if isinstance(destination, VectorDestination):
        return RestrictedChunks(destination, tree)
    if isinstance(destination, StoredRows):
        return RestrictedRows(destination, tree)
    raise ConfigError(
        f"{type(destination).__name__} cannot apply a permission of a reader, so nothing of it is shown",
        hint="Read it without a permission, or choose another destination.",
    )


class RestrictedRows(StoredRows):
    """A destination of tables or files as one reader sees it. What it returns is compared with the permission once more
    here: a database whose comparison is wider shows too little, never too much."""

    def __init__(self, destination: Any, permission: Filter) -> None:
        self._destination = destination
        self._permission = permission

    def declared_fields(self) -> Sequence[str]:
        return self._destination.declared_fields()  # type: ignore[no-any-return]

    def stored_page(self, request: RowRequest) -> RowPage:
        where = request.where
        assert not isinstance(where, str)  # `stored_rows` has refused it
        narrowed = self._permission if where is None else And((self._permission, where))
        page: RowPage = self._destination.stored_page(replace(request, where=narrowed))
        visible = [row for row in page.rows if matches(self._permission, row)]
        if len(visible) < len(page.rows):
            log.warning(
                "rows were left out: the destination's filter lets them pass, and the reader's permission does not",
                extra={"rows": len(page.rows) - len(visible)},
            )
        return replace(page, rows=visible)

    def stored_streams(self) -> list[StoredStream] | None:
        """Those with a row that the reader may see. `records` is None where rows are not counted."""
        visible = []
        listed = self._destination.stored_streams()
        if listed is None:
            return None
        for stream in listed:
            page = self.stored_page(RowRequest(stream.name, stream.namespace or None, None, 1, 0, False))
            if page.rows:
                visible.append(StoredStream(stream.name, stream.namespace, page.total, counted_to=page.counted_to))
        return visible

    def close(self) -> None:
        """Nothing: the connection is that of the destination."""
