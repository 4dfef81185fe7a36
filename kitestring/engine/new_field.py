"""Fields that a source has got since the last sync: their values in the records that are at the destination already."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator
from typing import Any

from kitestring.destination import Destination, Fills
from kitestring.engine.selection import Route
from kitestring.schema import EXISTING_ROWS_DIFFER, VALUE_OF_EXISTING_ROWS

log = logging.getLogger("kitestring.engine")


def fill_new_fields(
    destination: Destination, route: Route, before: Collection[str], retry: Callable[[Callable[[], None]], None]
) -> Iterator[str]:
    """Fill the fields that are not in `before`, where the source says what existing rows have in them. Yields a
    sentence for fields that cannot be filled.

    Only where the last version of each record is kept: a version from before the field came did not have it.
    """
    stream = route.written
    if not route.read.incremental or stream.write.keep != "latest":
        return
    selected = (route.read.schema.get("properties") or {}).items()
    new = {name: declared for name, declared in selected if name not in before and isinstance(declared, dict)}
    values: dict[str, Any] = {
        name: declared[VALUE_OF_EXISTING_ROWS] for name, declared in new.items() if VALUE_OF_EXISTING_ROWS in declared
    }
    unknown = [name for name, declared in new.items() if declared.get(EXISTING_ROWS_DIFFER)]
    if values and isinstance(destination, Fills) and route.mapping is None:
        retry(lambda: destination.fill(stream, values))
        log.info("filled new fields of existing records", extra={"stream": route.read.key, "fields": [*values]})
        values = {}
    if lacking := [*values, *unknown]:
        yield (
            f"the source has added {', '.join(lacking)} with a value in each row, and the records that were written "
            "before do not have it: read all again (--full-refresh)"
        )
